"""What a virtual trial would report: arms, sessions, scores, and effects as of a published record."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from dualtrace.analysis.result import Result
from dualtrace.effects.convert import convert
from dualtrace.effects.effect import Effect
from dualtrace.evidence.record import Estimand
from dualtrace.simulation.record import outcome_key
from dualtrace.simulation.show import dose_in_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualtrace.simulation.plan import Plan
    from dualtrace.simulation.tally import Tally
    from dualtrace.simulation.virtual_trial import VirtualTrial

BASELINE = "baseline"
_START, _END = 0, 2
"""Places of the first and the last SUDS of a session in :attr:`Tally.suds`."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Treated(Result):
    """What happened in one arm.

    Attributes
    ----------
    arm, label, given
        Id, name and what was given, in words.
    is_reference
        Whether the others are compared with it.
    n, left
        Patients allotted, and how many of them left before treatment ended.
    sessions, capsules
        Mean number of sessions attended and of capsules with drug swallowed.
    boost
        Mean boost ``M`` of the sessions with a capsule; NaN without any.
    """

    arm: str
    label: str
    given: str
    is_reference: bool
    n: int
    left: int
    sessions: float
    capsules: float
    boost: float


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Fear(Result):
    """SUDS (0 to 100) of the patients of one arm in one session; NaN where a session has no exposures.

    Attributes
    ----------
    arm, session, day
        Which; sessions count from 1.
    n
        Patients who gave them.
    start, start_sd, end, end_sd
        Mean and SD of the first and of the last rating.
    """

    arm: str
    session: int
    day: float
    n: int
    start: float
    start_sd: float
    end: float
    end_sd: float


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Score(Result):
    """Observed score of the patients of one arm who were still there at a visit.

    Attributes
    ----------
    arm, visit, weeks, scale
        Which; ``baseline`` is the first visit, weeks count from the first session.
    n, mean, sd
        Patients measured, their mean and SD (NaN of one patient).
    """

    arm: str
    visit: str
    weeks: float
    scale: str
    n: int
    mean: float
    sd: float


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Compared(Result):
    """An arm against the reference arm, by the same code as published trials (:mod:`dualtrace.effects`).

    Attributes
    ----------
    arm, visit, weeks, scale, estimand
        What was compared, and when.
    metric
        ``SMD`` (Hedges' g) or ``OR``; an odds ratio stands as such, not as a logarithm.
    estimate, ci_lb, ci_ub, p
        Positive (above 1 for a ratio) favours the arm; NaN where nothing can be told.
    refused
        Why nothing can be told; empty otherwise.
    """

    arm: str
    visit: str
    weeks: float
    scale: str
    estimand: str
    metric: str
    estimate: float
    ci_lb: float
    ci_ub: float
    p: float
    refused: str = ""


def treated(plan: Plan, sums: Tally) -> tuple[Treated, ...]:
    """What happened, arm by arm."""
    return tuple(_treated(plan, sums, place) for place in range(len(plan.arms)))


def _treated(plan: Plan, sums: Tally, place: int) -> Treated:
    source, n = plan.arms[place].source, int(sums.allotted[place])
    dosed = float(sums.dosed[place].sum())
    return Treated(
        arm=source.id,
        label=source.label,
        given=dose_in_words(source),
        is_reference=place == plan.reference,
        n=n,
        left=n - int(sums.seen[place, plan.last_of_treatment].max()),
        sessions=_ratio(float(sums.attended[place].sum()), n),
        capsules=_ratio(dosed, n),
        boost=_ratio(float(sums.boost[place].sum()), dosed),
    )


def fears(plan: Plan, sums: Tally) -> tuple[Fear, ...]:
    """SUDS of every arm and session."""
    return tuple(
        _fear(plan, sums, place, session) for place in range(len(plan.arms)) for session in range(plan.sessions)
    )


def _fear(plan: Plan, sums: Tally, place: int, session: int) -> Fear:
    n = int(sums.exposed[place, session])
    total, square = sums.suds[place, session], sums.suds_square[place, session]
    (start, start_sd), (end, end_sd) = (_mean_sd(n, float(total[i]), float(square[i])) for i in (_START, _END))
    return Fear(
        arm=plan.arms[place].source.id,
        session=session + 1,
        day=float(plan.start_h[session] / 24),
        n=n,
        start=start,
        start_sd=start_sd,
        end=end,
        end_sd=end_sd,
    )


def scores(plan: Plan, sums: Tally) -> tuple[Score, ...]:
    """Scores of every arm, visit and scale that was measured."""
    visits = [(BASELINE, 0.0), *((visit.id, visit.weeks) for visit in plan.visits)]
    found = []
    for place, arm in enumerate(plan.arms):
        for v, (visit, weeks) in enumerate(visits):
            for s, scale in enumerate(plan.scales):
                if plan.measured[v, s]:
                    n = int(sums.seen[place, v, s])
                    mean, sd = _mean_sd(n, float(sums.total[place, v, s]), float(sums.square[place, v, s]))
                    found.append(
                        Score(arm=arm.source.id, visit=visit, weeks=weeks, scale=scale.name, n=n, mean=mean, sd=sd)
                    )
    return tuple(found)


def _mean_sd(n: int, total: float, square: float) -> tuple[float, float]:
    mean = _ratio(total, n)
    return mean, math.sqrt(max(square - n * mean**2, 0.0) / (n - 1)) if n > 1 else math.nan


def _ratio(total: float, count: float) -> float:
    return total / count if count else math.nan


def compared(trial: VirtualTrial) -> tuple[Compared, ...]:
    """Score, response and remission of every arm against the reference arm, from the trial's record."""
    return tuple(_all_compared(trial))


def _all_compared(trial: VirtualTrial) -> Iterator[Compared]:
    plan, record = trial.plan, trial.record
    outcomes = {one.id: one for one in record.outcomes}
    for place, arm in enumerate(plan.arms):
        if place == plan.reference:
            continue
        for visit in plan.visits:
            for s in visit.scales:
                for estimand in (Estimand.POST_DIFFERENCE, Estimand.RESPONSE, Estimand.REMISSION):
                    key = outcome_key(arm.source.id, plan.scales[s].name, visit.id, estimand.value)
                    if key in outcomes:
                        place_of = (arm.source.id, visit.id, visit.weeks, plan.scales[s].name)
                        effect = convert(record, outcomes[key])
                        yield _compared(place_of, estimand, effect if isinstance(effect, Effect) else effect.reason)


def _compared(place: tuple[str, str, float, str], estimand: Estimand, effect: Effect | str) -> Compared:
    arm, visit, weeks, scale = place
    counted = estimand in (Estimand.RESPONSE, Estimand.REMISSION)
    estimate, (low, high), p, refused = math.nan, (math.nan, math.nan), math.nan, ""
    if isinstance(effect, str):
        refused = effect
    elif effect.yi is not None:
        estimate, (low, high) = effect.as_printed(effect.yi), (effect.as_printed(end) for end in effect.ci())
        p = math.nan if effect.p_value is None else effect.p_value
    return Compared(
        arm=arm,
        visit=visit,
        weeks=weeks,
        scale=scale,
        estimand=estimand.value,
        metric="OR" if counted else "SMD",
        estimate=estimate,
        ci_lb=low,
        ci_ub=high,
        p=p,
        refused=refused,
    )
