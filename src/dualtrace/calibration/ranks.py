"""Whether a sampler draws from the posterior that it claims: ranks of constants among draws, over many made-up data.

Constants are drawn from their priors, trials are made up from them, and the posterior given these is sampled. Then
every constant is a draw of its posterior like any other, and its rank among the draws is uniform (Talts et al. 2018,
doi 10.48550/arXiv.1804.06788); so is the rank of the log-likelihood (Modrák et al. 2025, doi 10.1214/23-BA1404).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.calibration.fit import chain_program, compiled, joined
from dualtrace.calibration.outcomes import reported_in
from dualtrace.calibration.place import at
from dualtrace.calibration.posterior import columns_of
from dualtrace.calibration.provenance import contents_of, model_digest
from dualtrace.calibration.rivals import rival
from dualtrace.calibration.simulate import maker, place_from_prior
from dualtrace.calibration.tasks import problem_for, sampler_for, settings_of
from dualtrace.errors import InputError
from dualtrace.runner.task import Task, canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

    from dualtrace.calibration.fit import Program, Sampler
    from dualtrace.calibration.model import Problem
    from dualtrace.calibration.rivals import Rival
    from dualtrace.calibration.simulate import Maker, Place
    from dualtrace.evidence.record import Trial

RANKS = "dualtrace.calibration.ranks:ranks_of"
LIKELIHOOD = "log-likelihood"
"""Name of the rank of the log-likelihood of all trials."""

_SETS = 4000
"""Uniform samples that say how far the ranks of an honest sampler stray."""


def rank_tasks(
    trials: Iterable[Trial], account: Rival, sampler: Sampler, *, points: int, fits: int, thin: int
) -> tuple[Task, ...]:
    """Tasks of simulation-based calibration: one per made-up data set, with the seeds 0, 1, ...

    Parameters
    ----------
    trials, account, sampler, points
        As of :func:`dualtrace.calibration.tasks.fit_tasks`; one chain each.
    fits
        How many.
    thin
        Every how many draws one is kept.

    Raises
    ------
    InputError
        The draws cannot be thinned so.
    """
    if thin < 1 or sampler.draws % thin:
        raise InputError(f"draws must be a multiple of thin, at least 1; given {sampler.draws} and {thin}")
    inputs = {
        "trials": contents_of(trials),
        "model": model_digest(),
        "account": account.name,
        "points": points,
        "thin": thin,
        **settings_of(sampler),
    }
    return tuple(Task(RANKS, inputs, seed) for seed in range(fits))


def ranks_of(inputs: Mapping[str, Any], seed: int) -> dict[str, dict[str, NDArray[Any]]]:
    """Make up data, sample, and rank: the function of the tasks.

    Returns
    -------
    dict
        Table ``ranks``: by quantity its ``rank`` among the kept draws, the ``truth``, and the 5 % and 95 % points of
        all draws (as standard normal scores); table ``sampling``: divergent transitions and gradients.
    """
    problem, account = problem_for(inputs), rival(inputs["account"])
    make, program, likelihood = _programs(canonical({**inputs}))
    rng = np.random.default_rng([seed, 1])
    truth = place_from_prior(account, rng)
    made = make(truth, rng)
    sampler = sampler_for(inputs, seed)
    posterior = joined(problem, account, sampler, [chain_program(made, account, sampler, program=program)(0)])
    given = columns_of(account.name, {name: score[None, None] for name, score in truth.items()})
    pairs = [
        (name, float(score[0, 0]), draws[0])
        for (name, score), (_, draws) in zip(given, columns_of(account.name, posterior.scores), strict=True)
    ]
    pairs.append((LIKELIHOOD, likelihood(truth, made), posterior.log_likelihood[0].sum(axis=-1)))
    thin = inputs["thin"]
    ends = np.array([np.quantile(draws, (0.05, 0.95)) for _, _, draws in pairs])
    return {
        "ranks": {
            "quantity": np.array([name for name, _, _ in pairs]),
            "rank": np.array([rank(value, draws[::thin]) for _, value, draws in pairs]),
            "truth": np.array([value for _, value, _ in pairs]),
            "low": ends[:, 0],
            "high": ends[:, 1],
        },
        "sampling": {"divergences": np.array([posterior.divergences]), "gradients": np.array([posterior.gradients])},
    }


@cache
def _programs(inputs: str) -> tuple[Maker, Program, Callable[[Place, Problem], float]]:
    """Compile what every made-up data set of the same trials needs, once per process."""
    import json

    import jax

    given = json.loads(inputs)
    problem, account = problem_for(given), rival(given["account"])
    summed = jax.jit(lambda place, reported: at(problem.with_reported(reported), account, place)[0].sum())

    def likelihood(place: Place, made: Problem) -> float:
        return float(summed(place, reported_in(made.rows)))

    return maker(problem, account), compiled(problem, account, sampler_for(given, 0)), likelihood


def rank(truth: float, draws: NDArray[np.float64]) -> int:
    """Return how many draws lie below the truth: 0 to the number of draws."""
    return int(np.sum(draws < truth))


def chi_square(ranks: NDArray[np.int64], levels: int, bins: int = 20) -> float:
    """p-value of Pearson's test that ranks are uniform.

    Parameters
    ----------
    ranks
        ``(fits,)``, each from 0 to ``levels - 1``.
    levels, bins
        How many ranks there can be (one more than draws), a multiple of the bins.

    Raises
    ------
    InputError
        A rank is out of range, or levels do not fill the bins evenly.
    """
    from scipy import stats

    _require(ranks, levels)
    if levels % bins:
        raise InputError(f"levels must be a multiple of bins; given {levels} and {bins}")
    counts = np.bincount(ranks * bins // levels, minlength=bins)
    return float(stats.chisquare(counts).pvalue)


def band(ranks: NDArray[np.int64], levels: int, seed: int = 1) -> float:
    """p-value of the largest departure of the ranks' distribution function from the straight line.

    At every level the count of ranks up to it is binomial; the smallest of these two-sided p-values is held against
    that of uniform samples of the same size (simultaneous bands: Säilynoja et al. 2022, doi
    10.1007/s11222-022-10090-6).

    Raises
    ------
    InputError
        A rank is out of range.
    """
    _require(ranks, levels)
    least = _departure(ranks[None], levels)[0]
    uniform = np.random.default_rng(seed).integers(0, levels, (_SETS, ranks.size))
    return float((1 + np.sum(_departure(uniform, levels) <= least * (1 + 1e-9))) / (1 + _SETS))


def _departure(ranks: NDArray[np.int64], levels: int) -> NDArray[np.float64]:
    """Smallest two-sided binomial p-value over the levels, ``(sets,)``."""
    from scipy import stats

    n = ranks.shape[1]
    cells = ranks + levels * np.arange(len(ranks))[:, None]
    counts = np.bincount(cells.ravel(), minlength=levels * len(ranks)).reshape(-1, levels).cumsum(axis=1)[:, :-1]
    law = stats.binom(n, np.arange(1, levels) / levels)
    possible = np.arange(n + 1)[:, None]
    tails = np.minimum(law.cdf(possible), law.sf(possible - 1))  # (n + 1, levels - 1)
    return np.asarray(np.minimum(1.0, 2 * np.take_along_axis(tails, counts, axis=0).min(axis=1)))


def _require(ranks: NDArray[np.int64], levels: int) -> None:
    if ranks.size < 1 or ranks.min() < 0 or ranks.max() >= levels:
        raise InputError(f"ranks must be whole numbers from 0 to {levels - 1}, one at least; given {ranks}")
