"""Doses to gains: an animal's low, medium or high dose as a stated gain, a patient's milligrams through the chain."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from dualtrace.errors import InputError
from dualtrace.frozen import Frozen, Text
from dualtrace.mechanism.arrays import xp
from dualtrace.mechanism.chain import Switches, consolidation_boost
from dualtrace.mechanism.linear import Doses
from dualtrace.mechanism.parameters import load_parameters
from dualtrace.mechanism.plasma import Deviations, dose_arrays
from dualtrace.mechanism.scenario import Scenario, chain_of
from dualtrace.mechanism.tolerance import Tolerance, default_tolerance, lost_before
from dualtrace.source_map import SourceMap, read_yaml, validate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dualtrace.experiments.procedure import Dosed
    from dualtrace.mechanism.parameters import Lookup

_MINUTES = 60.0
_FULL_BLOCK = -1.0
_WINDOWS_H = np.geomspace(0.25, 8.0, 16)
"""Consolidation windows at which the chain is run; between them ``M`` is interpolated in the logarithm."""

CONSTANTS = (
    "experiment.agonist_low",
    "experiment.agonist_medium",
    "experiment.agonist_high",
    "experiment.blocker_low",
    "experiment.blocker_medium",
    "experiment.blocker_high",
    "experiment.lead",
    "tolerance.jump",
    "tolerance.recovery",
    "consolidation.tau",
)
"""Parameters on which the gains rest."""


class Drug(Frozen):
    """What a drug does to what a session leaves open."""

    title: Text
    acts: Literal["agonist", "blocker"]
    safety: float
    threat: float
    note: Text


class Gain(NamedTuple):
    """Gain on safety and on threat, one value per draw of the constants."""

    safety: NDArray[np.float64]
    threat: NDArray[np.float64]


@cache
def drugs() -> dict[str, Drug]:
    """The drugs of the catalogue by name."""
    path = Path(str(resources.files("dualtrace") / "data" / "drugs.yaml"))
    whole = read_yaml(path)
    return {name: validate(Drug, SourceMap(path, entry, whole.lines)) for name, entry in whole.content.items()}


def drug(name: str) -> Drug:
    """Return a drug.

    Raises
    ------
    InputError
        There is none of this name.
    """
    if name not in drugs():
        raise InputError(f"a drug must be one of {', '.join(drugs())}; given {name!r}")
    return drugs()[name]


def session_gain(session: Sequence[Dosed], all_doses: Sequence[Dosed], lookup: Lookup) -> Gain:
    """Gain over the consolidation window of a session, from the doses it saw; no block is more than full.

    An animal's dose ``d`` hours after the end acts on what is left of the window, ``exp(-d / tau_c)``; one given
    ``d`` hours before the start has waned by ``exp(-d / lead)``. Earlier agonist doses blunt later ones as in
    :mod:`dualtrace.mechanism.tolerance`.
    """
    window = lookup("consolidation.tau", "h")
    return _sum([_one(dose, all_doses, lookup, np.exp(-dose.delay_h / window)) for dose in session])


def on_board(doses: Sequence[Dosed], all_doses: Sequence[Dosed], lookup: Lookup) -> Gain:
    """Gain while a session runs, from doses given before it."""
    return _sum([_one(dose, all_doses, lookup, 1.0) for dose in doses])


def _sum(parts: Sequence[Gain]) -> Gain:
    return Gain(*(np.maximum(sum(side, np.zeros(1)), _FULL_BLOCK) for side in zip(*parts, strict=True)))


def _one(dose: Dosed, all_doses: Sequence[Dosed], lookup: Lookup, left: NDArray[np.float64] | float) -> Gain:
    what = drug(dose.given.name)
    if dose.given.dose_mg is not None:
        size = _human(dose, np.atleast_1d(lookup("consolidation.tau", "h")))
    else:
        waned = np.exp(-(dose.given.before_h or 0.0) / lookup("experiment.lead", "h"))
        size = lookup(f"experiment.{what.acts}_{dose.given.gain}", "1") * left * waned
    size = size * (1 - _lost(dose, all_doses, lookup)) if what.acts == "agonist" else -size
    return Gain(np.atleast_1d(what.safety * size), np.atleast_1d(what.threat * size))


def _lost(dose: Dosed, all_doses: Sequence[Dosed], lookup: Lookup) -> NDArray[np.float64]:
    earlier = sorted(
        (d for d in all_doses if d.given.name == dose.given.name and d.time_h <= dose.time_h), key=lambda d: d.time_h
    )
    times = np.array([d.time_h for d in earlier])
    spared: Tolerance = default_tolerance(lookup)
    return np.asarray(lost_before(Doses(xp.asarray(times), xp.ones(times.shape)), spared)[..., -1])


def _human(dose: Dosed, window_h: NDArray[np.float64]) -> NDArray[np.float64]:
    if dose.given.name != "dcs":
        raise InputError(f"only dcs can be given in mg; state a gain (low, medium, high) for {dose.given.name}")
    given = dose.given
    before = given.before_h * _MINUTES if given.before_h is not None else -dose.session_min - dose.delay_h * _MINUTES
    boosts = _boosts(float(given.dose_mg or 0), before, dose.session_min)
    return np.interp(np.log(window_h), np.log(_WINDOWS_H), boosts)


@cache
def _boosts(dose_mg: float, minutes_before: float, session_min: float) -> NDArray[np.float64]:
    """``M`` of the typical person for every window of :data:`_WINDOWS_H`, without tolerance."""
    scenario = Scenario(dose_mg, minutes_before, session_min, switches=Switches(tolerance=False))
    chain = chain_of(scenario, load_parameters().number, Deviations())
    doses = dose_arrays(scenario.regimen)
    whole = [
        consolidation_boost(chain._replace(window_h=xp.asarray(window)), doses, scenario.session_end_h)
        for window in _WINDOWS_H
    ]
    return np.array([float(boost) for boost in whole])
