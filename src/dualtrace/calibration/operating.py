"""How often the verdict is right: the same trials made up from a known account, fitted and compared as real ones are.

What is measured is the rule of ``compare`` and what leads to it, on trials with the designs, sizes and forms of
report of the real ones. One short chain stands for each fit, so its gates are not applied; unreliable weights are
counted.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.calibration.compare import BASELINE, MECHANISM, difference
from dualtrace.calibration.fit import chain_program, compiled, joined
from dualtrace.calibration.leave_out import leave_one_out
from dualtrace.calibration.model import STRENGTH, priors_of
from dualtrace.calibration.place import SHARED
from dualtrace.calibration.posterior import columns_of
from dualtrace.calibration.provenance import contents_of, model_digest
from dualtrace.calibration.reliability import RIVAL, reading
from dualtrace.calibration.rivals import rival
from dualtrace.calibration.simulate import maker
from dualtrace.calibration.tasks import problem_for, sampler_for, settings_of
from dualtrace.runner.task import Task, canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from dualtrace.calibration.fit import Program, Sampler
    from dualtrace.calibration.model import Problem
    from dualtrace.calibration.posterior import Posterior
    from dualtrace.calibration.rivals import Rival
    from dualtrace.calibration.simulate import Maker, Place
    from dualtrace.evidence.record import Trial

VERDICT = "dualtrace.calibration.operating:verdict_of"
FITTED = (MECHANISM, RIVAL, BASELINE)
"""Accounts that are fitted to every made-up data set."""

CONVERGED = 1.05
"""Largest R-hat, between parts of a chain, of the log-likelihood of all trials: what accounts are compared by. The
gate of real fits, 1.01 for every constant, is for four long chains."""

MIXED = 1.1
"""Largest R-hat of any constant of a short chain: the mark in use before Vehtari et al. 2021, doi
10.1214/20-BA1221."""


def verdict_task(
    trials: Iterable[Trial], truth: Rival, sampler: Sampler, *, points: int, place: Place, seed: int
) -> Task:
    """Task of one made-up data set.

    Parameters
    ----------
    trials, sampler, points
        As of :func:`dualtrace.calibration.tasks.fit_tasks`; one chain per account.
    truth
        The account that the trials are made up from.
    place
        Its constants and deviations of disorders, as normal scores by name.
    seed
        Of errors and chains.
    """
    inputs = {
        "trials": contents_of(trials),
        "model": model_digest(),
        "account": truth.name,
        "points": points,
        "place": {name: [float(score) for score in part] for name, part in place.items()},
        **settings_of(sampler),
    }
    return Task(VERDICT, inputs, seed)


def verdict_of(inputs: Mapping[str, Any], seed: int) -> dict[str, dict[str, NDArray[Any]]]:
    """Make up data, fit, leave out and compare: the function of the tasks.

    Returns
    -------
    dict
        Table ``differences``: of the dual trace from each other account. Table ``fits``: by account the trials whose
        weights are unreliable, divergent transitions, R-hat of the log-likelihood and the largest of any constant.
        Table ``recovery``: by constant of the true account the truth and the central 90 % (normal scores).
    """
    account, sampler = rival(inputs["account"]), sampler_for(inputs, seed)
    make, programs = _programs(canonical({**inputs}))
    rng = np.random.default_rng([seed, 2])
    truth = {name: np.array(part) for name, part in inputs["place"].items()}
    made = make(truth, rng)
    fits = {name: _sampled(made, rival(name), sampler, program) for name, program in programs.items()}
    left_out = {name: replace(leave_one_out(fit), failures=()) for name, fit in fits.items()}
    found = [difference(left_out[MECHANISM], left_out[name]) for name in (BASELINE, RIVAL)]
    return {
        "differences": {
            "other": np.array([one.other for one in found]),
            "difference": np.array([one.difference for one in found]),
            "se": np.array([one.se for one in found]),
            "reading": np.array([reading(one).value for one in found]),
        },
        "fits": {
            "account": np.array(list(fits)),
            "unreliable": np.array([len(one.to_refit) for one in left_out.values()]),
            "divergences": np.array([fit.divergences for fit in fits.values()]),
            "rhat": np.array([fit.rhat_of_likelihood for fit in fits.values()]),
            "largest_rhat": np.array([fit.largest_rhat for fit in fits.values()]),
            "elpd": np.array([one.total for one in left_out.values()]),
        },
        "recovery": _recovery(account, truth, fits[account.name]),
    }


def acting(place: Place, account: Rival, strength: float) -> Place:
    """Put the drug's factor at ``strength`` and leave all else."""
    priors, scores = priors_of(account), place[SHARED].copy()
    scores[list(priors).index(STRENGTH[0])] = _score(priors[STRENGTH[0]], strength)
    return {**place, SHARED: scores}


def drawn(posterior: Posterior, seed: int) -> Place:
    """One draw of a posterior, as normal scores by name."""
    rng = np.random.default_rng([seed, 4])
    chains, draws = posterior.log_likelihood.shape[:2]
    chain, draw = int(rng.integers(chains)), int(rng.integers(draws))
    return {name: np.asarray(part[chain, draw]) for name, part in posterior.scores.items()}


def _score(prior: Any, value: float) -> float:  # noqa: ANN401 - priors share no type
    """Return the normal score of a value, by bisection of the prior's quantile function."""
    from scipy.special import ndtri

    low, high = 1e-9, 1 - 1e-9
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if float(prior.quantile(middle)) < value else (low, middle)
    return float(ndtri((low + high) / 2))


def _sampled(made: Problem, account: Rival, sampler: Sampler, program: Program) -> Posterior:
    return joined(made, account, sampler, [chain_program(made, account, sampler, program=program)(0)])


def _recovery(account: Rival, truth: Place, posterior: Posterior) -> dict[str, NDArray[Any]]:
    given = columns_of(account.name, {name: score[None, None] for name, score in truth.items()})
    draws = columns_of(account.name, posterior.scores)
    ends = np.array([np.quantile(score, (0.05, 0.95)) for _, score in draws])
    return {
        "quantity": np.array([name for name, _ in given]),
        "truth": np.array([float(score[0, 0]) for _, score in given]),
        "low": ends[:, 0],
        "high": ends[:, 1],
    }


def _programs(inputs: str) -> tuple[Maker, dict[str, Program]]:
    given = json.loads(inputs)
    plain = canonical({name: given[name] for name in given if name not in ("account", "place")})
    return _maker(plain, given["account"]), _samplers(plain)


@cache
def _maker(inputs: str, account: str) -> Maker:
    return maker(problem_for(json.loads(inputs)), rival(account))


@cache
def _samplers(inputs: str) -> dict[str, Program]:
    """Compile every account once per process, whatever the data."""
    given = json.loads(inputs)
    problem = problem_for(given)
    return {name: compiled(problem, rival(name), sampler_for(given, 0)) for name in FITTED}
