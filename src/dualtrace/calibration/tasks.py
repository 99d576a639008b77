"""Fits as tasks of the runner: one chain of an account each, or its approximation; stored by hash."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.calibration.approximate import approximate
from dualtrace.calibration.fit import Chain, Sampler, chain_program, joined
from dualtrace.calibration.held_out import mask_of
from dualtrace.calibration.model import Problem, deviations_of, priors_of, problem_of
from dualtrace.calibration.place import SHARED
from dualtrace.calibration.posterior import Method, Posterior
from dualtrace.calibration.provenance import contents_of, model_digest, provenance, trials_from
from dualtrace.calibration.rivals import Rival, rival
from dualtrace.calibration.targets import DISORDERS, subjects_of
from dualtrace.errors import InputError
from dualtrace.runner.task import Task, canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from dualtrace.evidence.record import Trial

    Execute = Callable[[Sequence[Task]], Iterable[Mapping[str, Any]]]
    """Runs tasks and gives their results in order."""

CHAIN = "dualtrace.calibration.tasks:chain_of"
QUICK = "dualtrace.calibration.tasks:approximation_of"

CAREFUL = (0.98, 0.99)
"""Wanted acceptances with which a chain that had divergent transitions is sampled again, one after the other."""

_Tables = dict[str, dict[str, "NDArray[Any]"]]


def fit_tasks(
    trials: Iterable[Trial],
    account: Rival,
    sampler: Sampler,
    *,
    points: int,
    quick: bool = False,
    left_out: Sequence[str] = (),
    first: int = 0,
) -> tuple[Task, ...]:
    """Tasks of one fit: one per chain, or one for an approximation.

    Parameters
    ----------
    trials
        What :func:`dualtrace.calibration.targets.subjects_of` chooses from.
    account, sampler
        What to fit and how; an approximation has as many draws as all chains together.
    points
        Quasi-random patients.
    quick
        Approximate.
    left_out
        Ids of trials that do not count.
    first
        Number of the first chain; more chains of a fit go on where its others end.
    """
    inputs = {
        "trials": contents_of(trials),
        "model": model_digest(),
        "account": account.name,
        "points": points,
        "left_out": sorted(left_out),
    }
    if quick:
        return (Task(QUICK, {**inputs, "draws": sampler.chains * sampler.draws}, sampler.seed),)
    settings = settings_of(sampler)
    numbers = range(first, first + sampler.chains)
    return tuple(Task(CHAIN, {**inputs, **settings, "chain": n}, sampler.seed) for n in numbers)


def carried_out(tasks: Sequence[Task], execute: Execute) -> tuple[list[Task], list[Mapping[str, Any]]]:
    """Run the tasks of fits, and chains that had divergent transitions again with smaller steps (:data:`CAREFUL`).

    Returns
    -------
    tuple
        The tasks whose results are used, in the order of those given, and these results.
    """
    done = list(tasks)
    results = list(execute(done))
    while again := {n: more for n, task in enumerate(done) if (more := _more_careful(task, results[n]))}:
        for n, result in zip(again, execute(list(again.values())), strict=True):
            done[n], results[n] = again[n], result
    return done, results


def _more_careful(task: Task, result: Mapping[str, Any]) -> Task | None:
    """The task of a chain with smaller steps, where its result has divergent transitions and smaller ones exist."""
    if "sampling" not in result or not np.any(result["sampling"]["divergent"]):
        return None
    left = [accept for accept in CAREFUL if accept > task.inputs["target_accept"]]
    if not left:
        return None
    return Task(task.function, {**task.plain()["inputs"], "target_accept": left[0]}, task.seed)


def chain_of(inputs: Mapping[str, Any], seed: int) -> _Tables:
    """Sample one chain: the function of the tasks."""
    problem, account = problem_for(inputs), rival(inputs["account"])
    sampler = sampler_for(inputs, seed)
    chain = chain_program(problem, account, sampler, mask_of(problem, tuple(inputs["left_out"])))(inputs["chain"])
    tables = _flat(chain.scores, chain.log_likelihood, chain.predicted)
    return tables | {"sampling": {"divergent": chain.divergent, "steps": np.asarray(chain.steps, np.int64)}}


def sampler_for(inputs: Mapping[str, Any], seed: int) -> Sampler:
    """How the one chain of a task is sampled."""
    names = ("warmup", "draws", "target_accept", "max_tree_depth", "dense")
    return Sampler(chains=1, seed=seed, **{name: inputs[name] for name in names})


def settings_of(sampler: Sampler) -> dict[str, Any]:
    """Settings of a sampler as inputs of a task: all but the number of chains and the seed."""
    return {name: value for name, value in asdict(sampler).items() if name not in ("chains", "seed")}


def approximation_of(inputs: Mapping[str, Any], seed: int) -> _Tables:
    """Approximate an account: the function of the tasks."""
    problem = problem_for(inputs)
    found = approximate(
        problem,
        rival(inputs["account"]),
        draws=inputs["draws"],
        seed=seed,
        left_out=mask_of(problem, tuple(inputs["left_out"])),
    )
    tables = _flat(found.scores, found.log_likelihood, found.predicted)
    return tables | {"weights": {"pareto_k": np.array([found.pareto_k]), "effective": np.array([found.effective])}}


def posterior_from(
    problem: Problem,
    account: Rival,
    sampler: Sampler,
    tasks: Sequence[Task],
    results: Sequence[Mapping[str, Any]],
    *,
    quick: bool = False,
) -> Posterior:
    """Posterior from the tasks of one fit and their results (:func:`carried_out`)."""
    shapes = _shapes(problem, account)
    if quick:
        scores, likelihood, expected = _whole(results[0], shapes)
        return Posterior(
            account=account.name,
            method=Method.LAPLACE,
            trials=tuple(subject.trial.id for subject in problem.subjects),
            scores={name: value[None] for name, value in scores.items()},
            log_likelihood=likelihood[None],
            predicted=expected[None],
            pareto_k=float(results[0]["weights"]["pareto_k"][0]),
            effective=float(results[0]["weights"]["effective"][0]),
            settings=provenance(problem) | {"draws": sampler.chains * sampler.draws, "seed": sampler.seed},
        )
    chains = [
        Chain(*_whole(tables, shapes), tables["sampling"]["divergent"], tables["sampling"]["steps"])
        for tables in results
    ]
    accepts = {str(task.inputs["chain"]): task.inputs["target_accept"] for task in tasks}
    again = {chain: accept for chain, accept in accepts.items() if accept > sampler.target_accept}
    found = joined(problem, account, sampler, chains)
    return replace(found, settings={**found.settings, "sampled_again": again})


def _flat(scores: Mapping[str, Any], likelihood: NDArray[np.float64], expected: NDArray[np.float64]) -> _Tables:
    arrays = {**scores, "log_likelihood": likelihood, "predicted": expected}
    return {name: {"value": np.ravel(np.asarray(array, float))} for name, array in arrays.items()}


def _shapes(problem: Problem, account: Rival) -> dict[str, int]:
    of_scores = {SHARED: len(priors_of(account))} | dict.fromkeys(deviations_of(account), len(DISORDERS))
    return of_scores | {"log_likelihood": problem.trials, "predicted": problem.rows.y.size}


def _whole(tables: Mapping[str, Any], shapes: Mapping[str, int]) -> tuple[dict[str, Any], Any, Any]:
    arrays = {name: np.asarray(tables[name]["value"]).reshape(-1, size) for name, size in shapes.items()}
    return arrays, arrays.pop("log_likelihood"), arrays.pop("predicted")


def problem_for(inputs: Mapping[str, Any]) -> Problem:
    """Lay out the trials of a task; once per process.

    Raises
    ------
    InputError
        The model is not the one that the task was made with.
    """
    if inputs["model"] != model_digest():
        raise InputError("the model or its constants are not what they were when the fit began; begin it anew")
    return _laid_out(canonical(inputs["trials"]), inputs["points"])


@cache
def _laid_out(trials: str, points: int) -> Problem:
    """Trials laid out; a worker makes every chain and refit from the same ones."""
    return problem_of(subjects_of(trials_from(json.loads(trials))), points=points)
