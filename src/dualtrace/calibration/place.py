"""Parameters as standard normal numbers: every prior is the image of one, so that no density needs a Jacobian."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dualtrace.calibration.model import Problem, deviations_of, likelihoods_of, predictions, priors_of
from dualtrace.calibration.targets import DISORDERS
from dualtrace.mechanism.arrays import xp
from dualtrace.mechanism.prior import LogNormal, LogUniform, Normal, Uniform

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualtrace.calibration.rivals import Rival
    from dualtrace.mechanism.arrays import Array
    from dualtrace.mechanism.prior import Prior

SHARED = "shared"
"""Name of the numbers of the shared parameters in a place, ``(parameters,)``; the others are per disorder."""


def from_normal(prior: Prior, score: Array) -> Array:
    r"""Value of a parameter whose standard normal score is ``score``: :math:`\theta = Q(\Phi(u))`.

    Raises
    ------
    TypeError
        The prior has no such map.
    """
    match prior:
        case Normal():
            return xp.asarray(prior.mean + prior.sd * score)
        case LogNormal():
            return prior.median * xp.exp(prior.log_sd * score)
        case Uniform():
            return xp.asarray(prior.low + (prior.high - prior.low) * _below(score))
        case LogUniform():
            return prior.low * (prior.high / prior.low) ** _below(score)
    raise TypeError(f"a prior of kind {prior.kind!r} cannot be calibrated")


def _below(score: Array) -> Array:
    import jax

    return jax.scipy.special.ndtr(score)


def middle(rival: Rival) -> dict[str, Any]:
    """Return the place where every parameter is at the median of its prior."""
    import jax.numpy as jnp

    place = {SHARED: jnp.zeros(len(priors_of(rival)))}
    return place | {name: jnp.zeros(len(DISORDERS)) for name in deviations_of(rival)}


def shared_at(rival: Rival, place: Mapping[str, Array]) -> dict[str, Array]:
    """Shared parameters by name at a place."""
    return {name: from_normal(prior, place[SHARED][i]) for i, (name, prior) in enumerate(priors_of(rival).items())}


def at(problem: Problem, rival: Rival, place: Mapping[str, Array]) -> tuple[Array, Array]:
    """Log-likelihood of every trial, and of the changes with placebo, at a place."""
    return derived_at(problem, rival, place)[:2]


def derived_at(problem: Problem, rival: Rival, place: Mapping[str, Array]) -> tuple[Array, Array, Array]:
    """Log-likelihoods of trials ``(trials,)`` and of the changes with placebo; prediction of every row ``(R,)``."""
    shared = shared_at(rival, place)
    expected = predictions(problem, rival, shared, {name: place[name] for name in deviations_of(rival)})
    return *likelihoods_of(problem, rival, shared, expected), expected


def potential(problem: Problem, rival: Rival, place: Mapping[str, Array], left_out: Array | None = None) -> Array:
    """Negative log density of a place, up to a constant; ``left_out`` is 1 for trials that do not count."""
    trials, placebo = at(problem, rival, place)
    return energy_of(place, trials, placebo, left_out)


def energy_of(place: Mapping[str, Array], trials: Array, placebo: Array, left_out: Array | None) -> Array:
    """Return the same from the log-likelihoods at the place."""
    kept = trials if left_out is None else trials * (1 - left_out)
    prior = sum(xp.sum(score**2) for score in place.values()) / 2
    return xp.asarray(prior - xp.sum(kept) - placebo)
