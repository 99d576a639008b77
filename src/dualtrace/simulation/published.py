"""What the published record behind a protocol reports of the primary scale, placed on the protocol's visits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from dualtrace.evidence.record import Timepoint
from dualtrace.evidence.statistic import Means

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def published_means(trial: Trial, plan: Plan) -> tuple[PublishedMean, ...]:
    """Means of the primary scale that the record of a trial reports for the arms of a plan made from it."""
    found = {(one.arm, one.weeks): one for one in _means(trial, plan)}
    return tuple(sorted(found.values(), key=lambda one: (one.arm, one.weeks)))


def _means(trial: Trial, plan: Plan) -> Iterator[PublishedMean]:
    arms = {arm.source.id for arm in plan.arms}
    for outcome in trial.outcomes:
        weeks = _weeks(outcome, plan)
        if weeks is None or outcome.subgroup or outcome.instruments != (plan.scales[0].name,):
            continue
        for report in outcome.reported:
            if isinstance(report, Means) and outcome.contrast is not None:
                sides = (outcome.contrast.treatment, outcome.contrast.reference)
                for side, mean in zip(sides, (report.treatment, report.reference), strict=True):
                    if len(side) == 1 and side[0] in arms:
                        yield _mean(side[0], weeks, mean)


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
