"""What is assumed where a source is silent: a value with a low and a high one, per paradigm and kind of phase."""

from __future__ import annotations

from enum import IntEnum
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dualtrace.errors import InputError
from dualtrace.source_map import read_yaml

if TYPE_CHECKING:
    from dualtrace.experiments.record import Paradigm, Phase

_SPECIES = ("human",)
"""Species that have defaults of their own."""


class Variant(IntEnum):
    """Which of the three assumed values is used."""

    USUAL = 0
    LOW = 1
    HIGH = 2


class Defaults:
    """Assumed values of one paradigm and species."""

    def __init__(self, paradigm: Paradigm, species: str, variant: Variant = Variant.USUAL) -> None:
        self.paradigm = paradigm
        self.variant = variant
        table = _table(paradigm.value)
        own: dict[str, Any] = next(
            (table[name] for name in _SPECIES if name in table and species.lower().startswith(name)), {}
        )
        self._table = {**table, **own}

    def value(self, phase: Phase, field: str) -> float:
        """The assumed value of a field of a phase.

        Raises
        ------
        InputError
            There is no default for this field: the experiment must state it.
        """
        kind = self._table.get(phase.kind.value, {})
        if field not in kind:
            raise InputError(
                f"phase {phase.name!r} must state {field}: there is no default for {phase.kind.value} "
                f"in a {self.paradigm.value} paradigm"
            )
        return float(kind[field][self.variant])

    @property
    def context_unit_min(self) -> float:
        """Minutes of context exposure that count as one missed US."""
        return float(self._table["context_unit_min"][self.variant])

    @property
    def cue_unit_s(self) -> float:
        """Seconds of an unreinforced cue that count as one missed US."""
        return float(self._table["cue_unit_s"][self.variant])

    @property
    def margin(self) -> float:
        """Smallest difference of fear that counts."""
        return float(self._table["margin"])


@cache
def _table(paradigm: str) -> dict[str, Any]:
    whole: dict[str, Any] = read_yaml(
        Path(str(resources.files("dualtrace") / "data" / "experiment_defaults.yaml"))
    ).content
    table: dict[str, Any] = whole[paradigm]
    return _table(table["like"]) if "like" in table else table
