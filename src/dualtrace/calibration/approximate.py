"""A quick look at a posterior: a normal law at its mode, its draws weighed by the true density. Marked as such.

Tierney & Kadane 1986 (doi 10.1080/01621459.1986.10478240); weights smoothed as of Vehtari et al. 2024 (JMLR 25(72)).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.calibration.place import derived_at, middle, potential
from dualtrace.calibration.posterior import Method, Posterior
from dualtrace.calibration.provenance import provenance
from dualtrace.errors import FitError, InputError
from dualtrace.extras import arviz_module
from dualtrace.simulation.devices import prepare_jax

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from dualtrace.calibration.model import Problem
    from dualtrace.calibration.rivals import Rival

    Slope = Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]

_STEP = 1e-4
"""Of the differences of the gradient that make the Hessian, in prior SDs."""

_FLAT = 0.05
"""Least curvature: where the prior's is 1, the normal law is never wider than 4.5 prior SDs."""

_FEWEST = 100
_MOST_STEPS = 1000


def approximate(
    problem: Problem,
    rival: Rival,
    *,
    draws: int = 2000,
    seed: int = 1,
    left_out: NDArray[np.float64] | None = None,
) -> Posterior:
    """Draw from the normal law at the mode and resample by the true density: one chain of ``draws``.

    Parameters
    ----------
    problem, rival
        Trials, and account.
    draws, seed
        How many draws, and of their random numbers.
    left_out
        1 for trials that do not count, ``(trials,)``.

    Returns
    -------
    Posterior
        With Pareto k of the weights and the number of draws that they are worth; it does not pass when k is above
        0.7.

    Raises
    ------
    InputError
        Too few draws, or ArviZ is not installed.
    FitError
        No mode was found.
    """
    import jax
    from jax.flatten_util import ravel_pytree

    if draws < _FEWEST:
        raise InputError(f"an approximation needs at least {_FEWEST} draws; given {draws}")
    prepare_jax()
    start, unravel = ravel_pytree(middle(rival))
    mask = jax.numpy.asarray(np.zeros(problem.trials) if left_out is None else left_out, float)
    energy = partial(potential, problem, rival, left_out=mask)
    compiled = jax.jit(jax.value_and_grad(lambda flat: energy(unravel(flat))))

    def slope(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        value, gradient = compiled(jax.numpy.asarray(flat))
        return float(value), np.asarray(gradient)

    mode = _mode(rival, slope, np.asarray(start))
    factor = _spread(slope, mode)
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((draws, mode.size))
    places = jax.vmap(unravel)(jax.numpy.asarray(mode + noise @ factor.T))

    def every(place: dict[str, Any]) -> tuple[Any, Any, Any]:
        return energy(place), *derived_at(problem, rival, place)

    energies, likelihood, predicted = jax.jit(lambda all_: jax.lax.map(every, all_))(places)
    weights, k = _weights(0.5 * np.sum(noise**2, axis=-1) - np.asarray(energies))
    chosen = _systematic(weights, rng.uniform())
    return Posterior(
        account=rival.name,
        method=Method.LAPLACE,
        trials=tuple(subject.trial.id for subject in problem.subjects),
        scores={name: np.asarray(value)[None, chosen] for name, value in places.items()},
        log_likelihood=np.asarray(likelihood)[None, chosen],
        predicted=np.asarray(predicted)[None, chosen],
        pareto_k=k,
        effective=float(1 / np.sum(weights**2)),
        settings=provenance(problem) | {"draws": draws, "seed": seed},
    )


def _mode(rival: Rival, slope: Slope, start: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.optimize import minimize

    found = minimize(slope, start, jac=True, method="L-BFGS-B", options={"maxiter": _MOST_STEPS})
    if not np.isfinite(found.fun):
        raise FitError(f"no mode of the account {rival.name} was found ({found.message}); sample it instead")
    return np.asarray(found.x)


def _spread(slope: Slope, mode: NDArray[np.float64]) -> NDArray[np.float64]:
    """Factor of the covariance at the mode; curvature that is flat or of the wrong sign is set to the least."""
    steps = _STEP * np.eye(mode.size)
    rows = [(slope(mode + step)[1] - slope(mode - step)[1]) / (2 * _STEP) for step in steps]
    curvature, axes = np.linalg.eigh((np.array(rows) + np.array(rows).T) / 2)
    return np.asarray(axes / np.sqrt(np.maximum(curvature, _FLAT)))


def _weights(logs: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Smoothed weights that sum to 1, and Pareto k."""
    stats = arviz_module("arviz_stats.base", "Sample with NUTS on another machine.").array_stats
    smoothed, k = stats.psislw(-logs)
    weights = np.exp(np.asarray(smoothed) - np.max(smoothed))
    return weights / weights.sum(), float(k)


def _systematic(weights: NDArray[np.float64], offset: float) -> NDArray[np.int64]:
    """Systematic resampling (Kitagawa 1996, doi 10.2307/1390750): as many as there are weights."""
    marks = (np.arange(weights.size) + offset) / weights.size
    return np.minimum(np.searchsorted(np.cumsum(weights), marks), weights.size - 1).astype(np.int64)
