"""Which mechanism a virtual trial runs on: memory model, alternatives of the chain, constants."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast, final

from dualtrace.mechanism.arrays import xp
from dualtrace.mechanism.chain import DEFAULT, Switches
from dualtrace.mechanism.memory.registry import memory_model
from dualtrace.mechanism.parameters import load_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualtrace.mechanism.arrays import Array
    from dualtrace.mechanism.parameters import Lookup, ParameterTable


STRUCTURAL = frozenset({"transit.stages"})
"""Constants that set how many equations there are (fixed in the table): a compiled program has them built in."""


@final
@dataclass(frozen=True)
class Mechanism:
    """A mechanism by name.

    Attributes
    ----------
    memory
        Name of a memory model.
    switches
        Alternatives of the chain from dose to boost.
    changes
        Constants that differ from ``parameters.yaml``.

    Raises
    ------
    InputError
        The model or a constant is unknown, or a value lies outside its range.
    """

    memory: str = "dual_trace"
    switches: Switches = DEFAULT
    changes: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        memory_model(self.memory)
        self.table()

    def table(self) -> ParameterTable:
        """The constants."""
        return load_parameters().with_values(dict(self.changes))

    def values(self) -> dict[str, float]:
        """Every constant by name: what a compiled simulation takes as its argument."""
        return {name: entry.value for name, entry in self.table().parameters.items()}


def lookup_in(values: Mapping[str, Any], dtype: Any) -> Lookup:  # noqa: ANN401
    """Return a lookup of constants (numbers, or traced arrays) in one precision; units are those of the table."""
    table = load_parameters()

    def lookup(name: str, unit: str) -> Array:
        number = table.number(name, unit)
        return cast("Array", number) if name in STRUCTURAL else xp.asarray(values[name], dtype)

    return lookup
