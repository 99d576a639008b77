"""Models through experiments: fear of every group at every row, for one set of constants or many draws."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.errors import InputError
from dualtrace.experiments.timeline import Group, lay_out, rows_of, timeline_of
from dualtrace.mechanism.memory.contract import follow
from dualtrace.mechanism.parameters import load_parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from dualtrace.experiments.contrast import Side, Term
    from dualtrace.experiments.record import Experiment
    from dualtrace.experiments.timeline import Batch
    from dualtrace.mechanism.memory.contract import Info, Memory, Sizes, Timeline
    from dualtrace.mechanism.parameters import ParameterTable

    Follow = Callable[[Memory[Any, Any], Any, Timeline, Sizes], Info]

_HALF = 0.5


@dataclass(frozen=True, slots=True)
class Course:
    """Fear of one group, shape ``(rows, draws)``, with the procedure it comes from."""

    group: Group
    fear: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Run:
    """One model through many experiments."""

    model: str
    experiments: tuple[Experiment, ...]
    courses: dict[tuple[int, tuple[str, ...]], Course]

    def value(self, experiment: int, side: Side) -> NDArray[np.float64]:
        """A side of a finding, one value per draw."""
        return np.asarray(
            sum((term.factor * self.quantity(experiment, term) for term in side.terms), np.full(1, side.constant))
        )

    def quantity(self, experiment: int, term: Term) -> NDArray[np.float64]:
        """One quantity, averaged over the groups that have its levels, by their share of people."""
        record = self.experiments[experiment]
        total, weight = np.zeros(1), 0.0
        for index in record.matching(term.levels):
            levels = record.groups[index]
            course = self.courses[experiment, levels]
            rows = rows_of(course.group, term.phase, term.end, term.count)
            if not rows.size:
                raise InputError(
                    f"{record.id}: group {','.join(levels) or 'of all'} has no presentation in phase {term.phase!r}, "
                    "which a finding asks for"
                )
            total = total + record.share(levels) * _measure(term.quantity, course.fear[rows])
            weight += record.share(levels)
        return total / weight


def _measure(quantity: str, fear: NDArray[np.float64]) -> NDArray[np.float64]:
    if quantity == "trials":
        below = fear <= _HALF * fear[:1]
        return np.where(below.any(axis=0), below.argmax(axis=0), len(fear)).astype(np.float64)
    return np.asarray(fear.mean(axis=0))


@cache
def _jitted() -> Follow:
    import jax

    compiled: Follow = jax.jit(follow, static_argnums=(0, 3))
    return compiled


def compiled_follow(model: Memory[Any, Any], theta: Any, timeline: Timeline, sizes: Sizes) -> Info:  # noqa: ANN401
    """:func:`follow` compiled by JAX, once for every shape: for searches that run the same batches many times."""
    return _jitted()(model, theta, timeline, sizes)


def run(
    model: Memory[Any, Any],
    experiments: Sequence[Experiment],
    *,
    draws: Mapping[str, NDArray[np.float64]] | None = None,
    batches: Sequence[Batch] | None = None,
    table: ParameterTable | None = None,
    through: Follow = follow,
) -> Run:
    """Run a model through experiments.

    Parameters
    ----------
    model, experiments
        What to run.
    draws
        Constants to vary: name to an array of shape ``(n,)``; the others keep their values.
    batches
        The experiments laid out, where that has been done (:func:`dualtrace.experiments.timeline.lay_out`).
    table
        Constants; the shipped ones when absent.
    through
        How a batch is followed: :func:`compiled_follow` pays when the same batches are run many times.
    """
    table = table or load_parameters()
    drawn = {name: np.asarray(values, float) for name, values in (draws or {}).items()}
    n = max((values.size for values in drawn.values()), default=1)
    theta = model.theta(table.lookup_with({name: values[:, None] for name, values in drawn.items()}))
    gains = table.lookup_with(drawn)
    courses: dict[tuple[int, tuple[str, ...]], Course] = {}
    for batch in batches if batches is not None else lay_out(experiments):
        timeline, sizes = timeline_of(batch, gains, n)
        with np.errstate(all="ignore"):
            fear = np.asarray(through(model, theta, timeline, sizes).fear)
        for g, group in enumerate(batch.groups):
            courses[group.experiment, group.levels] = Course(group, fear[:, :, g])
    return Run(model.name, tuple(experiments), courses)
