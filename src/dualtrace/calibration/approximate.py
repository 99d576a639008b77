"""A quick look at a posterior: a normal law, begun at the mode, whose draws are weighed by the true density.

Laplace's approximation is fitted to its own weighed draws a few times (Cappé et al. 2008, doi
10.1007/s11222-008-9059-x); weights are smoothed as of Vehtari et al. 2024 (JMLR 25(72)). Marked as an approximation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np

from dualtrace.calibration.outcomes import reported_in
from dualtrace.calibration.place import derived_at, energy_of, middle, potential
from dualtrace.calibration.posterior import Method, Posterior
from dualtrace.calibration.provenance import provenance
from dualtrace.errors import FitError, InputError
from dualtrace.extras import arviz_module
from dualtrace.simulation.devices import prepare_jax

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from dualtrace.calibration.model import Problem
    from dualtrace.calibration.outcomes import Reported
    from dualtrace.calibration.rivals import Rival
    from dualtrace.mechanism.arrays import Array

    Slope = Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]

_STEP = 1e-4
"""Of the differences of the gradient that make the Hessian, in prior SDs."""

_FLAT = 0.05
"""Least curvature: where the prior's is 1, the normal law is never wider than 4.5 prior SDs."""

_ROUNDS = 8
"""Most times that the law is fitted to its own draws."""

_MOST_A_ROUND = 1000

_FROM_PRIOR = 0.1
"""Share of the draws that come from the prior, so that no weight is larger than the likelihood allows."""

_ENOUGH = 0.2
"""Share of the draws that flattened weights must be worth."""

_RIDGE = 0.01
"""Variance added to every direction, in prior variances, so that no direction is lost."""

_FEWEST = 100
_MOST_STEPS = 1000


def approximate(
    problem: Problem,
    rival: Rival,
    *,
    draws: int = 2000,
    seed: int = 1,
    left_out: NDArray[np.float64] | None = None,
    programs: Programs | None = None,
) -> Posterior:
    """Draw from a normal law around the mode and resample by the true density: one chain of ``draws``.

    Parameters
    ----------
    problem, rival
        Trials, and account.
    draws, seed
        How many draws, and of their random numbers.
    left_out
        1 for trials that do not count, ``(trials,)``.
    programs
        Of the same account and trials, whatever these reported; compiled now when absent.

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
    if draws < _FEWEST:
        raise InputError(f"an approximation needs at least {_FEWEST} draws; given {draws}")
    prepare_jax()
    mask = np.zeros(problem.trials) if left_out is None else left_out
    density = _Density(programs or Programs(problem, rival), reported_in(problem.rows), mask)
    mode = _mode(rival, density.slope, density.start)
    rng = np.random.default_rng(seed)
    law = _adapted(density, _Law(mode, _spread(density.slope, mode)), draws, rng)
    at, logs, likelihood, predicted = density.weighed(law, draws, rng)
    weights, k = _smoothed(logs)
    chosen = _systematic(weights, rng.uniform())
    return Posterior(
        account=rival.name,
        method=Method.LAPLACE,
        trials=tuple(subject.trial.id for subject in problem.subjects),
        scores={name: np.asarray(value)[None, chosen] for name, value in density.places(at).items()},
        log_likelihood=likelihood[None, chosen],
        predicted=predicted[None, chosen],
        pareto_k=k,
        effective=_worth(weights),
        settings=provenance(problem) | {"draws": draws, "seed": seed},
    )


class _Law(NamedTuple):
    """A normal law: mean, and factor of the covariance."""

    mean: NDArray[np.float64]
    factor: NDArray[np.float64]


@final
class Programs:
    """The density of an account over all its numbers in one row, compiled for whatever its trials may report.

    Parameters
    ----------
    problem, rival
        Trials, and account.
    """

    def __init__(self, problem: Problem, rival: Rival) -> None:
        import jax
        from jax.flatten_util import ravel_pytree

        start, self.place = ravel_pytree(middle(rival))
        self.start = np.asarray(start)

        def energy(flat: Array, reported: Reported, mask: Array) -> Array:
            return potential(problem.with_reported(reported), rival, self.place(flat), mask)

        def every(flat: Array, reported: Reported, mask: Array) -> tuple[Array, Array, Array]:
            place = self.place(flat)
            likelihood, placebo, predicted = derived_at(problem.with_reported(reported), rival, place)
            return energy_of(place, likelihood, placebo, mask), likelihood, predicted

        self.slope = jax.jit(jax.value_and_grad(energy))
        self.every = jax.jit(
            lambda flats, reported, mask: jax.lax.map(lambda flat: every(flat, reported, mask), flats)
        )


@final
class _Density:
    """The density for what the trials did report, some left out."""

    def __init__(self, programs: Programs, reported: Reported, left_out: NDArray[np.float64]) -> None:
        import jax

        self._programs, self.start = programs, programs.start
        self._given = jax.tree.map(jax.numpy.asarray, reported), jax.numpy.asarray(left_out, float)

    def slope(self, flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Negative log density and its gradient."""
        value, gradient = self._programs.slope(flat, *self._given)
        return float(value), np.asarray(gradient)

    def places(self, rows: NDArray[np.float64]) -> dict[str, Any]:
        """Rows as scores by name, ``(draws, ...)``."""
        import jax

        found: dict[str, Any] = jax.vmap(self._programs.place)(jax.numpy.asarray(rows))
        return found

    def weighed(self, law: _Law, draws: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], ...]:
        """Draws of a law, logs of their weights, log-likelihoods of the trials, and predictions of the rows."""
        noise = rng.standard_normal((draws, law.mean.size))
        from_prior = rng.uniform(size=(draws, 1)) < _FROM_PRIOR
        rows = np.where(from_prior, noise, law.mean + noise @ law.factor.T)
        energy, likelihood, predicted = (np.asarray(found) for found in self._programs.every(rows, *self._given))
        return rows, -energy - _log_density(law, rows), likelihood, predicted


