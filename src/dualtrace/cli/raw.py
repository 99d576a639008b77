"""A user's table cell by cell: columns of numbers, and effect sizes computed from raw columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dualtrace.cli.table import read_table
from dualtrace.effects.measures import MEASURES, Estimates, effect_sizes
from dualtrace.errors import InputError, TableError

if TYPE_CHECKING:
    from pathlib import Path

    from pandas import DataFrame

    from dualtrace.cli.asked import Asked
    from dualtrace.pooling.likelihood import Array, Flags

COMPLEMENTS = {"n1i": ("ai", "bi"), "n2i": ("ci", "di"), "ni": ("xi", "mi")}
"""Sizes that tables of cells (ai, bi, ci, di; xi, mi) give as a sum."""


def open_table(path: Path) -> DataFrame:
    """Return a table with at least one row; its index holds the line of each row in the file.

    Raises
    ------
    TableError
        When it is not one.
    """
    frame = read_table(path)
    if not len(frame):
        raise TableError(f"{path} holds no rows, only column names; at least one row is needed")
    return frame


def require_column(frame: DataFrame, column: str, option: str, path: Path) -> None:
    """Refuse a column that is not there.

    Raises
    ------
    TableError
        Naming those that are.
    """
    if column not in frame.columns:
        raise TableError(f"{path} has no column {column!r} ({option}); it has {', '.join(map(str, frame.columns))}")


def finite(frame: DataFrame, column: str, path: Path, *, optional: Flags | None = None) -> Array:
    """Return a column as finite numbers, NaN for empty cells where they are allowed.

    Parameters
    ----------
    optional
        Rows whose cell may be empty; absent: none.

    Raises
    ------
    TableError
        Naming line and column of the first cell that cannot be used.
    """
    empty = frame[column].isna().to_numpy()
    values = np.full(len(frame), np.nan)
    for row, (line, cell) in enumerate(frame[column].items()):
        where = f"{path}, line {line}, column {column}"
        if empty[row]:
            if optional is None or not optional[row]:
                raise TableError(f"{where}: the cell is empty; a finite number is needed, or leave the row out")
            continue
        try:
            values[row] = float(cell)
        except (TypeError, ValueError):
            raise TableError(f"{where}: a number is needed; given {cell!r}") from None
        if not np.isfinite(values[row]):
            raise TableError(f"{where}: a finite number is needed; given {cell!r}")
    return values


def raw_columns(frame: DataFrame, asked: Asked, path: Path) -> dict[str, Array]:
    """Return the columns a measure needs, by the names measures use.

    Raises
    ------
    InputError
        When ``--columns`` cannot be read or names something the measure does not use.
    TableError
        When a column is not there or a cell is no number.
    """
    needed = MEASURES[asked.measure or ""].columns
    given = _named(asked.columns, needed, asked.measure or "")
    found: dict[str, Array] = {}
    for name in needed:
        column = given.get(name, name)
        if column in frame.columns or name in given:
            require_column(frame, column, f"--columns {name}", path)
            found[name] = finite(frame, column, path)
            continue
        parts = [given.get(part, part) for part in COMPLEMENTS.get(name, ())]
        if not parts or not set(parts) <= set(frame.columns):
            raise TableError(
                f"{asked.measure} ({MEASURES[asked.measure or ''].title}) needs the columns {', '.join(needed)}; "
                f"{path} lacks {name} and has {', '.join(map(str, frame.columns))}. "
                f"Name it with --columns {name}=COLUMN"
            )
        found[name] = finite(frame, parts[0], path) + finite(frame, parts[1], path)
    return found


def estimates(frame: DataFrame, asked: Asked, path: Path) -> Estimates:
    """Return effects and variances of the measure asked for, NaN where it is not defined.

    Raises
    ------
    InputError
        As ``raw_columns``, and when a count or an option is impossible.
    """
    columns = raw_columns(frame, asked, path)
    add = 0.5 if asked.add is None else asked.add
    lines = [f"line {line}" for line in frame.index]
    to = asked.to or "only0"
    return effect_sizes(asked.measure or "", columns, add=add, to=to, vtype=asked.vtype, slab=lines)


def _named(text: str | None, needed: tuple[str, ...], measure: str) -> dict[str, str]:
    """``m1i=mean,sd1i=sd`` as a mapping."""
    allowed = [*needed, *(part for name in needed for part in COMPLEMENTS.get(name, ()) if part not in needed)]
    named: dict[str, str] = {}
    for part in (text or "").split(","):
        if not part.strip():
            continue
        name, equals, column = (piece.strip() for piece in part.partition("="))
        if not equals or not column:
            raise InputError(f"--columns must read NAME=COLUMN,NAME=COLUMN; given {part.strip()!r}")
        if name not in allowed:
            raise InputError(f"--columns: {measure} has no column {name!r}; it has {', '.join(allowed)}")
        if name in named:
            raise InputError(f"--columns names {name} twice")
        named[name] = column
    return named
