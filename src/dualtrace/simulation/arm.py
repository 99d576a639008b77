"""One arm of a protocol: what is given, how much, when, at which sessions, under which rule."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Annotated, Any, Literal, final

import numpy as np
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from dualtrace.errors import InputError
from dualtrace.frozen import FieldError, Frozen, Key, Text
from dualtrace.mechanism.agents import find_agent
from dualtrace.mechanism.arrays import xp
from dualtrace.mechanism.dosing import Meal
from dualtrace.mechanism.parameters import load_parameters
from dualtrace.simulation.rule import Rule, parse_rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.mechanism.arrays import Array, ArrayLike
    from dualtrace.simulation.schedule import Session

PLACEBO = "placebo"


def _positive(given: float) -> float:
    if not given > 0:
        raise ValueError(
            f"a dose must be above 0 mg (an arm without the drug has the agent placebo); given {given:g}"
        )
    return given


def _not_negative(given: float) -> float:
    if not 0 <= given <= 1440:
        raise ValueError(
            f"minutes before or after a session must be 0 to 1440 (give says which side); given {given:g}"
        )
    return given


def _dosed(given: Any) -> Any:  # noqa: ANN401
    if given in ("all", "exposures"):
        return given
    numbers = list(given) if isinstance(given, list | tuple) else [given]
    if not numbers or any(isinstance(one, bool) or not isinstance(one, int) or one < 1 for one in numbers):
        raise ValueError(f"sessions with a dose are all, exposures, or numbers from 1; given {given!r}")
    if any(later <= earlier for earlier, later in itertools.pairwise(numbers)):
        raise ValueError(f"sessions with a dose must be in order, each once; given {numbers}")
    return tuple(numbers)


def _readable(given: str) -> str:
    try:
        parse_rule(given)
    except InputError as error:
        raise ValueError(str(error)) from None
    return given


Dose = Annotated[float, AfterValidator(_positive)]
DosedSessions = Annotated[Literal["all", "exposures"] | tuple[int, ...], BeforeValidator(_dosed)]


@final
class Band(Frozen):
    """The dose of people below a weight; the last band has none and holds for all others."""

    below_kg: Annotated[float, Field(gt=0, le=300)] | None = None
    dose_mg: Dose


def dose_limit_mg(agent: str) -> float:
    """Largest dose of an agent that is simulated (mg).

    Raises
    ------
    InputError
        There is no such agent.
    """
    lookup = load_parameters().number
    found = find_agent(agent, lookup)
    return float(lookup("dcs.dose_limit", "mg") if found is None else found.dose_limit)


@final
class ProtocolArm(Frozen):
    """One arm.

    Attributes
    ----------
    agent
        ``placebo``, ``d-cycloserine``, another agent known by name, or the path of an agent's YAML file.
    dose_mg, dose_mg_per_kg, bands
        Exactly one of them for an active agent: milligrams, milligrams per kilogram, or milligrams by weight.
    give, minutes
        Minutes before the session starts or after it ends.
    sessions
        Numbers from 1, ``all``, or ``exposures``: those with exposures.
    meal
        What was in the stomach.
    rule
        When the dose is given; ``if`` in a file. Otherwise placebo is given.
    """

    model_config = ConfigDict(populate_by_name=True)

    id: Key
    label: Text
    agent: Text
    dose_mg: Dose | None = None
    dose_mg_per_kg: Dose | None = None
    bands: tuple[Band, ...] = ()
    give: Literal["before", "after"] | None = None
    minutes: Annotated[float, AfterValidator(_not_negative)] | None = None
    sessions: DosedSessions = "exposures"
    meal: Meal = Meal.FASTED
    rule: Annotated[str, AfterValidator(_readable)] | None = Field(default=None, alias="if")

    @model_validator(mode="after")
    def _dose_fits_agent(self) -> ProtocolArm:
        sizes = [name for name in ("dose_mg", "dose_mg_per_kg", "bands") if getattr(self, name)]
        if self.is_placebo:
            if sizes:
                raise FieldError((sizes[0],), f"placebo has no dose; the arm {self.id!r} gives {sizes[0]}")
            return self
        try:
            limit = dose_limit_mg(self.agent)
        except InputError as error:
            raise FieldError(("agent",), f"{error}, or {PLACEBO}") from None
        if len(sizes) != 1:
            raise FieldError(
                ("dose_mg",),
                f"the arm {self.id!r} needs exactly one of dose_mg, dose_mg_per_kg and bands; "
                f"given {' and '.join(sizes) or 'none'}",
            )
        for where, dose in self._doses():
            if dose > limit:
                raise FieldError(where, f"a dose of {self.agent} is at most {limit:g} mg; given {dose:g} mg")
        return self

    def _doses(self) -> list[tuple[tuple[str | int, ...], float]]:
        fixed = [] if self.dose_mg is None else [(("dose_mg",), self.dose_mg)]
        return [*fixed, *((("bands", i, "dose_mg"), band.dose_mg) for i, band in enumerate(self.bands))]

    @model_validator(mode="after")
    def _bands_rise(self) -> ProtocolArm:
        for i, band in enumerate(self.bands):
            is_last = i == len(self.bands) - 1
            if (band.below_kg is None) != is_last:
                raise FieldError(
                    ("bands", i),
                    "every band but the last needs below_kg, and the last holds for all others without it",
                )
            before = self.bands[i - 1].below_kg if i else None
            if band.below_kg is not None and before is not None and band.below_kg <= before:
                raise FieldError(
                    ("bands", i, "below_kg"), f"bands must rise; given {before:g} kg and then {band.below_kg:g} kg"
                )
        return self

    @model_validator(mode="after")
    def _time_is_whole(self) -> ProtocolArm:
        if (self.give is None) != (self.minutes is None):
            missing, given = ("minutes", "give") if self.minutes is None else ("give", "minutes")
            raise FieldError((given,), f"the arm {self.id!r} gives {given} without {missing}; add it")
        if self.give is None and not self.is_placebo:
            raise FieldError(("give",), f"the arm {self.id!r} must say when: give (before or after) and minutes")
        if self.rule is not None and self.give is None:
            raise FieldError(("if",), f"the arm {self.id!r} has a rule, so it needs give and minutes too")
        return self

    @property
    def is_placebo(self) -> bool:
        """Whether nothing active is given."""
        return self.agent == PLACEBO

    @property
    def parsed_rule(self) -> Rule | None:
        """The rule as a tree; ``None`` when every dose is given."""
        return None if self.rule is None else parse_rule(self.rule)

    def dose_for(self, weight_kg: ArrayLike) -> Array:
        """Milligrams of one dose for people of these weights; 0 with placebo.

        Parameters
        ----------
        weight_kg
            Body weights, a number or an array.

        Returns
        -------
        Array
            Doses (mg) of the same shape, at most the agent's limit.
        """
        weight = xp.asarray(weight_kg)
        if self.is_placebo:
            return xp.zeros_like(weight, dtype=float)
        if self.dose_mg_per_kg is not None:
            return xp.minimum(self.dose_mg_per_kg * weight, dose_limit_mg(self.agent))
        if self.dose_mg is not None:
            return xp.full_like(weight, self.dose_mg, dtype=float)
        bounds = np.array([band.below_kg for band in self.bands[:-1]], float)
        doses = xp.asarray(np.array([band.dose_mg for band in self.bands]))
        return xp.take(doses, xp.searchsorted(xp.asarray(bounds), weight, side="right"))

    def dosed_sessions(self, sessions: Sequence[Session]) -> tuple[int, ...]:
        """Numbers (from 1) of the sessions at which a capsule is given."""
        if self.sessions == "all":
            return tuple(range(1, len(sessions) + 1))
        if self.sessions == "exposures":
            return tuple(number for number, session in enumerate(sessions, 1) if session.exposures > 0)
        return tuple(int(number) for number in self.sessions)
