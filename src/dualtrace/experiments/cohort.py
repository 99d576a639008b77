"""Simulated rats and patients: a cohort with known constants, to test what a fit recovers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dualtrace.errors import InputError
from dualtrace.experiments.design import design_of
from dualtrace.experiments.individuals import Responses, Scale
from dualtrace.experiments.posterior import free_constants
from dualtrace.mechanism.memory.contract import follow
from dualtrace.mechanism.parameters import load_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from dualtrace.experiments.design import Design
    from dualtrace.mechanism.memory.contract import Memory
    from dualtrace.mechanism.parameters import ParameterTable


class Typical(NamedTuple):
    """Distribution of a constant over subjects.

    ``value`` is that of the typical (median) subject, ``spread`` the standard deviation over subjects of the logit of
    the constant within its range.
    """

    value: float
    spread: float


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """Simulated subjects and the truth about them.

    Attributes
    ----------
    responses
        What an experimenter would have.
    free
        Constants that differ between subjects.
    constants
        Their values, shape ``(subjects, constants)``.
    fear
        Fear without noise, shape ``(subjects, trials)``.
    """

    responses: Responses
    free: tuple[str, ...]
    constants: NDArray[np.float64]
    fear: NDArray[np.float64]


def simulate_cohort(
    model: Memory[Any, Any],
    design: str | Design,
    n: int,
    population: Mapping[str, Typical],
    seed: int,
    *,
    scale: Scale = Scale.FREEZING,
    noise: float = 0.08,
    missing: float = 0.0,
    table: ParameterTable | None = None,
) -> Cohort:
    r"""Simulate subjects who differ in some constants, :math:`\mathrm{logit}\,c_i \sim N(\mathrm{logit}\,c, \tau)`.

    Parameters
    ----------
    model, design
        What is simulated; a design is a line of the notation or a :class:`~dualtrace.experiments.design.Design`.
    n
        Subjects.
    population
        Constants that differ; the others keep their values.
    seed
        Of the random numbers.
    scale
        The instrument; for skin conductance, gain (median 1, 0.4 in the logarithm) and offset (0.2, sd 0.1) differ
        between subjects too.
    noise
        Standard deviation of a reading, as a share of the scale.
    missing
        Share of readings that are lost at random.
    table
        Constants; the shipped ones when absent.

    Raises
    ------
    InputError
        A constant is unknown or its typical value outside its range; a number is not one of those allowed.
    """
    if n < 1 or not noise > 0 or not 0 <= missing < 1:
        raise InputError(
            f"n must be at least 1, noise above 0 and missing in [0, 1); given {n}, {noise:g}, {missing:g}"
        )
    table = table or load_parameters()
    rng = np.random.default_rng(seed)
    plan = design_of(design)
    values: dict[str, NDArray[np.float64]] = {}
    for free in free_constants(model, tuple(population), table):
        typical, spread = population[free.name]
        if not free.low < typical < free.high or spread < 0:
            raise InputError(
                f"{free.name} must be typical within its range {free.low:g} to {free.high:g}, with a spread of at "
                f"least 0; given {typical:g} and {spread:g}"
            )
        values[free.name] = free.value(free.logit(typical) + spread * rng.standard_normal(n))
    timeline, sizes = plan.timeline(table.number, n)
    theta = model.theta(table.lookup_with({name: value[None] for name, value in values.items()}))
    with np.errstate(all="ignore"):
        fear = np.asarray(follow(model, theta, timeline, sizes).fear)[list(plan.rows), 0].T
    gain, offset = np.ones((n, 1)), np.zeros((n, 1))
    if not scale.has_ends:
        gain, offset = np.exp(0.4 * rng.standard_normal((n, 1))), 0.2 + 0.1 * rng.standard_normal((n, 1))
    readings = scale.noisy(gain * fear + offset, noise, rng) * scale.top
    readings[rng.random(readings.shape) < missing] = np.nan
    labels = tuple(f"s{i + 1}" for i in range(n))
    constants = np.stack(list(values.values()), axis=1) if values else np.zeros((n, 0))
    return Cohort(Responses(labels, readings, scale), tuple(values), constants, fear)
