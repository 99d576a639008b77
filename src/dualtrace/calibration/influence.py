"""How much of a posterior hangs on one trial, or on one kind of information: weighed as if it had not been there.

Weights are smoothed as of Vehtari et al. 2024 (JMLR 25(72)); what Pareto k says of them goes with every answer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from dualtrace.calibration.findings import Influence
from dualtrace.calibration.leave_out import smoothed
from dualtrace.calibration.model import STRENGTH, likelihoods_of, priors_of
from dualtrace.calibration.outcomes import PLACEBO
from dualtrace.calibration.place import SHARED
from dualtrace.calibration.rivals import rival
from dualtrace.calibration.rounding import finite, rounded
from dualtrace.mechanism.arrays import xp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dualtrace.calibration.model import Problem
    from dualtrace.calibration.posterior import Posterior
    from dualtrace.mechanism.arrays import Array

_SAME = 1e-12


def of_trials(posterior: Posterior) -> tuple[Influence, ...]:
    """Influence of every trial on the strength of the drug's boost, and on the parameter that moves most."""
    return tuple(
        influence(posterior, trial, posterior.log_likelihood[..., j].ravel())
        for j, trial in enumerate(posterior.trials)
    )


def of_kinds(problem: Problem, posterior: Posterior, kinds: Sequence[str]) -> tuple[Influence, ...]:
    """Influence of every kind of information about the drug's effect; ``kinds`` of the rows."""
    whole = _summed(problem, posterior)
    found = []
    for kind in sorted({kind for kind, own in zip(kinds, _are_effects(problem), strict=True) if own}):
        of_kind = np.array([one == kind for one in kinds])
        without = _summed(_hidden(problem, of_kind), posterior)
        found.append(influence(posterior, kind, whole - without))
    return tuple(found)


def influence(posterior: Posterior, left_out: str, said: NDArray[np.float64]) -> Influence:
    """Weigh the draws by ``exp(-said)``: ``said`` is the log-likelihood of what is left out, ``(all draws,)``."""
    weights, k = _weights(said)
    scores = posterior.scores[SHARED].reshape(len(said), -1)
    spread = scores.std(axis=0)  # 0 where all draws are the same: nothing can move them
    shifts = np.where(spread > _SAME, (weights @ scores - scores.mean(axis=0)) / np.maximum(spread, _SAME), 0.0)
    names = list(priors_of(rival(posterior.account)))
    most = int(np.argmax(np.abs(shifts)))
    return Influence(
        left_out=left_out,
        shift=rounded(float(shifts[names.index(STRENGTH[0])])),
        most=names[most],
        most_shift=rounded(float(shifts[most])),
        pareto_k=finite(k),
        effective=rounded(float(1 / np.sum(weights**2))),
    )


def _weights(said: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Weights that sum to 1, and Pareto k; infinite where there is no tail to fit."""
    if np.ptp(said) < _SAME:
        return np.full(said.size, 1 / said.size), 0.0
    logs, k = smoothed(said)
    weights = np.exp(logs - np.max(logs))
    return np.asarray(weights / weights.sum()), k


def _are_effects(problem: Problem) -> NDArray[np.bool_]:
    return np.asarray(np.asarray(problem.rows.standard) != PLACEBO)


def _hidden(problem: Problem, of_kind: NDArray[np.bool_]) -> Problem:
    """The problem without some rows: they pass for changes with placebo, which the trials' likelihood leaves out."""
    standard = xp.asarray(np.where(of_kind, PLACEBO, np.asarray(problem.rows.standard)))
    return replace(problem, rows=problem.rows._replace(standard=standard))


def _summed(problem: Problem, posterior: Posterior) -> NDArray[np.float64]:
    """Log-likelihood of all trials in every draw, ``(all draws,)``."""
    import jax

    account = rival(posterior.account)

    def one(draw: tuple[Mapping[str, Array], Array]) -> Array:
        shared, expected = draw
        return likelihoods_of(problem, account, shared, expected)[0].sum()

    rows = posterior.predicted.shape[-1]
    draws = ({n: v.ravel() for n, v in posterior.values.items()}, posterior.predicted.reshape(-1, rows))
    return np.asarray(jax.jit(lambda given: jax.lax.map(one, given))(jax.tree.map(jax.numpy.asarray, draws)))
