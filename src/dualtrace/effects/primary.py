"""One outcome per trial and time point, chosen without looking at its result."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from dualtrace.evidence.load import DATA
from dualtrace.evidence.record import Estimand, Timepoint
from dualtrace.source_map import read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dualtrace.evidence.record import Outcome, Trial

SEVERITY = (
    Estimand.POST_DIFFERENCE,
    Estimand.CHANGE,
    Estimand.GROWTH_MODEL,
    Estimand.SLOPE,
    Estimand.INTERACTION,
)
FOLLOWUP_WEEKS = 13.0

RULE = (
    "Per trial and time point: comparisons of the drug with placebo in all participants; then the scale that the "
    "trial registered as primary, else the first scale of its disorder's list (clinician interview before "
    "self-report), else any other; a scale alone before scales lumped together; a planned before an exploratory "
    "analysis; at follow-up the assessment nearest to 13 weeks; then the order in the record. Results play no part."
)

DRUG = "d-cycloserine"


@cache
def scale_order() -> dict[str, tuple[str, ...]]:
    """Return the preferred scales of each disorder, best first."""
    return {disorder: tuple(scales) for disorder, scales in read_yaml(DATA / "primary.yaml").content.items()}


def primary_outcomes(trial: Trial, timepoint: Timepoint, estimands: Iterable[Estimand]) -> tuple[Outcome, ...]:
    """Return the outcomes that stand for a trial: one, or one per drug arm that was compared separately.

    Parameters
    ----------
    trial
        The record.
    timepoint
        When.
    estimands
        Which kinds of quantity are admitted.

    Returns
    -------
    tuple of Outcome
        Empty when the trial reports none. Several only when they differ in nothing but the drug arm.
    """
    admitted = set(estimands)
    candidates = [
        (rank(trial, outcome), position, outcome)
        for position, outcome in enumerate(trial.outcomes)
        if outcome.timepoint is timepoint and outcome.estimand in admitted and is_drug_comparison(trial, outcome)
    ]
    if not candidates:
        return ()
    best_rank, _, best = min(candidates, key=lambda c: c[:2])
    twins = tuple(o for r, _, o in candidates if r == best_rank and _differs_only_in_arm(o, best))
    return twins or (best,)


def is_drug_comparison(trial: Trial, outcome: Outcome) -> bool:
    """Whether the outcome compares D-cycloserine with placebo in all participants."""
    if outcome.contrast is None or outcome.subgroup is not None:
        return False
    treated = {trial.arm(arm).agent for arm in outcome.contrast.treatment}
    compared = {trial.arm(arm).agent for arm in outcome.contrast.reference}
    return treated == {DRUG} and compared == {"placebo"}


def rank(trial: Trial, outcome: Outcome) -> tuple[float, ...]:
    """Return the place of an outcome in the order of preference; lower is preferred."""
    scales = scale_order().get(trial.disorder.value, ())
    named = outcome.instruments
    registered = any(scale in trial.design.registered_primary for scale in named)
    place = min((scales.index(s) for s in named if s in scales), default=len(scales))
    weeks = FOLLOWUP_WEEKS if outcome.weeks is None else outcome.weeks
    distance = abs(weeks - FOLLOWUP_WEEKS) if outcome.timepoint is Timepoint.FOLLOWUP else 0.0
    return (
        0.0 if registered else 1.0,
        1.0 if outcome.post_hoc else 0.0,
        float(place),
        float(max(len(named), 1)),
        distance,
    )


def _differs_only_in_arm(one: Outcome, other: Outcome) -> bool:
    if one.contrast is None or other.contrast is None:
        return False
    alike = (one.measure, one.estimand, one.weeks, one.instruments) == (
        other.measure,
        other.estimand,
        other.weeks,
        other.instruments,
    )
    disjoint = one is other or not set(one.contrast.treatment) & set(other.contrast.treatment)
    return alike and disjoint and one.contrast.reference == other.contrast.reference
