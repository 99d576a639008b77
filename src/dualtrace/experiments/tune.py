"""Search a model's constants for the training part of the catalogue; what is held out is scored, never searched.

The search is CMA-ES (Hansen & Ostermeier 2001, doi:10.1162/106365601750190398) over the ranges of the priors, from
their middle and from random starts. It gives one good point, not a posterior: signs do not identify a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.errors import InputError
from dualtrace.experiments.contrast import Relation
from dualtrace.experiments.pharmacology import CONSTANTS
from dualtrace.experiments.run import compiled_follow, run
from dualtrace.experiments.score import score, sizes
from dualtrace.experiments.timeline import lay_out
from dualtrace.mechanism.parameters import load_parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from dualtrace.experiments.record import Experiment
    from dualtrace.experiments.run import Run
    from dualtrace.experiments.score import Scored
    from dualtrace.experiments.timeline import Batch
    from dualtrace.mechanism.memory.contract import Memory

    Progress = Callable[[int, int, float], None]

SPARE = 0.15
"""Margins by which a difference should hold, so that it does not hang on a rounding."""

SPARE_SAME = 0.1
"""Margins left over by which two sides should be alike; more than one is not possible."""

CENTRE = 0.02
"""Cost of a constant at the edge of its prior; what no finding informs stays in the middle."""

POPULATION = 40
GENERATIONS = 400
STARTS = 2

_MISS = 2.0
_WORST = 1.5
_WORST_SIZE = 3.0
_SIZE_WEIGHT = 0.1
_WEIGHT = {"core": 1.0, "supporting": 0.35, "contested": 0.0}
_STEP = 0.3
_STARTS_WITHIN = (0.2, 0.8)
_NOT_SEARCHED = ("experiment.agonist_low", "experiment.agonist_medium", "experiment.blocker_low")
"""Gains of lesser doses keep to the middle of their priors, so that low, medium and high stay in their order."""

_EDGE = 0.001


@dataclass(frozen=True, slots=True)
class Tuned:
    """Constants found, with the loss they reach."""

    model: str
    constants: dict[str, float]
    loss: float
    evaluations: int


def loss(run: Run) -> NDArray[np.float64]:
    """How far a run is from the findings, one value per draw: missed margins by weight, and squared size errors.

    A finding costs 2 when it is missed, and its distance from holding with margins to spare, up to 1.5, so that one
    far miss does not outweigh two near ones. Contested findings cost nothing, as their opposites stand beside them.
    """
    total = np.zeros(1)
    for scored in score(run):
        total = total + _WEIGHT[scored.strength.value] * _missed(scored)
    for sized in sizes(run):
        error = (sized.simulated - sized.measured.mean) / (sized.measured.sd or 0.15)
        total = total + _SIZE_WEIGHT * np.minimum(np.nan_to_num(error, nan=_WORST_SIZE) ** 2, _WORST_SIZE**2)
    return total


def _missed(scored: Scored) -> NDArray[np.float64]:
    spare = SPARE_SAME if Relation.SAME in scored.finding.parsed.relations else SPARE
    slack = np.nan_to_num(scored.slack, nan=-np.inf)
    return np.asarray(np.where(slack < spare, np.clip(spare - slack, 0, _WORST) + _MISS * (slack < 0), 0.0))


def tune(
    model: Memory[Any, Any],
    experiments: Sequence[Experiment],
    *,
    generations: int = GENERATIONS,
    starts: int = STARTS,
    seed: int = 1,
    progress: Progress = lambda *_: None,
) -> Tuned:
    """Search the constants of a model, and the drug gains, for the training experiments among those given.

    Parameters
    ----------
    model, experiments
        What to search, and for what.
    generations, starts, seed
        Generations from each start; starts, the first from the middle of the priors, the others at random.
    progress
        Called with the start, the generation and the lowest cost so far.

    Raises
    ------
    InputError
        No experiment is a training one, or the package ``cma`` is not installed.
    """
    training = [experiment for experiment in experiments if experiment.split == "training"]
    if not training:
        raise InputError("tuning needs experiments with split: training; all of those given are held out")
    names, bounds = search_space(model)
    cost = partial(_cost, model, training, lay_out(training), names, bounds)
    rng = np.random.default_rng(seed)
    best, least, evaluations = np.full(len(names), 0.5), np.inf, 0
    for number in range(starts):
        start = np.full(len(names), 0.5) if number == 0 else rng.uniform(*_STARTS_WITHIN, len(names))
        for generation, (points, costs) in enumerate(_search(cost, start, generations, rng)):
            evaluations += len(costs)
            if costs.min() < least:
                best, least = points[costs.argmin()], float(costs.min())
            progress(number + 1, generation + 1, least)
    best, least = _centred(cost, best, least)
    found = dict(zip(names, map(float, decode(best[None], bounds)[0]), strict=True))
    return Tuned(model.name, found, least, evaluations)


def _cost(
    model: Memory[Any, Any],
    training: Sequence[Experiment],
    batches: Sequence[Batch],
    names: Sequence[str],
    bounds: NDArray[np.float64],
    points: NDArray[np.float64],
) -> NDArray[np.float64]:
    values = decode(points, bounds)
    drawn = {name: values[:, i] for i, name in enumerate(names)}
    found = loss(run(model, training, draws=drawn, batches=batches, through=compiled_follow))
    return np.asarray(found + CENTRE * np.sum((2 * points - 1) ** 2, axis=1))


def _search(
    cost: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    start: NDArray[np.float64],
    generations: int,
    rng: np.random.Generator,
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Yield the points of every generation with their costs."""
    settings = {
        "popsize": POPULATION,
        "bounds": [0, 1],
        "maxiter": generations,
        "seed": np.nan,  # the numbers come from rng alone
        "randn": lambda *shape: rng.standard_normal(shape),
        "verbose": -9,
    }
    strategy = _cma().CMAEvolutionStrategy(start, _STEP, settings)
    while not strategy.stop():
        points = np.array(strategy.ask())
        costs = cost(points)
        strategy.tell(list(points), costs)
        yield points, costs


