"""Effects, variances, bounds and labels from the columns of a user's table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dualtrace.cli.raw import finite, require_column
from dualtrace.errors import InputError, TableError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pandas import DataFrame

    from dualtrace.cli.asked import Asked
    from dualtrace.effects.measures import Estimates
    from dualtrace.pooling.likelihood import Array, Flags

LABELS = ("slab", "study")
"""Columns that hold labels when none is named."""

BOUNDS = (("lo", "hi"), ("lower", "upper"))
"""Columns that hold bounds of rows without an effect when none are named."""


def variances(frame: DataFrame, asked: Asked, path: Path) -> Array:
    """Return sampling variances, or squared standard errors.

    Raises
    ------
    TableError
        Naming the line and what was given.
    """
    if asked.vi is not None and asked.sei is not None:
        raise InputError("--vi and --sei are two ways to say the same; give one of them")
    if asked.sei is not None or (asked.vi is None and "vi" not in frame.columns and "sei" in frame.columns):
        column = asked.sei or "sei"
        require_column(frame, column, "--sei", path)
        return _squared(finite(frame, column, path), column, path, list(frame.index))
    if asked.vi is None and "vi" not in frame.columns:
        raise InputError(
            f"--csv needs --yi COLUMN and --vi COLUMN (or --sei COLUMN), the effects and their sampling variances, "
            f"or --measure NAME to compute them; {path} has the columns {', '.join(map(str, frame.columns))}"
        )
    column = asked.vi or "vi"
    require_column(frame, column, "--vi", path)
    return finite(frame, column, path)


def _squared(errors: Array, column: str, path: Path, lines: Sequence[int]) -> Array:
    if (errors <= 0).any():
        i = int(np.argmax(errors <= 0))
        raise TableError(
            f"{path}, line {lines[i]}, column {column}: a standard error must be positive; given {errors[i]:g}"
        )
    return errors**2


def table_effects(frame: DataFrame, asked: Asked, path: Path, *, bounded: Flags) -> Array:
    """Return effects, NaN where a bound stands instead.

    Raises
    ------
    TableError
        Naming the line and what was given.
    """
    column = asked.yi or "yi"
    if asked.yi is None and "yi" not in frame.columns:
        raise InputError(
            f"--csv needs --yi COLUMN, the effects, or --measure NAME to compute them; {path} has the columns "
            f"{', '.join(map(str, frame.columns))}"
        )
    require_column(frame, column, "--yi", path)
    return finite(frame, column, path, optional=bounded)


def bounds(frame: DataFrame, asked: Asked, path: Path) -> tuple[Array, Array]:
    """Bounds, infinite where the cell is empty; NaN on both sides where no bound is known."""
    low, high = asked.lo, asked.hi
    if low is None and high is None:
        low, high = next((pair for pair in BOUNDS if set(pair) <= set(frame.columns)), (None, None))
    everywhere = np.ones(len(frame), dtype=bool)
    ends = []
    for column, option, end in ((low, "--lo", -np.inf), (high, "--hi", np.inf)):
        if column is not None:
            require_column(frame, column, option, path)
        cells = np.full(len(frame), np.nan) if column is None else finite(frame, column, path, optional=everywhere)
        ends.append(np.where(np.isnan(cells), end, cells))
    return ends[0], ends[1]


def require_order(lo: Array, hi: Array, used: Flags, path: Path, lines: Sequence[int]) -> None:
    """Refuse bounds that do not rise.

    Raises
    ------
    TableError
        Naming the line and what was given.
    """
    bad = used & ~(lo < hi)
    if bad.any():
        i = int(np.argmax(bad))
        raise TableError(
            f"{path}, line {lines[i]}: the lower bound must be below the upper; given {lo[i]:g} and {hi[i]:g}"
        )


def labels(frame: DataFrame, column: str | None, path: Path) -> tuple[str, ...]:
    """Return labels of the rows, all different; ``line`` and its number in the file where there are none.

    Raises
    ------
    TableError
        When the column named is not there.
    """
    if column is not None:
        require_column(frame, column, "--slab", path)
    chosen = column or next((name for name in LABELS if name in frame.columns), None)
    if chosen is None:
        return tuple(f"line {line}" for line in frame.index)
    return distinct([str(label) for label in frame[chosen]])


def distinct(labels: Sequence[str]) -> tuple[str, ...]:
    """Labels that occur more than once get a number."""
    seen: dict[str, int] = {}
    made = []
    for label in labels:
        seen[label] = seen.get(label, 0) + 1
        made.append(f"{label}.{seen[label]}" if labels.count(label) > 1 else label)
    return tuple(made)


def require_defined(found: Estimates, asked: Asked, path: Path, lines: Sequence[int]) -> None:
    """Refuse a row for which the measure has no value.

    Raises
    ------
    TableError
        Naming the line and what was given.
    """
    bad = ~(np.isfinite(found.yi) & (found.vi > 0))
    if bad.any():
        raise TableError(
            f"{path}, line {lines[int(np.argmax(bad))]}: {asked.measure} or its variance is not defined for this row "
            f"(an empty cell or an extreme count). Use --add and --to, another measure, or leave the row out."
        )
