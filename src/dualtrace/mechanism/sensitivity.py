"""Which unknowns matter most for ``M``: Sobol indices over the priors of ``parameters.yaml``.

Needs SALib (extra ``sensitivity``). A first-order index is the share of the variance of ``M`` that knowing
one unknown alone would remove; a total index the share left if all the others were known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.errors import DualtraceError, InputError
from dualtrace.mechanism.chain import build, consolidation_boost
from dualtrace.mechanism.parameters import load_parameters
from dualtrace.mechanism.plasma import Deviations, covariates, dose_arrays
from dualtrace.mechanism.prior import Normal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dualtrace.mechanism.scenario import Scenario

UNKNOWNS = (
    "plasma.clearance",
    "plasma.clearance_crcl",
    "plasma.volume",
    "plasma.absorption_fasted",
    "plasma.lag",
    "brain.kp",
    "brain.ke0",
    "receptor.theta0",
    "receptor.k_glycine",
    "receptor.dcs_over_glycine",
    "receptor.potency_2a",
    "receptor.potency_2c",
    "receptor.potency_2d",
    "receptor.efficacy_2a",
    "receptor.efficacy_2b",
    "receptor.efficacy_2c",
    "receptor.efficacy_2d",
    "receptor.weight_2a",
    "receptor.weight_2b",
    "receptor.weight_2c",
    "receptor.weight_2d",
    "tolerance.jump",
    "tolerance.recovery",
    "consolidation.tau",
)
"""Constants on the way from a fasted dose to ``M``."""

PEOPLE = {
    "person: clearance": "plasma.omega_clearance",
    "person: volume": "plasma.omega_volume",
    "person: absorption": "plasma.omega_absorption",
    "person: lag": "plasma.omega_lag",
}
"""How one person differs from the typical one, with the parameter that holds the log SD."""


_KINETIC = ("plasma.", "brain.")
"""Blocks whose draws need an axis for doses as well as one for times (see ``arrays``)."""


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Sobol indices of ``M``, one per unknown, with half-widths of their 95 % intervals; and ``M`` drawn."""

    names: tuple[str, ...]
    first: NDArray[np.float64]
    first_half_width: NDArray[np.float64]
    total: NDArray[np.float64]
    total_half_width: NDArray[np.float64]
    boosts: NDArray[np.float64]

    @property
    def order(self) -> NDArray[np.intp]:
        """Positions from the largest total index to the smallest."""
        return np.argsort(-self.total, kind="stable")


def boost_sensitivity(scenario: Scenario, *, base: int = 1024, seed: int = 1) -> Sensitivity:
    """Sobol indices of ``M`` for a scenario of D-cycloserine, by Saltelli sampling.

    Parameters
    ----------
    base
        Base sample, a power of two; ``base (unknowns + 2)`` runs of the chain.

    Raises
    ------
    InputError
        ``base`` is not a power of two.
    DualtraceError
        SALib is not installed.
    """
    if base < 2 or base & (base - 1):
        raise InputError(f"the base sample must be a power of two, 2 or more; given {base}")
    sampler, analyser = _salib()
    names = (*UNKNOWNS, *PEOPLE)
    problem = {"num_vars": len(names), "names": list(names), "bounds": [[0.0, 1.0]] * len(names)}
    unit = np.asarray(sampler.sample(problem, base, calc_second_order=False, seed=seed))
    boosts = boosts_at(unit, scenario)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = analyser.analyze(problem, boosts, calc_second_order=False, seed=seed, print_to_console=False)
    indices = [np.asarray(found[key]) for key in ("S1", "S1_conf", "ST", "ST_conf")]
    return Sensitivity(names, indices[0], indices[1], indices[2], indices[3], boosts)


def boosts_at(unit: NDArray[np.float64], scenario: Scenario) -> NDArray[np.float64]:
    """``M`` at points of the unit cube, one column per name of ``UNKNOWNS`` then ``PEOPLE``."""
    table = load_parameters()
    inside = np.clip(unit, 1e-6, 1 - 1e-6)
    draws: dict[str, Any] = {}
    for name, column in zip(UNKNOWNS, inside.T, strict=False):
        entry = table.parameters[name]
        values = entry.prior.quantile(column)
        values = np.clip(values, *entry.range) if entry.range else values
        draws[name] = values[:, None, None] if name.startswith(_KINETIC) else values[:, None]
    persons = (
        table.number(spread, "1") * Normal(mean=0, sd=1).quantile(column)[:, None, None]
        for spread, column in zip(PEOPLE.values(), inside.T[len(UNKNOWNS) :], strict=True)
    )
    lookup = table.lookup_with(draws)
    person = covariates(scenario.subject, lookup)
    chains = build(person, [scenario.meal], lookup, deviations=Deviations(*persons), switches=scenario.switches)
    return np.asarray(consolidation_boost(chains, dose_arrays(scenario.regimen), scenario.session_end_h))


def _salib() -> tuple[Any, Any]:
    try:
        from SALib.analyze import sobol as analyser
        from SALib.sample import sobol as sampler
    except ModuleNotFoundError as error:
        raise DualtraceError("Sobol indices need SALib, which this installation lacks: pip install SALib") from error
    return sampler, analyser
