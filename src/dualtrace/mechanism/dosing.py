"""What is swallowed and when: doses, regimens, and the verbs that build them.

Times are hours on one clock of the design (for a single session: 0 is the start of the session). Decision
times, at which something is read off or decided, are part of the regimen and are never taken from a grid
of output times.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from enum import StrEnum

from dualtrace.errors import InputError
from dualtrace.mechanism.parameters import load_parameters


class Meal(StrEnum):
    """What was in the stomach when the dose was swallowed."""

    FASTED = "fasted"
    LIGHT = "light"
    HIGH_FAT = "high_fat"
    JUICE = "juice"
    ANTACID = "antacid"


@dataclass(frozen=True, slots=True)
class Dose:
    """One oral dose.

    Attributes
    ----------
    amount_mg
        0 or more, at most the agent's limit in ``parameters.yaml``.
    time_h
        When it is swallowed, hours on the clock of the design.
    meal
        What was in the stomach.
    limit_mg
        Largest amount that is simulated; ``None`` takes the limit of D-cycloserine.
    """

    amount_mg: float
    time_h: float = 0.0
    meal: Meal = Meal.FASTED
    limit_mg: float | None = None

    def __post_init__(self) -> None:
        limit = self.limit_mg if self.limit_mg is not None else load_parameters().number("dcs.dose_limit", "mg")
        if not (math.isfinite(self.amount_mg) and 0 <= self.amount_mg <= limit):
            raise InputError(f"a dose must be between 0 and {limit:g} mg; given {self.amount_mg:g} mg")
        if not math.isfinite(self.time_h):
            raise InputError(f"a dose needs a finite time in hours; given {self.time_h}")


@dataclass(frozen=True, slots=True)
class Regimen:
    """Doses in order of time, with the design's decision times."""

    doses: tuple[Dose, ...]
    decisions_h: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        _require_rising("dose times", tuple(dose.time_h for dose in self.doses))
        _require_rising("decision times", self.decisions_h)

    @property
    def times_h(self) -> tuple[float, ...]:
        """Dose times (h)."""
        return tuple(dose.time_h for dose in self.doses)

    @property
    def amounts_mg(self) -> tuple[float, ...]:
        """Dose amounts (mg)."""
        return tuple(dose.amount_mg for dose in self.doses)

    @property
    def meals(self) -> tuple[Meal, ...]:
        """Meal of each dose."""
        return tuple(dose.meal for dose in self.doses)


def bolus(amount_mg: float, *, at_h: float = 0.0, meal: Meal = Meal.FASTED, limit_mg: float | None = None) -> Regimen:
    """One dose."""
    return Regimen((Dose(amount_mg, at_h, meal, limit_mg),))


def repeat(regimen: Regimen, *, every_h: float, times: int) -> Regimen:
    """Return the regimen ``times`` times over, each copy ``every_h`` hours after the one before.

    Raises
    ------
    InputError
        ``every_h`` is not positive, ``times`` is below 1, or the copies overlap.
    """
    if not (math.isfinite(every_h) and every_h > 0):
        raise InputError(f"the interval between repeats must be positive hours; given {every_h:g}")
    if times < 1:
        raise InputError(f"a regimen is repeated 1 or more times; given {times}")
    return Regimen(
        tuple(
            Dose(dose.amount_mg, dose.time_h + k * every_h, dose.meal, dose.limit_mg)
            for k in range(times)
            for dose in regimen.doses
        ),
        tuple(time + k * every_h for k in range(times) for time in regimen.decisions_h),
    )


def combine(*regimens: Regimen) -> Regimen:
    """All doses and decision times of several regimens, in order of time."""
    return Regimen(
        tuple(sorted((dose for one in regimens for dose in one.doses), key=lambda dose: dose.time_h)),
        tuple(sorted({time for one in regimens for time in one.decisions_h})),
    )


def _require_rising(what: str, times: tuple[float, ...]) -> None:
    for before, after in itertools.pairwise(times):
        if not before < after:
            raise InputError(
                f"{what} must rise from row to row; given {before:g} h then {after:g} h: "
                "sort them, and merge doses swallowed at the same time"
            )
