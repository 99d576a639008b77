"""Small named checks over the parameter table; problems are collected, not thrown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from dualtrace.mechanism.parameters import ASSUMPTION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualtrace.mechanism.parameters import ParameterTable

_NAME = re.compile(r"^[a-z0-9_]+(\.[a-z0-9_]+)+$")
_MOST_TAIL = 0.1
"""Largest prior probability that may lie outside a stated range."""


def lint_parameters(table: ParameterTable) -> tuple[str, ...]:
    """Return one sentence per problem found in the table; empty when there is none."""
    checks = (_names, _sources, _unused_sources, _units, _priors_fit_ranges, _notes_of_assumptions)
    return tuple(problem for check in checks for problem in check(table))


def _names(table: ParameterTable) -> Iterator[str]:
    for name in table.parameters:
        if not _NAME.fullmatch(name):
            yield f"{name}: a name is block.word in lower case; rename it"


def _sources(table: ParameterTable) -> Iterator[str]:
    for name, entry in table.parameters.items():
        if entry.source != ASSUMPTION and entry.source not in table.sources:
            yield f"{name}: source {entry.source!r} is not listed under sources; add it or write assumption"


def _unused_sources(table: ParameterTable) -> Iterator[str]:
    used = {entry.source for entry in table.parameters.values()}
    for key in table.sources:
        if key not in used:
            yield f"sources.{key}: no parameter cites it; remove it"


def _units(table: ParameterTable) -> Iterator[str]:
    from dualtrace.mechanism.units import is_unit

    for name, entry in table.parameters.items():
        if not is_unit(entry.unit):
            yield f"{name}: {entry.unit!r} is not a unit; write it as in mg/L, 1/h, uM or 1"


def _priors_fit_ranges(table: ParameterTable) -> Iterator[str]:
    grid = (np.arange(1000) + 0.5) / 1000
    for name in table.uncertain:
        entry = table.parameters[name]
        if entry.range is None:
            continue
        draws = entry.prior.quantile(grid)
        outside = float(np.mean((draws < entry.range[0]) | (draws > entry.range[1])))
        if outside > _MOST_TAIL:
            yield f"{name}: {outside:.0%} of its prior lies outside its range; widen the range"


def _notes_of_assumptions(table: ParameterTable) -> Iterator[str]:
    for name, entry in table.parameters.items():
        if entry.source == ASSUMPTION and entry.is_uncertain and entry.range is None:
            yield f"{name}: an assumption needs a range"
