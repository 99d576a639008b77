"""What each trial says, as the likelihood reads it: effects as numbers or intervals, placebo change, moderators."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, final

from dualtrace.calibration.moderation import Moderation, moderations_of
from dualtrace.effects.effect import Metric
from dualtrace.effects.select import between_arms
from dualtrace.evidence.record import Disorder, Estimand, Timepoint
from dualtrace.evidence.statistic import Changes, Means
from dualtrace.simulation.from_trial import protocol_of
from dualtrace.simulation.plan import Plan, plan_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dualtrace.effects.effect import Effect
    from dualtrace.evidence.record import Outcome, Trial
    from dualtrace.evidence.statistic import ArmMean

DISORDERS = (
    Disorder.SAD,
    Disorder.PD,
    Disorder.OCD,
    Disorder.PTSD,
    Disorder.SPECIFIC_PHOBIA,
    Disorder.MIXED_ANXIETY,
)
"""Disorders of fear: what the mechanism speaks of."""

_WEEK_H = 168.0
_WAIT_H = {Timepoint.POST: _WEEK_H, Timepoint.FOLLOWUP: 12 * _WEEK_H}
"""Hours after the last session where the record does not say."""

_RETEST = 0.6
"""Correlation of baseline and later score that turns a mean change's SDs into a variance, where none is printed."""


class Standard(StrEnum):
    """What a difference is divided by, or what is counted."""

    SCORE = "score"  # SD of scores at the visit
    CHANGE = "change"  # SD of change from baseline
    RESPONSE = "response"  # log odds ratio
    REMISSION = "remission"  # log odds ratio


@final
@dataclass(frozen=True, slots=True)
class Target:
    """One effect of one trial.

    Attributes
    ----------
    effect
        The effect: estimate with variance, or interval; positive favours the drug.
    standard
        In which currency.
    arms, reference
        Places of the arms in the plan, and the share of patients of each treated arm.
    session, wait_h, weeks
        When: sessions that are over, hours since, weeks from the first session.
    """

    effect: Effect
    standard: Standard
    arms: tuple[int, ...]
    shares: tuple[float, ...]
    reference: tuple[int, ...]
    session: int
    wait_h: float
    weeks: float


@final
@dataclass(frozen=True, slots=True)
class PlaceboChange:
    """Mean change of the reference arm in baseline SDs (positive is better), with its sampling variance."""

    change: float
    variance: float
    session: int
    wait_h: float
    weeks: float


@final
@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """One trial: its record, its plan, and what it says."""

    trial: Trial
    plan: Plan
    targets: tuple[Target, ...]
    placebo: tuple[PlaceboChange, ...]
    moderations: tuple[Moderation, ...] = ()


def subjects_of(trials: Iterable[Trial]) -> tuple[Subject, ...]:
    """Trials of the disorders of fear that report an effect, in the order of year and id.

    One severity effect, response and remission per time point, chosen without looking at results
    (:func:`dualtrace.effects.select.between_arms`).
    """
    inside = [trial for trial in trials if trial.disorder in DISORDERS]
    found: dict[str, list[Effect]] = {}
    for outcome in ("severity_mixed", "response", "remission"):
        for timepoint in (Timepoint.MID, Timepoint.POST, Timepoint.FOLLOWUP):
            for effect in between_arms(inside, outcome=outcome, timepoint=timepoint, ratio=Metric.OR).effects:
                found.setdefault(effect.trial, []).append(effect)
    chosen = [trial for trial in inside if trial.id in found]
    chosen.sort(key=lambda trial: (trial.year or 0, trial.id))
    subjects = [_subject(trial, found[trial.id]) for trial in chosen]
    return tuple(subject for subject in subjects if subject.targets)


