"""A virtual trial run many times with new patients, each run analysed: what chance makes of one design."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

import numpy as np

from dualtrace.analysis.ancova import Ancova, ancova
from dualtrace.errors import InputError
from dualtrace.simulation.engine import Engine, Precision
from dualtrace.simulation.mechanism import Mechanism
from dualtrace.simulation.patient_analyses import end_visit
from dualtrace.simulation.plan import plan_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dualtrace.simulation.plan import Plan
    from dualtrace.simulation.protocol import Protocol

MOST = 10_000_000
"""Most patients of all trials together whose outcomes are kept in memory."""


@final
@dataclass(frozen=True, eq=False)
class Replicates:
    """Trials of one protocol, alike in everything but chance.

    Attributes
    ----------
    plan, seed
        What was done, by which random numbers.
    arm
        Place of the arm each patient was allotted to, ``(trials, n)``.
    scores
        Observed primary score in that arm, ``(trials, n, 1 + visits)``, the baseline first; NaN where not assessed or
        gone.
    end
        SUDS at the end of every session, ``(trials, n, sessions)``, NaN where there were none.
    """

    plan: Plan
    seed: int
    arm: NDArray[np.int8]
    scores: NDArray[np.floating]
    end: NDArray[np.floating]

    def __post_init__(self) -> None:
        if self.arm.shape != self.scores.shape[:2] or self.arm.shape != self.end.shape[:2]:
            raise ValueError(f"arrays of trials must agree; given {self.arm.shape}, {self.scores.shape}")
        for array in (self.arm, self.scores, self.end):
            array.flags.writeable = False

    def ancova(self, visit: str | None = None, *, level: float = 0.95) -> Ancova:
        """Analyse every trial: arms compared at a visit, adjusted for baseline, complete cases.

        Parameters
        ----------
        visit
            Id of the visit; by default the one that ends treatment.
        level
            Confidence level.

        Returns
        -------
        Ancova
            Effects against the reference arm with standard errors and p, leading axis the trials; a trial that
            determines no answer is NaN.

        Raises
        ------
        InputError
            The primary scale is not assessed at the visit, or has no baseline; or there is one arm only.
        FitError
            No trial determines an answer.
        """
        names = [arm.source.id for arm in self.plan.arms]
        order = [self.plan.reference, *(j for j in range(len(names)) if j != self.plan.reference)]
        post = self.scores[:, :, self._place(visit)]
        found = ancova(post, self.scores[:, :, 0], self.arm, reference=self.plan.reference, level=level)
        # Numbers stand for the names until here: finding the labels among texts takes longer than the analysis.
        return replace(found, arms=tuple(names[j] for j in order if str(j) in found.arms))

    def _place(self, visit: str | None) -> int:
        places = {one.id: place for place, one in enumerate(self.plan.visits, 1) if 0 in one.scales}
        scale = self.plan.scales[0]
        if scale.baseline is None:
            raise InputError(f"{scale.name} has no baseline to adjust for; put another instrument first")
        wanted = end_visit(self.plan) if visit is None else visit
        if wanted not in places:
            raise InputError(f"{scale.name} is assessed at {', '.join(places) or 'no visit'}; given {wanted}")
        return places[wanted]


def run_trials(
    protocol: Protocol,
    mechanism: Mechanism | None = None,
    *,
    trials: int,
    patients: int | None = None,
    seed: int = 1,
    precision: Precision = "float64",
) -> Replicates:
    """Run a protocol many times.

    Patient ``i`` of trial ``r`` is patient ``r n + i`` of the seed, so that the first trial is the one that
    :func:`dualtrace.simulation.virtual_trial.run` gives, and ``n`` times the trials are one large trial's patients.

    Parameters
    ----------
    protocol, mechanism, seed, precision
        As for one trial.
    trials
        How many.
    patients
        In each of them; the protocol's number when absent.

    Raises
    ------
    InputError
        A number is out of range, or there are too many patients to keep.
    """
    return trials_of(Engine(plan_of(protocol), mechanism or Mechanism(), precision), trials, patients, seed)


def trials_of(engine: Engine, trials: int, patients: int | None = None, seed: int = 1) -> Replicates:
    """Run an engine's plan many times; see :func:`run_trials`."""
    each = engine.plan.protocol.patients if patients is None else patients
    if trials < 1 or each < 1:
        raise InputError(f"there must be 1 or more trials of 1 or more patients; given {trials:,} of {each:,}")
    if trials * each > MOST:
        raise InputError(
            f"outcomes of at most {MOST:,} patients are kept; given {trials:,} trials of {each:,}: run fewer at a "
            "time, each time with another seed"
        )
    found = engine.outcomes(each, seed, trials=trials)
    split = [np.moveaxis(np.asarray(part).reshape(-1, trials, each), 0, -1) for part in found]
    return Replicates(engine.plan, seed, split[0][..., 0], split[1], split[2])
