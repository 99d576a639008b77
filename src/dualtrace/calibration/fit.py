"""The posterior of one account by NUTS: chains apart, each a function of its seed and number alone.

Sampling needs the extra ``bayes``. Hoffman & Gelman 2014 (NUTS, no DOI).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np

from dualtrace.calibration.outcomes import reported_in
from dualtrace.calibration.place import derived_at, middle, potential
from dualtrace.calibration.posterior import Method, Posterior
from dualtrace.calibration.provenance import provenance
from dualtrace.errors import FitError, InputError
from dualtrace.extras import numpyro_module
from dualtrace.simulation.devices import cores, prepare_jax

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from dualtrace.calibration.model import Problem
    from dualtrace.calibration.outcomes import Reported
    from dualtrace.calibration.rivals import Rival
    from dualtrace.mechanism.arrays import Array

    Program = Callable[[Array, dict[str, Array], Array, Reported], tuple[Any, ...]]

_WARM_DEPTH = 5
"""Deepest tree in warm-up, where steps are not yet of the right size."""

_JITTER = 0.3
_FEWEST = 4
_DEEPEST = 12


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
    max_tree_depth
        Deepest tree after warm-up: up to ``2^depth - 1`` gradients a draw.
    seed
        Of starts and sampling.
    dense
        Whether warm-up learns how all parameters go together, or their spreads alone: a covariance of dozens of
        parameters from a short warm-up is worse than none.
    """

    chains: int = 4
    warmup: int = 300
    draws: int = 600
    target_accept: float = 0.95
    max_tree_depth: int = 7
    seed: int = 1
    dense: bool = False

    def __post_init__(self) -> None:
        if self.chains < 1 or self.warmup < 1 or self.draws < _FEWEST:
            raise InputError(
                f"chains and warm-up must be at least 1 and draws {_FEWEST}; "
                f"given {self.chains}, {self.warmup}, {self.draws}"
            )
        if not 0 < self.target_accept < 1:
            raise InputError(f"target_accept must lie between 0 and 1; given {self.target_accept:g}")
        if not 1 <= self.max_tree_depth <= _DEEPEST:
            raise InputError(f"max_tree_depth must lie between 1 and {_DEEPEST}; given {self.max_tree_depth}")


class Chain(NamedTuple):
    """One chain: scores by name ``(draws, ...)``, what follows from each draw, divergences, and gradients taken."""

    scores: dict[str, NDArray[np.float64]]
    log_likelihood: NDArray[np.float64]
    predicted: NDArray[np.float64]
    divergent: NDArray[np.bool_]
    steps: NDArray[np.int64]


def fit(
    problem: Problem, rival: Rival, sampler: Sampler | None = None, left_out: NDArray[np.float64] | None = None
) -> Posterior:
    """Sample the posterior of an account, as many chains at a time as this process may use cores.

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
        The density, or its gradient, is not finite where a chain starts.
    """
    chosen = sampler or Sampler()
    program = chain_program(problem, rival, chosen, left_out)
    with ThreadPoolExecutor(min(cores(), chosen.chains)) as threads:
        return joined(problem, rival, chosen, list(threads.map(program, range(chosen.chains))))


def chain_program(
    problem: Problem,
    rival: Rival,
    sampler: Sampler,
    left_out: NDArray[np.float64] | None = None,
    program: Program | None = None,
) -> Callable[[int], Chain]:
    """Make the sampler of an account: a function from the number of a chain to the chain.

    Parameters
    ----------
    problem, rival, sampler, left_out
        As of :func:`fit`.
    program
        What :func:`compiled` made of the same account, sampler and trials, whatever these reported; compiled now when
        absent.

    Raises
    ------
    InputError
        NumPyro is not installed.
    FitError
        Raised by the sampler: the density, or its gradient, is not finite where the chain starts.
    """
    import jax

    run = program or compiled(problem, rival, sampler)
    mask = jax.numpy.asarray(np.zeros(problem.trials) if left_out is None else left_out, float)
    reported = jax.tree.map(jax.numpy.asarray, reported_in(problem.rows))

    def chain(number: int) -> Chain:
        begun, *parts = jax.tree.map(np.asarray, run(*_start(rival, sampler, number), mask, reported))
        _require_finite(rival, *begun)
        return Chain(*parts)

    return chain