def _centred(
    cost: Callable[[NDArray[np.float64]], NDArray[np.float64]], best: NDArray[np.float64], least: float
) -> tuple[NDArray[np.float64], float]:
    """Put constants back to the middle of their priors, one at a time, for as long as the cost falls.

    A search leaves what no finding informs wherever it drifted.
    """
    while True:
        # as many points as a generation has, so that nothing is compiled anew
        trials = np.tile(best, (max(POPULATION, len(best)), 1))
        np.fill_diagonal(trials, 0.5)
        costs = cost(trials)
        if costs.min() >= least - _EDGE:
            return best, least
        best, least = trials[costs.argmin()], float(costs.min())


def _cma() -> Any:  # noqa: ANN401 - the package has no types
    if find_spec("cma") is None:
        raise InputError(
            "Tuning needs the package cma, which is not installed; run: pip install 'dualtrace[tune]'. "
            "Everything else runs at the shipped constants without it."
        )
    return import_module("cma")


def search_space(model: Memory[Any, Any]) -> tuple[list[str], NDArray[np.float64]]:
    """Names and bounds (low, high, whether logarithmic): the range of each prior.

    Constants of the chain (tolerance, the consolidation window) keep the values they have there.
    """
    table = load_parameters()
    names = [name for name in (*model.constants, *CONSTANTS) if _is_searched(name)]
    rows = []
    for name in names:
        prior = table.parameter(name).prior
        low, high = prior.quantile(np.array([_EDGE, 1 - _EDGE]))
        rows.append((low, high, float(prior.kind in {"loguniform", "lognormal"})))
    return names, np.array(rows)


def _is_searched(name: str) -> bool:
    chain = name.startswith(("tolerance.", "consolidation."))
    return name not in _NOT_SEARCHED and not chain and load_parameters().parameter(name).is_uncertain


def decode(points: NDArray[np.float64], bounds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares of the range to values, evenly or in the logarithm."""
    low, high, logarithmic = bounds.T
    ratio = np.where(logarithmic > 0, high / np.where(logarithmic > 0, low, 1), 1)
    return np.asarray(np.where(logarithmic > 0, low * ratio**points, low + points * (high - low)))
