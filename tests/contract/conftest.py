"""A small virtual trial that several files of tests share: compiled once, with a cache of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dualtrace.simulation.load import parse_protocol
from dualtrace.simulation.virtual_trial import VirtualTrial, run

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALL_PROTOCOL = """\
id: small_trial
title: Capsules after good sessions only
disorder: SAD
patients: 60
arms:
  - id: dcs
    label: 250 mg after good sessions
    agent: d-cycloserine
    dose_mg: 250
    give: after
    minutes: 0
    if: last_suds < 60
  - {id: placebo, label: placebo, agent: placebo}
therapy:
  every_days: 7
  sessions:
    - {minutes: 60, exposures: 0}
    - {count: 3, minutes: 60, exposures: 4}
assessments:
  - {id: baseline, timepoint: baseline, instruments: [LSAS, CGI-S]}
  - {id: half, timepoint: mid, after_session: 3, instruments: [LSAS]}
  - {id: post, timepoint: post, weeks_after_last: 1, instruments: [LSAS, CGI-S]}
  - {id: month_3, timepoint: followup, weeks_after_last: 13, instruments: [LSAS]}
randomisation: {blocks: 4}
people: {dropout: 0.25}
"""


@pytest.fixture(scope="session")
def compiled_programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep compiled programs in a folder of this run of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DUALTRACE_CACHE", str(tmp_path_factory.getbasetemp() / "programs"))
        yield


@pytest.fixture(scope="session")
def small_protocol() -> str:
    """YAML of a protocol with a dosing rule, three visits and two scales."""
    return SMALL_PROTOCOL


@pytest.fixture(scope="session")
def small_trial(compiled_programs: None) -> VirtualTrial:  # noqa: ARG001 - for what it sets
    """The small protocol, run once on 400 patients."""
    return run(parse_protocol(SMALL_PROTOCOL), patients=400, seed=3)
