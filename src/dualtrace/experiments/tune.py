"""Search a model's constants for the training part of the catalogue; what is held out is scored, never searched.

The search is differential evolution (Storn & Price 1997, doi:10.1023/A:1008202821328) over the ranges of the
priors. It gives one good point, not a posterior: signs do not identify a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import Bounds, differential_evolution

from dualtrace.errors import InputError
from dualtrace.experiments.pharmacology import CONSTANTS
from dualtrace.experiments.run import run
from dualtrace.experiments.score import score, sizes
from dualtrace.experiments.timeline import lay_out
from dualtrace.mechanism.parameters import load_parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from dualtrace.experiments.record import Experiment
    from dualtrace.experiments.run import Run
    from dualtrace.mechanism.memory.contract import Memory

SPARE = 0.15
"""Margins by which a finding should hold, so that it does not hang on a rounding."""

_WORST = 3.0
_SIZE_WEIGHT = 0.1
_POPULATION = 64
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

    A finding costs 1 when it is missed, and its distance from holding with :data:`SPARE` margins to spare, up to 3;
    contested findings cost nothing, as their opposites stand beside them.
    """
    total = np.zeros(1)
    for scored in score(run):
        weight = {"core": 1.0, "supporting": 0.25, "contested": 0.0}[scored.strength.value]
        slack = np.nan_to_num(scored.slack, nan=-_WORST)
        distance = np.clip(SPARE - slack, 0, _WORST)
        total = total + weight * np.where(slack < SPARE, distance + (slack < 0), 0.0)
    for sized in sizes(run):
        error = (sized.simulated - sized.measured.mean) / (sized.measured.sd or 0.15)
        total = total + _SIZE_WEIGHT * np.minimum(np.nan_to_num(error, nan=_WORST) ** 2, _WORST**2)
    return total


def tune(
    model: Memory[Any, Any],
    experiments: Sequence[Experiment],
    *,
    generations: int,
    seed: int,
    progress: Callable[[int, float], None] = lambda *_: None,
) -> Tuned:
    """Search the constants of a model, and the drug gains, for the training experiments among those given.

    Raises
    ------
    InputError
        No experiment is a training one.
    """
    training = [experiment for experiment in experiments if experiment.split == "training"]
    if not training:
        raise InputError("tuning needs experiments with split: training; all of those given are held out")
    batches = lay_out(training)
    names, bounds, start = search_space(model)
    done = 0

    def cost(points: NDArray[np.float64]) -> NDArray[np.float64]:
        columns = np.atleast_2d(points.T)
        values = decode(columns, bounds)
        drawn = {name: values[:, i] for i, name in enumerate(names)}
        found = loss(run(model, training, draws=drawn, batches=batches))
        return np.broadcast_to(found, len(columns))

    def tell(intermediate_result: Any) -> None:  # noqa: ANN401
        nonlocal done
        done += 1
        progress(done, float(intermediate_result.fun))

    rng = np.random.default_rng(seed)
    population = np.vstack([start, rng.random((_POPULATION - 1, len(names)))])
    found = differential_evolution(
        cost,  # type: ignore[arg-type] # the stubs know no vectorised cost
        Bounds(np.zeros(len(names)), np.ones(len(names))),
        init=population,
        maxiter=generations,
        tol=0,
        polish=False,
        vectorized=True,
        updating="deferred",
        strategy="currenttobest1bin",
        rng=rng,
        callback=tell,
    )
    best = decode(found.x[None], bounds)[0]
    return Tuned(model.name, dict(zip(names, map(float, best), strict=True)), float(found.fun), int(found.nfev))


def search_space(model: Memory[Any, Any]) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    """Names, bounds (low, high, whether logarithmic) and starting point, as shares of the prior's range.

    Constants of the chain (tolerance, the consolidation window) keep the values they have there.
    """
    table = load_parameters()
    names = [name for name in (*model.constants, *CONSTANTS) if _is_searched(name)]
    rows, start = [], []
    for name in names:
        entry = table.parameter(name)
        low, high = entry.prior.quantile(np.array([_EDGE, 1 - _EDGE]))
        logarithmic = entry.prior.kind in {"loguniform", "lognormal"}
        rows.append((low, high, float(logarithmic)))
        share = np.log(entry.value / low) / np.log(high / low) if logarithmic else (entry.value - low) / (high - low)
        start.append(float(np.clip(share, 0, 1)))
    return names, np.array(rows), np.array(start)


def _is_searched(name: str) -> bool:
    chain = name.startswith(("tolerance.", "consolidation."))
    return name not in _NOT_SEARCHED and not chain and load_parameters().parameter(name).is_uncertain


def decode(points: NDArray[np.float64], bounds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares of the range to values, evenly or in the logarithm."""
    low, high, logarithmic = bounds.T
    ratio = np.where(logarithmic > 0, high / np.where(logarithmic > 0, low, 1), 1)
    return np.asarray(np.where(logarithmic > 0, low * ratio**points, low + points * (high - low)))
