"""Shared fixtures: the shipped evidence, and a small valid record to spoil."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dualtrace.evidence.load import load

if TYPE_CHECKING:
    from dualtrace.evidence.record import Trial

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


@pytest.fixture(scope="session")
def evidence() -> dict[str, Trial]:
    """The shipped trials by id."""
    return {trial.id: trial for trial in load()}


@pytest.fixture
def good_record() -> str:
    """YAML of a valid record."""
    return GOOD_RECORD
