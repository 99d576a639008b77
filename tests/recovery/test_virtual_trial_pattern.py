"""The pattern that the dual trace claims, at its default constants: when the drug helps, when it fades, when it harms.

Sizes are benefits against the same patient with placebo, in SDs at baseline (d), or SUDS less at the next session.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np

from dualtrace.simulation.load import parse_protocol
from dualtrace.simulation.plan import plan_of
from virtual_blocks import PLACEBO, PRE, arms_of, text_of

PATIENTS = range(4096)
AFTER = (2, 4, 6, 8, 10)
COURSE = text_of(
    [
        PRE.replace("minutes: 60", "minutes: 60, sessions: all"),
        PRE.replace("id: pre", "id: once").replace("minutes: 60", "minutes: 60, sessions: 3"),
        PLACEBO,
    ],
    sessions="{count: 12, minutes: 60, exposures: 10, exposure_minutes: 5}",
    visits=[
        *(f"{{id: after_{k}, timepoint: mid, after_session: {k}, instruments: [LSAS]}}" for k in AFTER),
        "{id: post, timepoint: post, days_after_last: 7, instruments: [LSAS]}",
    ],
)
"""Twelve weekly sessions of ten exposures; a capsule before each of them, or before the third alone."""


@functools.cache
def treated(**changes: Any) -> dict[str, Any]:
    return arms_of(COURSE, PATIENTS, **changes)


def benefit(arms: dict[str, Any], arm: str) -> Any:
    """Benefit of every patient at every visit after the baseline, ``(visits, n)``."""
    sd = plan_of(parse_protocol(COURSE)).primary_sd
    return (arms["placebo"].scores.true[1:, 0] - arms[arm].scores.true[1:, 0]) / sd


def test_benefit_peaks_in_the_middle_of_treatment_and_has_all_but_faded_by_its_end() -> None:
    """0.09 after two sessions, 0.12 after four, 0.01 a week after the last: placebo catches up."""
    by_visit = benefit(treated(), "pre").mean(axis=-1)
    error = benefit(treated(), "pre").std(axis=-1).max() / np.sqrt(len(PATIENTS))
    assert by_visit.argmax() in (1, 2)
    assert by_visit.max() - by_visit[0] > 4 * error
    assert (np.diff(by_visit[2:]) < 0).all()
    assert by_visit[-1] < 0.25 * by_visit.max()
    assert 0.1 < by_visit.max() < 0.14
    assert by_visit[-1] > 3 * benefit(treated(), "pre")[-1].std() / np.sqrt(len(PATIENTS))


def fear_and_gain(arms: dict[str, Any]) -> tuple[Any, Any]:
    """Fear at the end of the third session, and by how much less SUDS the fourth began after its one capsule."""
    once, placebo = arms["once"].lived, arms["placebo"].lived
    there = (once.dose_mg[2] > 0) & (once.attended[3] > 0) & (placebo.attended[3] > 0)
    return placebo.end_fear[2, there], (placebo.start[3] - once.start[3])[there]


def by_fear(arms: dict[str, Any], edges: tuple[float, ...]) -> list[tuple[float, float]]:
    """Mean gain and its standard error between edges of fear."""
    fear, gain = fear_and_gain(arms)
    parts = [gain[(fear >= low) & (fear < high)] for low, high in itertools.pairwise(edges)]
    return [(float(part.mean()), float(part.std() / np.sqrt(part.size))) for part in parts]


def test_the_benefit_of_a_capsule_falls_with_fear_at_the_end_of_its_session_and_turns_into_harm() -> None:
    """Half of an exposure is taken in. SUDS less at the next session: 3 at an end of 15 to 25, 0.3 to 45, -2 above 55."""
    means, errors = np.transpose(by_fear(treated(clinic__quality=0), (0.15, 0.25, 0.35, 0.45, 0.55, 0.9)))
    assert (np.diff(means) < 0).all()
    assert means[0] > 4 * errors[0]
    assert means[-1] < -4 * errors[-1]


def test_where_a_session_ends_without_fear_little_is_left_to_gain() -> None:
    means = [mean for mean, _ in by_fear(treated(), (0.0, 0.1, 0.15, 0.2))]
    assert (np.diff(means) > 0).all()
    assert abs(means[0]) < 0.1


def test_with_poor_exposures_the_drug_harms_on_average() -> None:
    """Where an eighth of an exposure is taken in: -0.33 at the end; where a half is: nothing worth naming."""
    poor = benefit(treated(clinic__quality=-2), "pre")
    half = benefit(treated(clinic__quality=0), "pre")
    error = poor.std(axis=-1).max() / np.sqrt(len(PATIENTS))
    assert poor.mean(axis=-1).max() < -4 * error
    assert -0.4 < poor[-1].mean() < -0.25
    assert abs(half[-1].mean()) < 0.03


def test_extinction_alone_shows_no_harm_on_average_however_poor_the_exposures() -> None:
    """Without restabilisation the drug helps less where less is learned, and never harms a group."""
    for quality in (1.2, 0.0, -2.0):
        without = treated(dual_trace__restabilisation=0, clinic__quality=quality)
        assert benefit(without, "pre").mean(axis=-1).min() > -1e-3
        assert min(mean for mean, _ in by_fear(without, (0.15, 0.3, 0.45, 0.6))) > -0.02
