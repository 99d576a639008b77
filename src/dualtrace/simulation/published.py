"""What the published record behind a protocol reports of the primary scale, placed on the protocol's visits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from dualtrace.effects.convert import convert
from dualtrace.effects.effect import Effect
from dualtrace.evidence.record import Estimand, Timepoint
from dualtrace.evidence.statistic import Changes, Means

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dualtrace.evidence.record import Outcome, Trial
    from dualtrace.evidence.statistic import ArmMean
    from dualtrace.simulation.plan import Plan

_CLOSE_WEEKS = 2.0
"""How far a reported follow-up may lie from the visit it is shown at."""


@final
@dataclass(frozen=True, slots=True)
class PublishedMean:
    """Mean score of one arm at one visit as published.

    Attributes
    ----------
    arm, weeks
        Which, on the protocol's clock.
    n, mean, sd
        As reported; ``None`` and NaN where they are not.
    """

    arm: str
    weeks: float
    n: int | None
    mean: float
    sd: float


@final
@dataclass(frozen=True, slots=True)
class PublishedEffect:
    """Published Hedges' g of one arm against its reference at one visit; positive favours the arm."""

    arm: str
    weeks: float
    estimate: float
    ci_lb: float
    ci_ub: float


@final
@dataclass(frozen=True, slots=True)
class Published:
    """A published trial beside the virtual one.

    Attributes
    ----------
    label
        Its name.
    means, effects
        Of the primary scale, where they are reported.
    """

    label: str
    means: tuple[PublishedMean, ...] = ()
    effects: tuple[PublishedEffect, ...] = ()


def published(trial: Trial, plan: Plan) -> Published:
    """What the record of a trial reports of the primary scale, for the arms of a plan made from it."""
    baseline = {one.arm: one for one in _means(trial, plan) if one.weeks == 0}
    means = {(one.arm, one.weeks): one for one in (*_after_change(trial, plan, baseline), *_means(trial, plan))}
    effects = {(one.arm, one.weeks): one for one in reversed(list(_effects(trial, plan)))}
    return Published(
        trial.label, tuple(means[key] for key in sorted(means)), tuple(effects[key] for key in sorted(effects))
    )


def _outcomes(trial: Trial, plan: Plan) -> Iterator[tuple[float, Outcome]]:
    """Outcomes on the primary scale with the week of their visit."""
    for outcome in trial.outcomes:
        weeks = _weeks(outcome, plan)
        if weeks is not None and not outcome.subgroup and outcome.instruments == (plan.scales[0].name,):
            yield weeks, outcome


def _sides(plan: Plan, outcome: Outcome, report: Means | Changes) -> Iterator[tuple[str, ArmMean]]:
    arms = {arm.source.id for arm in plan.arms}
    if outcome.contrast is not None:
        for side, mean in (
            (outcome.contrast.treatment, report.treatment),
            (outcome.contrast.reference, report.reference),
        ):
            if len(side) == 1 and side[0] in arms:
                yield side[0], mean


def _means(trial: Trial, plan: Plan) -> Iterator[PublishedMean]:
    for weeks, outcome in _outcomes(trial, plan):
        for report in outcome.reported:
            if isinstance(report, Means):
                for arm, mean in _sides(plan, outcome, report):
                    yield _mean(arm, weeks, mean)


def _after_change(trial: Trial, plan: Plan, baseline: Mapping[str, PublishedMean]) -> Iterator[PublishedMean]:
    """Means as baseline and change; the SD of a change is not that of the score, so it is left unknown."""
    for weeks, outcome in _outcomes(trial, plan):
        for report in outcome.reported:
            if isinstance(report, Changes):
                for arm, change in _sides(plan, outcome, report):
                    if arm in baseline:
                        yield PublishedMean(arm, weeks, change.n, baseline[arm].mean + change.mean, math.nan)


def _effects(trial: Trial, plan: Plan) -> Iterator[PublishedEffect]:
    arms = {arm.source.id for arm in plan.arms}
    for weeks, outcome in _outcomes(trial, plan):
        if outcome.estimand not in (Estimand.POST_DIFFERENCE, Estimand.CHANGE):
            continue
        effect = convert(trial, outcome)
        if isinstance(effect, Effect) and effect.yi is not None and weeks > 0:
            for arm in effect.treatment if len(effect.treatment) == 1 and effect.treatment[0] in arms else ():
                yield PublishedEffect(arm, weeks, effect.yi, *effect.ci())


def _mean(arm: str, weeks: float, side: ArmMean) -> PublishedMean:
    sd = math.nan if side.sd is None else side.sd
    if math.isnan(sd) and side.se is not None and side.n is not None:
        sd = side.se * math.sqrt(side.n)
    return PublishedMean(arm, weeks, side.n, side.mean, sd)


def _weeks(outcome: Outcome, plan: Plan) -> float | None:
    """Week of the visit at which an outcome was measured; ``None`` where that cannot be told."""
    if outcome.timepoint is Timepoint.BASELINE:
        return 0.0
    visits = [visit for visit in plan.visits if visit.timepoint is outcome.timepoint]
    if outcome.timepoint is not Timepoint.FOLLOWUP:
        return visits[0].weeks if len(visits) == 1 else None
    if outcome.weeks is None or not visits:
        return None
    since_last = [visit.weeks - plan.start_h[-1] / 168 for visit in visits]
    off, place = min((abs(weeks - outcome.weeks), place) for place, weeks in enumerate(since_last))
    return visits[place].weeks if off <= _CLOSE_WEEKS else None
