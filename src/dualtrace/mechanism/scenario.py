"""One dosed session as a user describes it, and what the mechanism makes of it: curves, bands, ``M``.

Zero is the start of the session. People differ in the kinetics of the drug; the typical person does not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.errors import InputError
from dualtrace.mechanism.agents import Agent, agent_chain
from dualtrace.mechanism.arrays import xp
from dualtrace.mechanism.chain import (
    DEFAULT,
    Chain,
    Exposure,
    Structure,
    Switches,
    build,
    consolidation_boost,
    expose,
)
from dualtrace.mechanism.dosing import Meal, Regimen, bolus
from dualtrace.mechanism.linear import Doses
from dualtrace.mechanism.parameters import load_parameters
from dualtrace.mechanism.plasma import Deviations, covariates, dose_arrays
from dualtrace.mechanism.population import (
    band,
    draw_agent_deviations,
    draw_deviations,
    draw_transit_deviations,
)
from dualtrace.mechanism.subject import Subject, reference_subject

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dualtrace.mechanism.parameters import Lookup, ParameterTable

LEVELS = (0.05, 0.5, 0.95)
"""Quantiles of a population band."""

_MINUTES = 60.0
_LONGEST_SESSION = 600.0
_LONGEST_DELAY = 1440.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """A dose, its timing and the session.

    Attributes
    ----------
    dose_mg
        Dose of D-cycloserine.
    minutes_before
        Minutes from the dose to the start of the session; negative means after its start.
    session_minutes
        Length of the session.
    meal
        What was in the stomach.
    subject
        Who takes it.
    switches
        Alternatives of the mechanism.
    agent
        Another agent; ``None`` is D-cycloserine.
    """

    dose_mg: float
    minutes_before: float = 60.0
    session_minutes: float = 90.0
    meal: Meal = Meal.FASTED
    subject: Subject = field(default_factory=reference_subject)
    switches: Switches = DEFAULT
    agent: Agent | None = None

    def __post_init__(self) -> None:
        if not 0 < self.session_minutes <= _LONGEST_SESSION:
            raise InputError(
                f"a session lasts above 0 and at most {_LONGEST_SESSION:g} minutes; given {self.session_minutes:g}"
            )
        if not abs(self.minutes_before) <= _LONGEST_DELAY:
            raise InputError(
                f"a dose lies within {_LONGEST_DELAY:g} minutes of the session's start; given {self.minutes_before:g}"
            )

    @property
    def regimen(self) -> Regimen:
        """The dose on the session's clock."""
        limit = None if self.agent is None else self.agent.dose_limit
        return bolus(self.dose_mg, at_h=-self.minutes_before / _MINUTES, meal=self.meal, limit_mg=limit)

    @property
    def session_end_h(self) -> float:
        """End of the session (h)."""
        return self.session_minutes / _MINUTES


@dataclass(frozen=True, slots=True)
class Result:
    """Curves at ``time_h`` for the typical person and the people drawn (first axis); ``M`` of each."""

    time_h: NDArray[np.float64]
    typical: Exposure
    typical_boost: float
    people: Exposure
    people_boost: NDArray[np.float64]

    def curve_band(self, link: str) -> NDArray[np.float64]:
        """Quantiles :data:`LEVELS` of one field of :class:`Exposure`, shape ``(3, n_times)``."""
        return band(np.asarray(getattr(self.people, link)).T, LEVELS)

    @property
    def boost_band(self) -> NDArray[np.float64]:
        """Quantiles :data:`LEVELS` of ``M``."""
        return band(self.people_boost, LEVELS)


def simulate(
    scenario: Scenario,
    *,
    people: int,
    seed: int,
    time_h: NDArray[np.float64],
    table: ParameterTable | None = None,
) -> Result:
    """Follow the typical person and ``people`` random ones through one session.

    ``table`` replaces the shipped constants.

    Raises
    ------
    InputError
        ``people`` is below 1.
    """
    if people < 1:
        raise InputError(f"the population needs 1 or more people; given {people}")
    lookup = (table or load_parameters()).number
    doses = dose_arrays(scenario.regimen)
    kernel, end = scenario.switches.kernel, scenario.session_end_h

    drawn = _draw(scenario, lookup, count=people, seed=seed)
    chains = chain_of(scenario, lookup, Deviations(*(np.asarray(row)[:, None, None] for row in drawn)))
    whole: list[Any] = [np.broadcast_to(curve, (people + 1, time_h.size)) for curve in expose(chains, doses, time_h)]
    boosts = np.broadcast_to(consolidation_boost(chains, doses, end, kernel), people + 1)
    return Result(
        time_h=time_h,
        typical=Exposure(*(curve[0] for curve in whole)),
        typical_boost=float(boosts[0]),
        people=Exposure(*(curve[1:] for curve in whole)),
        people_boost=boosts[1:],
    )


def chain_of(scenario: Scenario, lookup: Lookup, deviations: Deviations) -> Chain:
    """Build the chain of one person of a scenario."""
    if scenario.agent is not None:
        weight = scenario.subject.weight_kg
        return agent_chain(scenario.agent, weight, lookup, deviations=deviations, switches=scenario.switches)
    person = covariates(scenario.subject, lookup)
    return build(person, [scenario.meal], lookup, deviations=deviations, switches=scenario.switches)


def _draw(scenario: Scenario, lookup: Lookup, *, count: int, seed: int) -> Deviations:
    """Deviations of the plasma model in use; the first row is the typical person."""
    if scenario.agent is not None:
        drawn = draw_agent_deviations(scenario.agent.spread.model_dump(), count=count, seed=seed)
    elif scenario.switches.structure is Structure.TRANSIT:
        drawn = draw_transit_deviations(lookup, count=count, seed=seed)
    else:
        drawn = draw_deviations(lookup, count=count, seed=seed)
    return Deviations(*(np.append(0.0, np.broadcast_to(row, count)) for row in drawn))


def dose_timing_map(
    doses_mg: NDArray[np.float64], minutes_before: NDArray[np.float64], scenario: Scenario
) -> NDArray[np.float64]:
    """``M`` of the typical person for every dose (rows) and timing (columns) of a scenario otherwise kept."""
    chain = chain_of(scenario, load_parameters().number, Deviations())
    amounts, minutes = np.meshgrid(doses_mg, minutes_before, indexing="ij")
    doses = Doses(xp.asarray(-minutes[..., None, None] / _MINUTES), xp.asarray(amounts[..., None, None]))
    return np.asarray(consolidation_boost(chain, doses, scenario.session_end_h, scenario.switches.kernel))
