"""A user's CSV table to a fit; every cell that cannot be used is named by row and column."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from dualtrace.errors import InputError, TableError
from dualtrace.evidence.columns import require_distinct
from dualtrace.pooling import univariate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pandas import DataFrame

    from dualtrace.pooling.contract import Pooled, Tau2Method, TestName


def pool_table(
    path: Path,
    yi: str | None,
    vi: str | None,
    slab: str | None,
    formula: str | None,
    method: Tau2Method,
    test: TestName,
    level: float,
) -> Pooled:
    """Read the table and fit it.

    Raises
    ------
    InputError
        When the columns are not named.
    TableError
        When the file cannot be read, lacks a column, or a cell is no number.
    """
    if yi is None or vi is None:
        raise InputError("--csv needs --yi COLUMN and --vi COLUMN: the effects and their sampling variances")
    frame = read_table(path)
    for option, column in (("--yi", yi), ("--vi", vi), ("--slab", slab)):
        if column is not None and column not in frame.columns:
            raise TableError(
                f"{path} has no column {column!r} ({option}); it has {', '.join(map(str, frame.columns))}"
            )
    effects, variances = numbers(frame, yi, path), numbers(frame, vi, path)
    labels = [str(x) for x in (frame.index if slab is None else frame[slab])]
    if formula is None:
        return univariate.fit(effects, variances, slab=labels, method=method, test=test, level=level)
    from dualtrace.pooling.formula import design

    matrix = design(formula, frame.set_axis(labels, axis=0))
    return univariate.fit(
        [effects[i] for i in matrix.rows],
        [variances[i] for i in matrix.rows],
        X=matrix.X,
        names=matrix.names,
        slab=[labels[i] for i in matrix.rows],
        method=method,
        test=test,
        level=level,
    )


def read_table(path: Path) -> DataFrame:
    """Return the table of a CSV file; its index holds the line of each row, counted from 1."""
    from pandas import read_csv
    from pandas.errors import EmptyDataError, ParserError

    try:
        frame = read_csv(path, encoding="utf-8")
        lines = _lines(path)
    except UnicodeDecodeError as error:
        raise TableError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except EmptyDataError:
        raise TableError(f"{path} is empty; it needs a line of column names and one line per effect") from None
    except (ParserError, csv.Error) as error:
        raise TableError(f"{path} is not a CSV table ({str(error).strip()})") from None
    except OSError as error:
        raise TableError(f"{path} cannot be read ({error.strerror})") from None
    return frame.set_axis(lines, axis=0) if len(lines) == len(frame) else frame


def _lines(path: Path) -> list[int]:
    """Line of each row; refuses what pandas would rename or shift without a word."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        rows = [(reader.line_num, row) for row in reader if len(row) > 1 or "".join(row).strip()]
    (_, names), *rest = rows
    require_distinct((name.strip() for name in names), str(path))
    for line, row in rest:
        if len(row) > len(names):
            raise TableError(_ragged(path, line, row, names))
    return [line for line, _ in rest]


def _ragged(path: Path, line: int, row: Sequence[str], names: Sequence[str]) -> str:
    return (
        f"{path} is not a CSV table: line {line} has {len(row)} cells, but there are {len(names)} column names. "
        "Name every column, and put text that holds a comma in quotes"
    )


def numbers(frame: DataFrame, column: str, path: Path) -> list[float]:
    """Return a column as numbers; the first cell that is none is named by its line in the file."""
    values: list[float] = []
    for line, cell in frame[column].items():
        try:
            values.append(float(cell))
        except (TypeError, ValueError):
            raise TableError(f"{path}, line {line}, column {column}: a number is needed; given {cell!r}") from None
    return values