def compiled(problem: Problem, rival: Rival, sampler: Sampler) -> Program:
    """Compile the sampler of an account for whatever these trials may report.

    Patients are followed, and tails behind intervals worked out, in single precision, which takes half the time; the
    rest of the likelihood and the sampler are in double. A test holds the change of density and gradient small.

    Returns
    -------
    Program
        A function of key, start, mask of trials left out and reports: to the density with its gradient at the start,
        and the parts of a chain.

    Raises
    ------
    InputError
        NumPyro is not installed.
    """
    import jax

    infer = numpyro_module("numpyro.infer", "A quick approximation can do without: dualtrace calibrate --quick.")
    prepare_jax()
    single = problem.in_precision(np.float32)

    def sample(key: Array, start: dict[str, Array], mask: Array, reported: Reported) -> tuple[Any, ...]:
        made = single.with_reported(reported)
        kernel = infer.NUTS(
            potential_fn=partial(potential, made, rival, left_out=mask),
            target_accept_prob=sampler.target_accept,
            dense_mass=sampler.dense,
            max_tree_depth=(min(_WARM_DEPTH, sampler.max_tree_depth), sampler.max_tree_depth),
        )

        def draw(now: Any, _: None) -> tuple[Any, tuple[Any, ...]]:  # noqa: ANN401 - numpyro has no types
            then = kernel.sample(now, (), {})
            return then, (then.z, then.diverging, then.num_steps)

        # one loop for warm-up and draws: half the program, and compiling it is what takes long
        state = kernel.init(key, sampler.warmup, start, (), {})
        all_ = jax.lax.scan(draw, state, length=sampler.warmup + sampler.draws)[1]
        places, divergent, steps = jax.tree.map(lambda leaf: leaf[sampler.warmup :], all_)
        likelihood, _, predicted = jax.lax.map(partial(derived_at, made, rival), places)
        return (state.potential_energy, state.z_grad), places, likelihood, predicted, divergent, steps

    mask, reported = jax.numpy.zeros(problem.trials), jax.tree.map(jax.numpy.asarray, reported_in(problem.rows))
    program: Program = jax.jit(sample).lower(*_start(rival, sampler, 0), mask, reported).compile()
    return program


def _start(rival: Rival, sampler: Sampler, number: int) -> tuple[Array, dict[str, Array]]:
    """Key and start of a chain: near the medians of the priors."""
    import jax

    rng = np.random.default_rng([sampler.seed, number])
    start = {name: jax.numpy.asarray(_JITTER * rng.standard_normal(at.size)) for name, at in middle(rival).items()}
    return jax.random.fold_in(jax.random.PRNGKey(sampler.seed), number), start


def _require_finite(rival: Rival, value: NDArray[np.float64], gradient: dict[str, NDArray[np.float64]]) -> None:
    wrong = [name for name, part in gradient.items() if not bool(np.isfinite(part).all())]
    if wrong or not bool(np.isfinite(value)):
        raise FitError(
            f"the account {rival.name} has no finite density with gradient near the median of its priors "
            f"({', '.join(wrong) or 'value'}); check what the trials report and the ranges of its parameters in "
            "parameters.yaml"
        )


def joined(problem: Problem, rival: Rival, sampler: Sampler, chains: Sequence[Chain]) -> Posterior:
    """Join the chains of an account to its posterior."""
    scores = {name: np.stack([chain.scores[name] for chain in chains]) for name in chains[0].scores}
    settings = {
        "chains": len(chains),
        "warmup": sampler.warmup,
        "draws": sampler.draws,
        "target_accept": sampler.target_accept,
        "max_tree_depth": sampler.max_tree_depth,
        "seed": sampler.seed,
        "dense": sampler.dense,
    }
    return Posterior(
        account=rival.name,
        method=Method.NUTS,
        trials=tuple(subject.trial.id for subject in problem.subjects),
        scores=scores,
        log_likelihood=np.stack([chain.log_likelihood for chain in chains]),
        predicted=np.stack([chain.predicted for chain in chains]),
        divergences=int(sum(chain.divergent.sum() for chain in chains)),
        gradients=int(sum(chain.steps.sum() for chain in chains)),
        settings=provenance(problem) | settings,
    )