def _log_density(law: _Law, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log density of the mixture of a law and the prior, up to a constant."""
    standard = np.linalg.solve(law.factor, (rows - law.mean).T)
    own = -0.5 * np.sum(standard**2, axis=0) - np.linalg.slogdet(law.factor).logabsdet
    prior = -0.5 * np.sum(rows**2, axis=-1)
    return np.asarray(np.logaddexp(np.log1p(-_FROM_PRIOR) + own, np.log(_FROM_PRIOR) + prior))


def _adapted(density: _Density, law: _Law, draws: int, rng: np.random.Generator) -> _Law:
    """Fit the law to its own weighed draws, weights flattened while they are worth too little."""
    for _ in range(_ROUNDS):
        rows, logs, _, _ = density.weighed(law, min(draws, _MOST_A_ROUND), rng)
        power = _flattened(logs)
        weights = _normalised(power * logs)
        mean = weights @ rows
        away = rows - mean
        spread = (weights[:, None] * away).T @ away + _RIDGE * np.eye(mean.size)
        law = _Law(mean, np.asarray(np.linalg.cholesky(spread), np.float64))
        if power >= 1:
            break
    return law


def _flattened(logs: NDArray[np.float64]) -> float:
    """Largest power, up to 1, to which weights may be raised so that they are worth enough draws."""
    low, high = 0.0, 1.0
    if _worth(_normalised(logs)) >= _ENOUGH * logs.size:
        return high
    for _ in range(30):
        middle_ = (low + high) / 2
        low, high = (middle_, high) if _worth(_normalised(middle_ * logs)) >= _ENOUGH * logs.size else (low, middle_)
    return low


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


def _smoothed(logs: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Smoothed weights that sum to 1, and Pareto k."""
    stats = arviz_module("arviz_stats.base", "There is no way around it: weights without a check are no answer.")
    smoothed, k = stats.array_stats.psislw(-logs)
    return _normalised(np.asarray(smoothed)), float(k)


def _normalised(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(logs - logs.max())
    return np.asarray(weights / weights.sum())


def _worth(weights: NDArray[np.float64]) -> float:
    return float(1 / np.sum(weights**2))


def _systematic(weights: NDArray[np.float64], offset: float) -> NDArray[np.int64]:
    """Systematic resampling (Kitagawa 1996, doi 10.2307/1390750): as many as there are weights."""
    marks = (np.arange(weights.size) + offset) / weights.size
    return np.minimum(np.searchsorted(np.cumsum(weights), marks), weights.size - 1).astype(np.int64)