def _subject(trial: Trial, effects: Sequence[Effect]) -> Subject:
    plan = plan_of(protocol_of(trial))
    targets = [target for effect in effects if (target := _target(plan, effect)) is not None]
    moderations = moderations_of(trial, plan, _when(plan, Timepoint.POST, None))
    return Subject(trial, plan, tuple(targets), tuple(_placebo(trial, plan)), moderations)


_STANDARDS = {
    Estimand.POST_DIFFERENCE: Standard.SCORE,
    Estimand.RESPONSE: Standard.RESPONSE,
    Estimand.REMISSION: Standard.REMISSION,
}


def _target(plan: Plan, effect: Effect) -> Target | None:
    """Place an effect in the plan; None where one of its arms cannot be simulated."""
    places = {arm.source.id: place for place, arm in enumerate(plan.arms)}
    if not all(arm in places for arm in (*effect.treatment, *effect.reference)):
        return None
    standard = _STANDARDS.get(effect.estimand, Standard.CHANGE)
    if standard is Standard.RESPONSE and not plan.scales[0].has_response:
        return None
    if standard is Standard.REMISSION and not plan.scales[0].has_remission:
        return None
    session, wait_h, weeks = _when(plan, effect.timepoint, effect.weeks)
    return Target(
        effect,
        standard,
        tuple(places[arm] for arm in effect.treatment),
        (1 / len(effect.treatment),) * len(effect.treatment),
        tuple(places[arm] for arm in effect.reference),
        session,
        wait_h,
        weeks,
    )


def _when(plan: Plan, timepoint: Timepoint, weeks: float | None) -> tuple[int, float, float]:
    """Sessions that are over, hours since, weeks from the first session; by the plan's visits where it has them."""
    matching = [visit for visit in plan.visits if visit.timepoint is timepoint]
    last_week = plan.start_h[-1] / _WEEK_H
    if matching:
        wanted = last_week + weeks if weeks is not None and timepoint is Timepoint.FOLLOWUP else None
        nearest = matching[0] if wanted is None else min(matching, key=lambda visit: abs(visit.weeks - wanted))
        return nearest.session, nearest.wait_h, nearest.weeks
    if timepoint is Timepoint.MID:
        half = max(plan.sessions // 2, 1)
        return half, float(plan.gap_h[min(half, plan.sessions - 1)]), float(plan.weeks[half - 1])
    return plan.sessions, _WAIT_H[timepoint], last_week + _WAIT_H[timepoint] / _WEEK_H


def _placebo(trial: Trial, plan: Plan) -> list[PlaceboChange]:
    """Mean change of the reference arm on the primary scale after treatment, where means are printed."""
    scale = plan.scales[0]
    if scale.baseline is None:
        return []
    mine = [o for o in trial.outcomes if o.instruments == (scale.name,) and o.contrast is not None]
    before = next((arm for o in mine if o.timepoint is Timepoint.BASELINE for arm in _means(o)), None)
    found: list[PlaceboChange] = []
    for outcome in mine:
        if outcome.timepoint is not Timepoint.POST or outcome.subgroup is not None:
            continue
        fall = next((arm.mean for arm in _changes(outcome)), None)
        after = next((arm for arm in _means(outcome)), None)
        if fall is None and after is not None and before is not None:
            fall = after.mean - before.mean
        n = next((arm.n for arm in (*_changes(outcome), *_means(outcome)) if arm.n), None) or _size(plan)
        if fall is not None and not found:
            side = -1.0 if scale.instrument.better == "lower" else 1.0
            when = _when(plan, Timepoint.POST, None)
            found.append(PlaceboChange(side * fall / scale.baseline.sd, 2 * (1 - _RETEST) / n, *when))
    return found


def _means(outcome: Outcome) -> list[ArmMean]:
    return [report.reference for report in outcome.reported if isinstance(report, Means)]


def _changes(outcome: Outcome) -> list[ArmMean]:
    return [report.reference for report in outcome.reported if isinstance(report, Changes)]


def _size(plan: Plan) -> float:
    return max(plan.protocol.patients / len(plan.arms), 2.0)
