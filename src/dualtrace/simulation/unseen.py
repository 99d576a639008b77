"""What no trial can see: each virtual patient against the same patient in the reference arm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from dualtrace.analysis.result import Result
from dualtrace.simulation.tally import FEAR_BINS, GAIN_EDGES

if TYPE_CHECKING:
    from dualtrace.simulation.virtual_trial import VirtualTrial

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantiles of the benefit that are given."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Visited(Result):
    """Benefit of all patients at one visit, in SDs of the primary scale at baseline; positive is better.

    Attributes
    ----------
    visit, weeks
        When.
    mean, sd
        Of the benefit over patients.
    better, worse
        Share of patients better and worse off by a tenth of an SD or more.
    """

    visit: str
    weeks: float
    mean: float
    sd: float
    better: float
    worse: float


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ByFear(Result):
    """Sessions that ended with a fear between ``low`` and ``high`` SUDS, the last session of each patient left out.

    Attributes
    ----------
    sessions
        How many.
    less_fear
        SUDS more lost from the start of the session to that of the next one than in the reference arm, on average;
        NaN of no session.
    """

    low: float
    high: float
    sessions: int
    less_fear: float


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen(Result):
    """Benefit of one arm.

    Attributes
    ----------
    arm
        Which.
    visits
        Visit by visit, the baseline left out.
    quantiles
        Benefit at the end of treatment by :data:`LEVELS`; empty without a table of the patients.
    histogram
        Patients by benefit at the end of treatment, between :data:`dualtrace.simulation.tally.GAIN_EDGES`; the first
        and the last bin are open.
    by_fear
        Benefit by fear at the end of the session.
    """

    arm: str
    visits: tuple[Visited, ...]
    quantiles: tuple[float, ...]
    histogram: tuple[int, ...]
    by_fear: tuple[ByFear, ...]

    def __post_init__(self) -> None:
        if len(self.histogram) != GAIN_EDGES.size + 1 or len(self.by_fear) != FEAR_BINS:
            raise ValueError(
                f"{self.arm}: there must be {GAIN_EDGES.size + 1} bins of benefit and {FEAR_BINS} of fear"
            )


def unseen(trial: VirtualTrial, *, with_rows: bool) -> tuple[Unseen, ...]:
    """Compare every arm with the reference arm, patient by patient; ``with_rows`` adds quantiles."""
    others = [place for place in range(len(trial.plan.arms)) if place != trial.plan.reference]
    return tuple(_unseen(trial, place, with_rows=with_rows) for place in others)


def _unseen(trial: VirtualTrial, place: int, *, with_rows: bool) -> Unseen:
    plan, sums = trial.plan, trial.sums
    width = 100.0 / FEAR_BINS
    return Unseen(
        arm=plan.arms[place].source.id,
        visits=tuple(_visited(trial, place, v) for v in range(1, 1 + len(plan.visits))),
        quantiles=_quantiles(trial, place) if with_rows else (),
        histogram=tuple(int(count) for count in sums.gain_counts[place]),
        by_fear=tuple(
            ByFear(
                low=width * i,
                high=width * (i + 1),
                sessions=int(count),
                less_fear=float(total) / float(count) if count else math.nan,
            )
            for i, (count, total) in enumerate(zip(sums.moderated[place], sums.moderated_gain[place], strict=True))
        ),
    )


def _visited(trial: VirtualTrial, place: int, v: int) -> Visited:
    sums, n = trial.sums, float(trial.sums.people)
    mean = float(sums.gain[place, v]) / n
    visit = trial.plan.visits[v - 1]
    return Visited(
        visit=visit.id,
        weeks=visit.weeks,
        mean=mean,
        sd=math.sqrt(max(float(sums.gain_square[place, v]) / n - mean**2, 0.0)),
        better=float(sums.better[place, v]) / n,
        worse=float(sums.worse[place, v]) / n,
    )


def _quantiles(trial: VirtualTrial, place: int) -> tuple[float, ...]:
    plan, twin = trial.plan, np.asarray(trial.rows.twin, float)
    end, scale = plan.last_of_treatment, plan.scales[0]
    gain = np.sign(scale.worst - scale.best) * (twin[plan.reference, end] - twin[place, end]) / plan.primary_sd
    return tuple(float(value) for value in np.quantile(gain, LEVELS))
