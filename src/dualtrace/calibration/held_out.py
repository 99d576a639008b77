"""The newest trials predicted from the older ones: trials from a year on, after a fit to those before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from dualtrace.calibration.leave_out import log_predictive
from dualtrace.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dualtrace.calibration.model import Problem
    from dualtrace.calibration.posterior import Posterior

SINCE = 2019
"""First year of the trials that are predicted."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """What an account that was fitted to older trials says of newer ones.

    Attributes
    ----------
    account
        Its name.
    trials
        Ids of the newer trials.
    elpd
        Log predictive density of each by itself, ``(trials,)``.
    failures
        What speaks against the draws, in sentences.
    """

    account: str
    trials: tuple[str, ...]
    elpd: NDArray[np.float64]
    failures: tuple[str, ...]

    @property
    def total(self) -> float:
        """Sum over trials."""
        return float(self.elpd.sum())


def newer(problem: Problem, since: int = SINCE) -> tuple[str, ...]:
    """Ids of the trials from a year on; a trial without a year counts as older.

    Raises
    ------
    InputError
        All trials are on one side.
    """
    found = tuple(s.trial.id for s in problem.subjects if (s.trial.year or 0) >= since)
    if not 0 < len(found) < problem.trials:
        raise InputError(
            f"to predict newer trials some must be from {since} on and some from before; {len(found)} of "
            f"{problem.trials} are from {since} on"
        )
    return found


def mask_of(problem: Problem, left_out: tuple[str, ...]) -> NDArray[np.float64]:
    """1 for trials that do not count, ``(trials,)``.

    Raises
    ------
    InputError
        One of them is not among the trials.
    """
    ids = [subject.trial.id for subject in problem.subjects]
    if missing := [trial for trial in left_out if trial not in ids]:
        raise InputError(f"trials to leave out must be among those that are fitted; {', '.join(missing)} is not")
    return np.array([float(trial in left_out) for trial in ids])


def held_out(posterior: Posterior, trials: tuple[str, ...]) -> HeldOut:
    """What a posterior that was fitted without some trials says of them."""
    return HeldOut(posterior.account, trials, log_predictive(posterior, trials), posterior.failures)
