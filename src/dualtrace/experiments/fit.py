"""A memory model fitted to individuals: the whole posterior by NUTS, or a quick look at its mode.

The model is that of :mod:`dualtrace.experiments.posterior`. The cohort is the batch of one scan, so that a gradient
costs one pass through the trials. Sampling needs the extra ``bayes``; it is imported when a model is sampled and not
before. Sources: Hoffman & Gelman 2014 (NUTS, no DOI).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.errors import FitError, InputError
from dualtrace.experiments.design import design_of
from dualtrace.experiments.fitted import Fitted, Summary
from dualtrace.experiments.posterior import (
    SPREAD_SCALE,
    centred,
    constants_of,
    expected_of,
    load,
    pointwise,
    potential,
    problem_of,
    start,
    typical_logits,
)
from dualtrace.mechanism.parameters import load_parameters

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dualtrace.experiments.design import Design
    from dualtrace.experiments.individuals import Responses
    from dualtrace.experiments.posterior import Place, Problem
    from dualtrace.mechanism.memory.contract import Memory
    from dualtrace.mechanism.parameters import ParameterTable

_BAND = (0.05, 0.95)
_JITTER = 0.5
_FEWEST = 4
_DEPTHS = (7, 10)
"""Deepest tree in warm-up, where steps are not yet of the right size, and after it."""

_MOST_DENSE = 100
"""Most dimensions for which the covariance of the posterior is learned; variances alone beyond."""


def fit(
    model: Memory[Any, Any],
    design: str | Design,
    responses: Responses,
    free: tuple[str, ...],
    *,
    chains: int = 4,
    warmup: int = 500,
    draws: int = 500,
    target_accept: float = 0.85,
    seed: int = 1,
    table: ParameterTable | None = None,
) -> Fitted:
    """Sample the posterior of a model's constants for a cohort.

    Parameters
    ----------
    model
        Any memory model.
    design
        What every subject went through: a line of the notation, or a
        :class:`~dualtrace.experiments.design.Design` (:func:`~dualtrace.experiments.design.design_of_group`).
    responses
        Readings, one trial for each presentation of the design in order; they know their scale.
    free
        Constants to estimate; the others keep their values.
    chains, warmup, draws, target_accept, seed
        Of the sampler.
    table
        Constants; the shipped ones when absent.

    Raises
    ------
    InputError
        NumPyro is not installed, a constant cannot be free, or trials and presentations do not match.
    FitError
        The density is not finite anywhere near the prior.
    """
    if chains < 1 or warmup < 1 or draws < _FEWEST:
        raise InputError(
            f"chains and warmup must be at least 1 and draws {_FEWEST}; given {chains}, {warmup}, {draws}"
        )
    if not 0 < target_accept < 1:
        raise InputError(f"target_accept must lie between 0 and 1; given {target_accept:g}")
    plan = design_of(design)
    problem = problem_of(model, plan, responses, free, table or load_parameters())
    load("numpyro")
    with load("jax").enable_x64(True):
        problem = centred(problem)
        raw, divergences = _sample(problem, (chains, warmup, draws), target_accept, seed)
        found = _derived(problem, raw)
    return _fitted(problem, plan.says, raw, found, divergences, seed)


def _sample(problem: Problem, size: tuple[int, int, int], target_accept: float, seed: int) -> tuple[Place, int]:
    """Draws by name, ``(chains, draws, ...)``, and the number of divergent transitions."""
    jax, infer = load("jax"), load("numpyro.infer")
    chains, warmup, draws = size
    rng = np.random.default_rng(seed)
    places = [start(problem, rng, _JITTER) for _ in range(chains)]
    density = jax.jit(partial(potential, problem))
    _require_finite(problem, density, places)
    first = {name: np.stack([place[name] for place in places]) for name in places[0]}
    first = first if chains > 1 else {name: value[0] for name, value in first.items()}
    dense = sum(part.size for part in places[0].values()) <= _MOST_DENSE
    sampler = infer.MCMC(
        infer.NUTS(potential_fn=density, target_accept_prob=target_accept, dense_mass=dense, max_tree_depth=_DEPTHS),
        num_warmup=warmup,
        num_samples=draws,
        num_chains=chains,
        chain_method="sequential",
        progress_bar=False,
    )
    init = {name: jax.numpy.asarray(value) for name, value in first.items()}
    sampler.run(jax.random.PRNGKey(seed), init_params=init, extra_fields=("diverging",))
    raw = {name: np.asarray(value) for name, value in sampler.get_samples(group_by_chain=True).items()}
    return raw, int(np.asarray(sampler.get_extra_fields()["diverging"]).sum())


def _require_finite(problem: Problem, density: Any, places: list[Place]) -> None:  # noqa: ANN401
    import jax

    for place in places:
        value, gradient = jax.value_and_grad(density)({name: jax.numpy.asarray(part) for name, part in place.items()})
        if not all(bool(np.isfinite(part).all()) for part in (value, *gradient.values())):
            names = ", ".join(free.name for free in problem.free)
            raise FitError(
                f"{problem.model.name} has no finite density with gradient near the prior of {names}; hold some of "
                "them at their values, or choose another model"
            )


def _derived(problem: Problem, raw: Place) -> dict[str, NDArray[np.float64]]:
    """What follows from every draw, first axis all draws of all chains."""
    import jax

    def one(place: Place) -> dict[str, Any]:
        return {
            "typical": typical_logits(problem, place),
            "subjects": constants_of(problem, place).T,
            "expected": expected_of(problem, place),
            "loglik": pointwise(problem, place),
        }

    flat = {name: jax.numpy.asarray(value.reshape(-1, *value.shape[2:])) for name, value in raw.items()}
    found = jax.jit(lambda places: jax.lax.map(one, places))(flat)
    return {name: np.asarray(value) for name, value in found.items()}


def _fitted(
    problem: Problem, says: str, raw: Place, found: dict[str, NDArray[np.float64]], divergences: int, seed: int
) -> Fitted:
    chains, draws = raw["noise"].shape
    logits = found["typical"].reshape(chains, draws, -1)
    typical = np.stack([c.value(logits[:, :, k]) for k, c in enumerate(problem.free)], axis=-1)
    subjects = found["subjects"].reshape(chains, draws, -1, len(problem.free))
    spread, noise = np.exp(raw["spread"]), np.exp(raw["noise"]) * problem.unit
    rhat = np.asarray(load("numpyro.diagnostics").split_gelman_rubin(subjects))
    predicted, low, high = _predictions(problem, raw, found["expected"], seed)
    lpd, penalty = _accuracy(found["loglik"], problem.seen)
    scores = raw["typical"].reshape(-1, len(problem.free))
    return Fitted(
        model=problem.model.name,
        design=says,
        responses=problem.responses,
        free=tuple(c.name for c in problem.free),
        typical=typical,
        spread=spread,
        subjects=subjects,
        noise=noise,
        summaries=_summaries(problem, raw, typical, spread, noise),
        rhat_subjects=float(np.max(np.where(np.isnan(rhat), np.inf, rhat))),
        correlation=np.corrcoef(scores.T).reshape(len(problem.free), -1),
        divergences=divergences,
        predicted=predicted,
        low=low,
        high=high,
        lpd=lpd,
        penalty=penalty,
    )


def _summaries(
    problem: Problem,
    raw: Place,
    typical: NDArray[np.float64],
    spread: NDArray[np.float64],
    noise: NDArray[np.float64],
) -> tuple[Summary, ...]:
    prior_of_spread = SPREAD_SCALE**2 * (1 - 2 / np.pi)
    rows = [
        _summary(free.name, typical[:, :, k], 1 - float(np.var(raw["typical"][:, :, k])))
        for k, free in enumerate(problem.free)
    ]
    rows += [
        _summary(f"spread of {free.name}", spread[:, :, k], 1 - float(np.var(spread[:, :, k])) / prior_of_spread)
        for k, free in enumerate(problem.free)
    ]
    rows.append(_summary("noise", noise, np.nan))
    if not problem.has_ends:
        gain, offset = raw["instrument"][:, :, 0], raw["instrument"][:, :, 1]
        rows.append(_summary("gain", np.exp(gain) * problem.unit, 1 - float(np.var(gain))))
        rows.append(_summary("offset", offset * problem.unit + problem.middle, 1 - float(np.var(offset))))
    return tuple(rows)


def _summary(name: str, draws: NDArray[np.float64], contraction: float) -> Summary:
    diagnostics = load("numpyro.diagnostics")
    q05, q50, q95 = (float(q) for q in np.quantile(draws, (0.05, 0.5, 0.95)))
    rhat, ess = float(diagnostics.split_gelman_rubin(draws)), float(diagnostics.effective_sample_size(draws))
    return Summary(name, float(draws.mean()), float(draws.std(ddof=1)), q05, q50, q95, rhat, ess, contraction)


def _predictions(
    problem: Problem, raw: Place, expected: NDArray[np.float64], seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean, 5 % and 95 % of a new reading, in units of the instrument."""
    noise = np.exp(raw["noise"]).reshape(-1, 1, 1)
    new = problem.responses.scale.noisy(expected, noise, np.random.default_rng(seed)) * problem.unit + problem.middle
    low, high = np.quantile(new, _BAND, axis=0)
    return new.mean(axis=0), low, high


