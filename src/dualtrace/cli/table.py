"""A user's CSV table to a fit; every cell that cannot be used is named by row and column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualtrace.errors import InputError, TableError
from dualtrace.pooling import univariate

if TYPE_CHECKING:
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
    labels = [f"line {i + 2}" for i in range(len(frame))] if slab is None else [str(x) for x in frame[slab]]
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
    """Return the table of a CSV file."""
    from pandas import read_csv
    from pandas.errors import EmptyDataError, ParserError

    try:
        header = read_csv(path, encoding="utf-8", header=None, nrows=1, dtype=str)
        _refuse_twins([str(cell) for cell in header.iloc[0]], path)
        return read_csv(path, encoding="utf-8")
    except UnicodeDecodeError as error:
        raise TableError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except EmptyDataError:
        raise TableError(f"{path} is empty; it needs a line of column names and one line per effect") from None
    except ParserError as error:
        raise TableError(f"{path} is not a CSV table ({str(error).strip()})") from None
    except OSError as error:
        raise TableError(f"{path} cannot be read ({error.strerror})") from None


def _refuse_twins(columns: list[str], path: Path) -> None:
    """Two columns of one name: which was meant cannot be known."""
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise TableError(
            f"{path}, line 1: every column needs a name of its own; given twice: {', '.join(twice)}. "
            "Rename or remove one."
        )


def numbers(frame: DataFrame, column: str, path: Path) -> list[float]:
    """Return a column as numbers; the first cell that is none is named by its line in the file."""
    values: list[float] = []
    for line, cell in enumerate(frame[column], start=2):
        try:
            values.append(float(cell))
        except (TypeError, ValueError):
            raise TableError(f"{path}, line {line}, column {column}: a number is needed; given {cell!r}") from None
    return values
