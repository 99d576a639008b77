"""Shared fixtures: the shipped evidence, a small valid record to spoil, and a small virtual trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dualtrace.evidence.load import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualtrace.evidence.record import Trial
    from dualtrace.simulation.virtual_trial import VirtualTrial

GOOD_RECORD = """\
id: good2024
label: Good 2024
citation: Good A, 2024, a made-up trial for tests
year: 2024
status: results
disorder: SAD
sample: clinical
design:
  exposure: therapy
  n_randomized: 40
  sessions: {total: 5, augmented: 4}
  arms:
    - {id: dcs, label: DCS 50 mg, agent: d-cycloserine, dose_mg: 50, timing: {given: before, minutes: 60}, n_randomized: 20}
    - {id: placebo, label: placebo, agent: placebo, n_randomized: 20}
outcomes:
  - id: lsas_post
    measure: LSAS
    estimand: post_difference
    instruments: [LSAS]
    timepoint: post
    contrast: {treatment: [dcs], reference: [placebo]}
    reported:
      - {kind: means, treatment: {n: 20, mean: 40, sd: 12}, reference: {n: 20, mean: 46, sd: 14}, source: paper, where: table 2, obtained: read}
  - id: remission_post
    measure: remission
    estimand: remission
    timepoint: post
    contrast: {treatment: [dcs], reference: [placebo]}
    reported:
      - {kind: events, treatment: {n: 20, events: 9}, reference: {n: 20, events: 5}, source: paper, where: table 3, obtained: read}
sources:
  paper: {kind: full_text, url: "https://example.org/good2024"}
"""

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
def evidence() -> dict[str, Trial]:
    """The shipped trials by id."""
    return {trial.id: trial for trial in load()}


@pytest.fixture
def good_record() -> str:
    """YAML of a valid record."""
    return GOOD_RECORD


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
    from dualtrace.simulation.load import parse_protocol
    from dualtrace.simulation.virtual_trial import run

    return run(parse_protocol(SMALL_PROTOCOL), patients=400, seed=3)