def _accuracy(
    loglik: NDArray[np.float64], seen: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from scipy.special import logsumexp

    lpd = logsumexp(loglik, axis=0) - np.log(len(loglik))
    return np.where(seen, lpd, np.nan), np.where(seen, loglik.var(axis=0, ddof=1), np.nan)


@dataclass(frozen=True, slots=True, eq=False)
class QuickLook:
    """The mode of the posterior: a first look, without any uncertainty; not a substitute for :func:`fit`.

    The mode is that of the scores, deviations and logarithms of :mod:`dualtrace.experiments.posterior`; spreads are
    poorly known there.

    Attributes
    ----------
    free
        Constants that were estimated.
    typical, spread
        Value of the typical subject, and spread of its logit over subjects, shape ``(constants,)``.
    subjects
        Constants of each subject, shape ``(subjects, constants)``.
    noise
        In units of the instrument.
    expected
        Reading without noise, shape ``(subjects, trials)``.
    log_density
        At the mode, up to a constant.
    ended
        Whether the search ended by itself.
    """

    free: tuple[str, ...]
    typical: NDArray[np.float64]
    spread: NDArray[np.float64]
    subjects: NDArray[np.float64]
    noise: float
    expected: NDArray[np.float64]
    log_density: float
    ended: bool

    @property
    def sentence(self) -> str:
        """What this is."""
        what = "A quick look: the mode of the posterior, without uncertainty. Use fit before drawing conclusions."
        return what if self.ended else f"{what} The search has not ended; start it from another seed."


def maximum_posterior(
    model: Memory[Any, Any],
    design: str | Design,
    responses: Responses,
    free: tuple[str, ...],
    *,
    starts: int = 2,
    seed: int = 1,
    table: ParameterTable | None = None,
) -> QuickLook:
    """Search for the mode by L-BFGS-B from several starts; parameters as of :func:`fit`, NumPyro is not needed.

    Raises
    ------
    InputError
        As :func:`fit`.
    FitError
        The density is not finite near the prior.
    """
    import jax
    from jax.flatten_util import ravel_pytree
    from scipy.optimize import minimize

    if starts < 1:
        raise InputError(f"starts must be at least 1; given {starts}")
    problem = problem_of(model, design_of(design), responses, free, table or load_parameters())
    rng = np.random.default_rng(seed)
    with jax.enable_x64(True):
        places = [start(problem, rng, _JITTER if number else 0.0) for number in range(starts)]
        unravel = ravel_pytree(places[0])[1]
        density = jax.jit(partial(potential, problem))
        _require_finite(problem, density, places)
        slope = jax.jit(jax.value_and_grad(lambda flat: density(unravel(flat))))

        def target(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            value, gradient = slope(flat)
            return float(value), np.asarray(gradient)

        tried = [
            minimize(
                target, np.asarray(ravel_pytree(place)[0]), jac=True, method="L-BFGS-B", options={"maxiter": 500}
            )
            for place in places
        ]
        best = min(tried, key=lambda result: _or_inf(result.fun))
        place = unravel(jax.numpy.asarray(best.x))
        found = _derived(problem, {name: np.asarray(value)[None, None] for name, value in place.items()})
    return QuickLook(
        free=tuple(c.name for c in problem.free),
        typical=np.array([c.value(found["typical"][0, k]) for k, c in enumerate(problem.free)]),
        spread=np.exp(np.asarray(place["spread"])),
        subjects=found["subjects"][0],
        noise=float(np.exp(place["noise"])) * problem.unit,
        expected=found["expected"][0] * problem.unit + problem.middle,
        log_density=-float(best.fun),
        ended=bool(best.success),
    )


def _or_inf(value: float) -> float:
    return value if np.isfinite(value) else np.inf
