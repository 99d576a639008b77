"""The posterior of one account: by NUTS, with gates, or as a quick approximation marked as such.

Sampling needs the extra ``bayes``. Hoffman & Gelman 2014 (NUTS, no DOI).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, final

import numpy as np

from dualtrace.calibration.model import Problem, deviations_of, predictions
from dualtrace.calibration.place import SHARED, at, middle, potential, shared_at
from dualtrace.calibration.posterior import Posterior
from dualtrace.errors import FitError, InputError
from dualtrace.extras import numpyro_module

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dualtrace.calibration.rivals import Rival
    from dualtrace.mechanism.arrays import Array

_DEPTHS = (5, 8)
"""Deepest tree in warm-up and after it."""

_JITTER = 0.3
_FEWEST = 4


@final
@dataclass(frozen=True, slots=True)
class Sampler:
    """How NUTS runs.

    Attributes
    ----------
    chains, warmup, draws
        Numbers of each.
    target_accept
        Wanted mean acceptance.
    seed
        Of starts and sampling.
    """

    chains: int = 4
    warmup: int = 500
    draws: int = 500
    target_accept: float = 0.9
    seed: int = 1

    def __post_init__(self) -> None:
        if self.chains < 1 or self.warmup < 1 or self.draws < _FEWEST:
            raise InputError(
                f"chains and warm-up must be at least 1 and draws {_FEWEST}; "
                f"given {self.chains}, {self.warmup}, {self.draws}"
            )
        if not 0 < self.target_accept < 1:
            raise InputError(f"target_accept must lie between 0 and 1; given {self.target_accept:g}")


def fit(problem: Problem, rival: Rival, sampler: Sampler, left_out: NDArray[np.float64] | None = None) -> Posterior:
    """Sample the posterior of an account.

    Parameters
    ----------
    problem, rival, sampler
        Trials, account, and how to sample.
    left_out
        1 for trials that do not count, ``(trials,)``; their log-likelihood is worked out all the same.

    Raises
    ------
    InputError
        NumPyro is not installed.
    FitError
        The density is not finite at the median of the priors.
    """
    infer = numpyro_module("numpyro.infer", "A quick approximation needs nothing: dualtrace calibrate --quick.")
    import jax

    density = partial(potential, problem, rival, left_out=_on_device(left_out))
    _require_finite(rival, density)
    kernel = infer.NUTS(
        potential_fn=density, target_accept_prob=sampler.target_accept, dense_mass=True, max_tree_depth=_DEPTHS
    )
    parallel = len(jax.local_devices()) >= sampler.chains > 1
    run = infer.MCMC(
        kernel,
        num_warmup=sampler.warmup,
        num_samples=sampler.draws,
        num_chains=sampler.chains,
        chain_method="parallel" if parallel else "sequential",
        progress_bar=False,
    )
    run.run(jax.random.PRNGKey(sampler.seed), init_params=_starts(rival, sampler), extra_fields=("diverging",))
    scores = {name: np.asarray(value) for name, value in run.get_samples(group_by_chain=True).items()}
    divergences = int(np.asarray(run.get_extra_fields()["diverging"]).sum())
    return derived(problem, rival, scores, divergences, _settings(problem, sampler))


def _on_device(left_out: NDArray[np.float64] | None) -> Array | None:
    import jax.numpy as jnp

    return None if left_out is None else jnp.asarray(left_out)


def _starts(rival: Rival, sampler: Sampler) -> dict[str, Any]:
    import jax.numpy as jnp

    rng = np.random.default_rng(sampler.seed)
    chains = (sampler.chains,) if sampler.chains > 1 else ()
    return {
        name: jnp.asarray(_JITTER * rng.standard_normal((*chains, value.size)))
        for name, value in middle(rival).items()
    }


def _require_finite(rival: Rival, density: Any) -> None:  # noqa: ANN401
    import jax

    value, gradient = jax.value_and_grad(density)(middle(rival))
    wrong = [name for name, part in gradient.items() if not bool(np.isfinite(part).all())]
    if wrong or not bool(np.isfinite(value)):
        raise FitError(
            f"the account {rival.name} has no finite density with gradient at the median of its priors "
            f"({', '.join(wrong) or 'value'}); check the ranges of its parameters in parameters.yaml"
        )


def derived(
    problem: Problem,
    rival: Rival,
    scores: dict[str, NDArray[np.float64]],
    divergences: int,
    settings: dict[str, Any],
) -> Posterior:
    """Work out parameters, likelihoods and predictions of every draw."""
    import jax

    def one(place: dict[str, Array]) -> tuple[Any, Array, Array]:
        shared = shared_at(rival, place)
        deviations = {name: place[name] for name in deviations_of(rival)}
        return shared, at(problem, rival, place)[0], predictions(problem, rival, shared, deviations)

    chains, draws = scores[SHARED].shape[:2]
    flat = {name: jax.numpy.asarray(value.reshape(chains * draws, -1)) for name, value in scores.items()}
    found = jax.jit(lambda places: jax.lax.map(one, places))(flat)
    values, likelihood, predicted = jax.tree.map(
        lambda leaf: np.asarray(leaf).reshape(chains, draws, *leaf.shape[1:]), found
    )
    trials = tuple(subject.trial.id for subject in problem.subjects)
    return Posterior(rival.name, trials, values, scores, likelihood, predicted, divergences, settings)


def _settings(problem: Problem, sampler: Sampler) -> dict[str, Any]:
    return {
        "dualtrace": version("dualtrace"),
        "points": int(problem.population.quality.shape[-1]),
        "chains": sampler.chains,
        "warmup": sampler.warmup,
        "draws": sampler.draws,
        "target_accept": sampler.target_accept,
        "seed": sampler.seed,
    }
