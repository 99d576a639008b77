"""A virtual trial as the record of a published one, with ``simulated`` as its source."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.errors import InputError
from dualtrace.evidence.record import (
    Arm,
    Contrast,
    Design,
    Estimand,
    Outcome,
    Sessions,
    Source,
    Timepoint,
    Timing,
    Trial,
)
from dualtrace.evidence.statistic import ArmCount, ArmMean, Changes, Events, Means, Obtained, Slopes
from dualtrace.frozen import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualtrace.evidence.statistic import AnyReport
    from dualtrace.mechanism.arrays import Array
    from dualtrace.simulation.mechanism import Mechanism
    from dualtrace.simulation.plan import ArmPlan, Plan
    from dualtrace.simulation.scale import Scale
    from dualtrace.simulation.tally import Tally

SOURCE = "simulated"
_LEAST = 2
"""Patients an arm needs for a standard deviation."""


def trial_record(plan: Plan, mechanism: Mechanism, sums: Tally, seed: int) -> Trial:
    """Return the record of a virtual trial.

    Of every scale means, SDs, changes, response and remission by the instrument's rule; of the primary one weekly
    slopes; drop-outs. Arm by arm against the reference arm.

    Parameters
    ----------
    plan, mechanism, seed
        What was simulated; they are named in the source.
    sums
        Sums over its patients.

    Raises
    ------
    InputError
        An arm has no patients.
    """
    protocol = plan.protocol
    _require_patients(plan, sums)
    note = (
        f"virtual trial of the protocol {protocol.id}, memory model {mechanism.memory}, seed {seed}, "
        f"{int(sums.people)} patients; no person was treated"
    )
    others = [place for place in range(len(plan.arms)) if place != plan.reference]
    return Trial(
        id=protocol.id,
        label=f"{protocol.title} (virtual)",
        citation=f"Simulated by dualtrace from the protocol {protocol.id}",
        status="results",
        disorder=protocol.disorder,
        population=protocol.population,
        sample="clinical",
        design=_design(plan, sums),
        outcomes=tuple(one for place in others for one in _outcomes(plan, sums, place)),
        limitations=("Simulated: it shows what the mechanism implies, not what happens to patients.",),
        sources={SOURCE: Source(kind="simulated", note=note)},
    )


def _require_patients(plan: Plan, sums: Tally) -> None:
    for arm, count in zip(plan.arms, sums.allotted, strict=True):
        if not count:
            raise InputError(
                f"a trial's record needs a patient in every arm; of {int(sums.people)} patients none was allotted to "
                f"{arm.source.id}: simulate more, or randomise in blocks"
            )


def _design(plan: Plan, sums: Tally) -> Design:
    protocol, weeks = plan.protocol, plan.start_h[-1] / 168
    after = tuple(v.weeks - weeks for v in plan.visits if v.timepoint is Timepoint.FOLLOWUP)
    return Design(
        arms=tuple(_arm(arm, sums, place) for place, arm in enumerate(plan.arms)),
        sessions=Sessions(
            therapy="exposure therapy (virtual)",
            total=plan.sessions,
            augmented=max(int(arm.dosed.sum()) for arm in plan.arms),
            minutes=_span(plan.minutes),
            interval_days=_span(np.diff(plan.start_h) / 24) if plan.sessions > 1 else None,
        ),
        exposure="therapy",
        n_randomized=int(sums.people),
        antidepressants="allowed" if plan.antidepressants > 0 else "excluded",
        followups_weeks=tuple(round(week, 2) for week in after),
        registered_primary=(protocol.primary,),
    )


def _span(values: Any) -> Span:  # noqa: ANN401
    return Span(low=float(np.min(values)), high=float(np.max(values)))


def _arm(arm: ArmPlan, sums: Tally, place: int) -> Arm:
    source = arm.source
    bands = [band.dose_mg for band in source.bands]
    doses = bands or ([] if source.dose_mg is None else [source.dose_mg])
    timing = None
    if source.give is not None:
        timing = Timing(given=source.give, minutes=_span([source.minutes]))
    return Arm(
        id=source.id,
        label=source.label,
        agent=source.agent,
        dose_mg=_span(doses) if doses else None,
        dose_mg_per_kg=source.dose_mg_per_kg,
        timing=timing,
        n_doses=int(arm.dosed.sum()),
        contingency=source.rule,
        n_randomized=int(sums.allotted[place]),
        n_analyzed=int(sums.allotted[place]),
    )


def _outcomes(plan: Plan, sums: Tally, place: int) -> Iterator[Outcome]:
    arms = (place, plan.reference)
    for v, visit in enumerate(plan.visits, 1):
        for s in visit.scales:
            yield from _scale_outcomes(plan, sums, arms, v, s)
    arm, reference = (plan.arms[i].source.id for i in arms)
    if min(sums.sloped[i] for i in arms) >= _LEAST:
        slopes = [arm_mean(sums.sloped[i], sums.slope[i], sums.slope_square[i]) for i in arms]
        report = Slopes(kind="slopes", treatment=slopes[0], reference=slopes[1], **_place())
        yield _outcome(plan, arms, plan.last_of_treatment, plan.scales[0], Estimand.SLOPE, report)
    gone = [int(sums.allotted[i] - sums.seen[i, plan.last_of_treatment].max()) for i in arms]
    count = [ArmCount(n=int(sums.allotted[i]), events=lost) for i, lost in zip(arms, gone, strict=True)]
    yield Outcome(
        id=outcome_key(arm, "dropout"),
        measure="Left before the end of treatment",
        estimand=Estimand.DROPOUT,
        timepoint=Timepoint.POST,
        contrast=Contrast(treatment=(arm,), reference=(reference,)),
        reported=(Events(kind="events", treatment=count[0], reference=count[1], **_place()),),
    )


def _scale_outcomes(plan: Plan, sums: Tally, arms: tuple[int, int], v: int, s: int) -> Iterator[Outcome]:
    scale = plan.scales[s]
    if min(sums.seen[i, v, s] for i in arms) < _LEAST:
        return
    means = [arm_mean(sums.seen[i, v, s], sums.total[i, v, s], sums.square[i, v, s]) for i in arms]
    score = Means(kind="means", treatment=means[0], reference=means[1], **_place())
    yield _outcome(plan, arms, v, scale, Estimand.POST_DIFFERENCE, score)
    if scale.baseline is not None:
        change = [arm_mean(sums.seen[i, v, s], sums.change[i, v, s], sums.change_square[i, v, s]) for i in arms]
        report = Changes(kind="changes", treatment=change[0], reference=change[1], **_place())
        yield _outcome(plan, arms, v, scale, Estimand.CHANGE, report)
    for estimand, counts, known in (
        (Estimand.RESPONSE, sums.responded, scale.has_response),
        (Estimand.REMISSION, sums.remitted, scale.has_remission),
    ):
        if known:
            both = [ArmCount(n=int(sums.seen[i, v, s]), events=int(counts[i, v, s])) for i in arms]
            yield _outcome(
                plan,
                arms,
                v,
                scale,
                estimand,
                Events(kind="events", treatment=both[0], reference=both[1], **_place()),
            )


def arm_mean(count: Array, total: Array, square: Array) -> ArmMean:
    """Mean and SD of an arm from its sums."""
    n, mean = int(count), float(total) / float(count)
    sd = math.sqrt(max(float(square) - n * mean**2, 0.0) / (n - 1))
    return ArmMean(n=n, mean=round(mean, 6), sd=round(sd, 6) if sd > 0 else None)


def _outcome(
    plan: Plan, arms: tuple[int, int], v: int, scale: Scale, estimand: Estimand, report: AnyReport
) -> Outcome:
    visit = plan.visits[v - 1]
    since_last = round(max(visit.weeks - plan.start_h[-1] / 168, 0.0), 2)
    arm, reference = (plan.arms[i].source.id for i in arms)
    return Outcome(
        id=outcome_key(arm, scale.name, visit.id, estimand.value),
        measure=f"{scale.instrument.name}: {estimand.value.replace('_', ' ')}",
        estimand=estimand,
        instruments=(scale.name,),
        timepoint=visit.timepoint,
        weeks=since_last if visit.timepoint is Timepoint.FOLLOWUP else None,
        contrast=Contrast(treatment=(arm,), reference=(reference,)),
        reported=(report,),
    )


def outcome_key(*parts: str) -> str:
    """Id of an outcome: arm, scale, visit and estimand, or arm and ``dropout``."""
    return re.sub(r"[^a-z0-9]+", "_", "_".join(parts).lower()).strip("_")


def _place() -> dict[str, Any]:
    return {"source": SOURCE, "where": "virtual trial", "obtained": Obtained.READ}
