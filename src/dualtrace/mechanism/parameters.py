"""Every constant of the mechanism, read from ``data/parameters.yaml``; no constant is typed in code.

``number("plasma.lag", "h")`` names the unit the calling code works in, so units are checked once, here,
and plain floats go on from there.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from pydantic import Field, model_validator

from dualtrace.errors import InputError
from dualtrace.frozen import Frozen, Key, Text
from dualtrace.mechanism.prior import Fixed, Prior, read_prior
from dualtrace.source_map import parse_yaml, validate

if TYPE_CHECKING:
    from collections.abc import Mapping

ASSUMPTION = "assumption"


class Lookup(Protocol):
    """Gives the value of a parameter in the unit asked for: a float, or an array of draws."""

    def __call__(self, name: str, unit: str) -> Any:  # noqa: ANN401, D102
        ...


class CitedWork(Frozen):
    """What a source key of ``parameters.yaml`` stands for."""

    citation: Text
    doi: Annotated[str, Field(pattern=r"^10\.\d{4,}/\S+$")] | None = None


class Parameter(Frozen):
    """One constant: value, unit, prior, allowed range, meaning and where it comes from."""

    value: float
    unit: Text
    prior: Prior
    range: tuple[float, float] | None = None
    meaning: Text
    source: Key | Literal["assumption"]
    note: Text | None = None

    @model_validator(mode="before")
    @classmethod
    def _prior_from_words(cls, given: object) -> object:
        if isinstance(given, dict) and not isinstance(given.get("prior"), Prior):
            return {**given, "prior": read_prior(given.get("prior"))}
        return given

    @model_validator(mode="after")
    def _value_within_range(self) -> Parameter:
        if self.range is None:
            if not isinstance(self.prior, Fixed):
                raise ValueError("a parameter with a prior needs a range: [low, high]")
            return self
        low, high = self.range
        if not low <= self.value <= high:
            raise ValueError(f"value {self.value:g} lies outside its range {low:g} to {high:g}")
        return self

    @property
    def is_uncertain(self) -> bool:
        """Whether the parameter has a prior that is not a point."""
        return not isinstance(self.prior, Fixed)


class ParameterTable(Frozen):
    """All parameters with the works they cite."""

    sources: dict[Key, CitedWork]
    parameters: dict[str, Parameter]

    def parameter(self, name: str) -> Parameter:
        """Return the parameter of that name; ``InputError`` names the closest ones when there is none."""
        if name in self.parameters:
            return self.parameters[name]
        block = name.split(".", maxsplit=1)[0]
        near = ", ".join(key for key in self.parameters if key.startswith(f"{block}.")) or ", ".join(
            sorted({key.split(".", maxsplit=1)[0] for key in self.parameters})
        )
        raise InputError(f"there is no parameter {name!r} in parameters.yaml; near it are: {near}")

    def number(self, name: str, unit: str) -> float:
        """Return the value of ``name``, which must be stored in ``unit``."""
        entry = self.parameter(name)
        if entry.unit != unit:
            raise InputError(f"{name} is stored in {entry.unit}, not in {unit}; convert it first")
        return entry.value

    def with_values(self, changes: dict[str, float]) -> ParameterTable:
        """Return a copy with other values, each within its stated range.

        Raises
        ------
        InputError
            A name is unknown or a value lies outside the range of ``parameters.yaml``.
        """
        entries = dict(self.parameters)
        for name, value in changes.items():
            entry = self.parameter(name)
            if entry.range is None:
                raise InputError(f"{name} is fixed at {entry.value:g} {entry.unit}; given {value:g}")
            low, high = entry.range
            if not low <= value <= high:
                unit = "" if entry.unit == "1" else f" {entry.unit}"
                raise InputError(f"{name} must lie between {low:g} and {high:g}{unit}; given {value:g}")
            entries[name] = entry.model_copy(update={"value": float(value)})
        return self.model_copy(update={"parameters": entries})

    def lookup_with(self, draws: Mapping[str, Any]) -> Lookup:
        """Return a lookup in which some parameters are arrays: draws, or traced values."""
        for name in draws:
            self.parameter(name)

        def lookup(name: str, unit: str) -> Any:  # noqa: ANN401
            stored = self.number(name, unit)
            return draws.get(name, stored)

        return lookup

    @property
    def uncertain(self) -> tuple[str, ...]:
        """Names of the parameters that have a prior, in file order."""
        return tuple(name for name, entry in self.parameters.items() if entry.is_uncertain)


def read_parameters(text: str, where: str) -> ParameterTable:
    """Read a parameter table from YAML text; ``where`` is the file named in error messages."""
    return validate(ParameterTable, parse_yaml(text, Path(where)))


@cache
def load_parameters() -> ParameterTable:
    """Return the parameters shipped with dualtrace."""
    file = resources.files("dualtrace") / "data" / "parameters.yaml"
    return read_parameters(file.read_text(encoding="utf-8"), "parameters.yaml")
