"""Every level of a factor against every other, from a fitted meta-regression."""

from __future__ import annotations

import re
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from dualtrace.errors import InputError
from dualtrace.pooling.hypotheses import contrasts

if TYPE_CHECKING:
    from dualtrace.cli.rows import Rows
    from dualtrace.pooling.contract import Pooled
    from dualtrace.pooling.hypotheses import Adjustment, Contrasts
    from dualtrace.pooling.likelihood import Array


def pairwise(fitted: Pooled, column: str, rows: Rows, adjust: Adjustment) -> Contrasts:
    """Contrasts of all pairs of levels.

    Raises
    ------
    InputError
        When the column is no factor of the formula, or interacts with another moderator.
    """
    levels = sorted({str(value) for value in rows.column(column, "--contrast")})
    if len(levels) < 2:
        raise InputError(f"--contrast {column}: at least two levels are needed; all rows are {levels[0]}")
    coefficient = _coefficients(fitted.names, column, levels)
    pairs = list(combinations(levels, 2))
    L = np.array([coefficient[b] - coefficient[a] for a, b in pairs])
    return contrasts(fitted, L, names=[f"{b} - {a}" for a, b in pairs], adjust=adjust)


def _coefficients(names: tuple[str, ...], column: str, levels: list[str]) -> dict[str, Array]:
    """Row of the design that makes each level differ from the reference, which has zeros."""
    pattern = re.compile(rf"(?:C\()?{re.escape(column)}\)?\[(?:T\.)?(.+)\]")
    found = {level: np.zeros(len(names)) for level in levels}
    coded = 0
    for j, name in enumerate(names):
        match = pattern.fullmatch(name)
        if match is not None and match[1] in found:
            found[match[1]][j] = 1.0
            coded += 1
        elif re.search(rf"\b{re.escape(column)}\b", name):
            raise InputError(
                f"--contrast {column}: the formula holds {name}, so levels do not differ by one number; use {column} "
                f"as C({column}) and without interactions"
            )
    if coded < len(levels) - 1:
        raise InputError(
            f"--contrast {column}: the formula must hold C({column}); its columns are {', '.join(names)}"
        )
    return found
