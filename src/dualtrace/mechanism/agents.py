"""Other agents than D-cycloserine: D-serine from ``parameters.yaml``, a user's own from a YAML file.

A file looks like this; every quantity is a number in the unit shown or text with a unit (``35 mL/min``)::

    id: my_drug
    label: My drug
    source: where the numbers are from
    molar_mass: 180 g/mol
    dose_limit: 500 mg
    kinetics: {clearance: 5 L/h, volume: 40 L, absorption: 1.2 1/h, lag: 0.25 h}
    brain: {kp: 0.3, ke0: 1 1/h}
    receptor: {k: 3 uM, efficacy: [1, 1, 1, 1]}

``kinetics`` with ``exchange`` and ``peripheral_volume`` has two compartments; ``per_kg: true`` makes volumes
and clearances per kilogram. ``receptor`` gives affinity at GluN2B and efficacy at GluN2A, 2B, 2C and 2D
(0: a site antagonist), or ``channel_ic50`` for a channel blocker. ``spread`` gives log SDs between people.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from dualtrace.errors import InputError
from dualtrace.frozen import Frozen, Key, Text
from dualtrace.mechanism import receptor
from dualtrace.mechanism.arrays import xp
from dualtrace.mechanism.brain import brain_kinetics
from dualtrace.mechanism.chain import DEFAULT, Chain, Switches, connect
from dualtrace.mechanism.plasma import TYPICAL, Deviations, one_compartment, two_compartment
from dualtrace.mechanism.units import quantity
from dualtrace.source_map import parse_yaml, read_yaml, validate

if TYPE_CHECKING:
    from dualtrace.mechanism.arrays import ArrayLike
    from dualtrace.mechanism.linear import LinearKinetics
    from dualtrace.mechanism.parameters import Lookup

CYCLOSERINE = "d-cycloserine"
DSERINE = "d-serine"

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=2)]

_UNITS = {
    "molar_mass": "g/mol",
    "dose_limit": "mg",
    "clearance": "L/h",
    "volume": "L",
    "absorption": "1/h",
    "lag": "h",
    "exchange": "L/h",
    "peripheral_volume": "L",
    "kp": "1",
    "ke0": "1/h",
    "k": "uM",
    "channel_ic50": "uM",
}


class Measured(Frozen):
    """A record whose quantities may be written with units (abstract)."""

    @model_validator(mode="before")
    @classmethod
    def _without_units(cls, given: Any) -> Any:  # noqa: ANN401
        if not isinstance(given, dict):
            return given
        try:
            return {
                name: quantity(value, unit=_UNITS[name], what=name) if name in _UNITS and value is not None else value
                for name, value in given.items()
            }
        except InputError as error:
            raise ValueError(str(error)) from error


class Kinetics(Measured):
    """One compartment, or two with ``exchange`` and ``peripheral_volume``."""

    clearance: Positive
    volume: Positive
    absorption: Positive
    lag: Annotated[float, Field(ge=0)] = 0.0
    exchange: Positive | None = None
    peripheral_volume: Positive | None = None
    per_kg: bool = False

    @model_validator(mode="after")
    def _both_or_none(self) -> Kinetics:
        if (self.exchange is None) != (self.peripheral_volume is None):
            raise ValueError("give exchange and peripheral_volume together, or neither")
        return self


class Brain(Measured):
    """Effect compartment."""

    kp: Share
    ke0: Positive


class Receptor(Measured):
    """What the agent does at the NMDA receptor."""

    k: Positive | None = None
    efficacy: Annotated[tuple[Annotated[float, Field(ge=0, le=5)], ...], Field(min_length=4, max_length=4)] = (
        1.0,
        1.0,
        1.0,
        1.0,
    )
    channel_ic50: Positive | None = None

    @model_validator(mode="after")
    def _acts(self) -> Receptor:
        if self.k is None and self.channel_ic50 is None:
            raise ValueError("an agent acts at the glycine site (k) or in the channel (channel_ic50); give one")
        return self


class Spread(Frozen):
    """Log SDs between people."""

    clearance: Annotated[float, Field(ge=0, le=2)] = 0.0
    volume: Annotated[float, Field(ge=0, le=2)] = 0.0
    absorption: Annotated[float, Field(ge=0, le=3)] = 0.0
    lag: Annotated[float, Field(ge=0, le=2)] = 0.0


class Agent(Measured):
    """An agent with linear kinetics that acts at the NMDA receptor."""

    id: Key
    label: Text
    source: Text
    molar_mass: Positive
    dose_limit: Positive
    kinetics: Kinetics
    brain: Brain
    receptor: Receptor
    spread: Spread = Spread()


def read_agent(text: str, where: str) -> Agent:
    """Read an agent from YAML text; ``where`` is the file named in messages."""
    return validate(Agent, parse_yaml(text, Path(where)))


def find_agent(name: str, lookup: Lookup) -> Agent | None:
    """Return the agent of a name or YAML path; ``None`` stands for D-cycloserine itself.

    Raises
    ------
    InputError
        There is no such name and no such file.
    """
    if name == CYCLOSERINE:
        return None
    if name == DSERINE:
        return dserine(lookup)
    path = Path(name)
    if not path.is_file():
        raise InputError(f"unknown agent {name!r}; known are {CYCLOSERINE}, {DSERINE}, or give a YAML file")
    return validate(Agent, read_yaml(path))


def dserine(lookup: Lookup) -> Agent:
    """D-serine with the constants of ``parameters.yaml``."""
    volume = float(lookup("dserine.volume", "L/kg"))
    affinity = lookup("receptor.dserine_over_glycine", "1") * lookup("receptor.k_glycine", "uM")
    return Agent(
        id="d_serine",
        label="D-serine",
        source="parameters.yaml",
        molar_mass=lookup("dserine.molar_mass", "g/mol"),
        dose_limit=lookup("dserine.dose_limit", "mg"),
        kinetics=Kinetics(
            clearance=volume * math.log(2) / lookup("dserine.half_life", "h"),
            volume=volume,
            absorption=lookup("dserine.absorption", "1/h"),
            lag=lookup("dserine.lag", "h"),
            per_kg=True,
        ),
        brain=Brain(kp=lookup("dserine.kp", "1"), ke0=lookup("dserine.ke0", "1/h")),
        receptor=Receptor(k=affinity),
    )


def agent_kinetics(agent: Agent, weight_kg: ArrayLike, deviations: Deviations = TYPICAL) -> LinearKinetics:
    """Plasma kinetics of an agent in a person of that weight."""
    own = agent.kinetics
    size = xp.asarray(weight_kg) if own.per_kg else xp.asarray(1.0)
    clearance = own.clearance * size * xp.exp(xp.asarray(deviations.clearance) + deviations.occasion_clearance)
    volume = own.volume * size * xp.exp(xp.asarray(deviations.volume))
    absorption = own.absorption * xp.exp(xp.asarray(deviations.absorption))
    lag = own.lag * xp.exp(xp.asarray(deviations.lag))
    if own.exchange is None or own.peripheral_volume is None:
        return one_compartment(clearance=clearance, volume=volume, absorption=absorption, lag=lag)
    return two_compartment(
        clearance=clearance,
        volume=volume,
        exchange=own.exchange * size,
        peripheral_volume=own.peripheral_volume * size,
        absorption=absorption,
        lag=lag,
    )


def agent_chain(
    agent: Agent,
    weight_kg: ArrayLike,
    lookup: Lookup,
    *,
    deviations: Deviations = TYPICAL,
    switches: Switches = DEFAULT,
) -> Chain:
    """Assemble the chain of an agent, its affinity scaled by class as glycine's."""
    plasma = agent_kinetics(agent, weight_kg, deviations)
    potency = receptor.glycine(lookup).k / lookup("receptor.k_glycine", "uM")
    k = xp.inf if agent.receptor.k is None else agent.receptor.k
    ic50 = xp.inf if agent.receptor.channel_ic50 is None else agent.receptor.channel_ic50
    return connect(
        plasma,
        brain_kinetics(plasma, kp=agent.brain.kp, ke0=agent.brain.ke0),
        receptor.Ligand(k=k * potency, efficacy=xp.asarray(agent.receptor.efficacy)),
        lookup,
        molar_mass=agent.molar_mass,
        channel_ic50_um=ic50,
        switches=switches,
    )
