"""A user's CSV file to a table."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from dualtrace.columns import require_distinct
from dualtrace.errors import TableError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pandas import DataFrame


def read_table(path: Path) -> DataFrame:
    """Return the table of a CSV file; its index holds the line of each row, counted from 1.

    A first line with semicolons means a table of the countries that write decimal commas.
    """
    from pandas import read_csv
    from pandas.errors import EmptyDataError, ParserError

    try:
        separator = _separator(path)
        frame = read_csv(path, encoding="utf-8", sep=separator, decimal="." if separator == "," else ",")
        lines = _lines(path, separator)
    except UnicodeDecodeError as error:
        raise TableError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except EmptyDataError:
        raise TableError(f"{path} is empty; it needs a line of column names and one line per effect") from None
    except (ParserError, csv.Error) as error:
        raise TableError(f"{path} is not a CSV table ({str(error).strip()})") from None
    except OSError as error:
        raise TableError(f"{path} cannot be read ({error.strerror})") from None
    # where the two readers count lines differently, lines are numbered as if none were blank
    return frame.set_axis(lines if len(lines) == len(frame) else range(2, len(frame) + 2), axis=0)


def _separator(path: Path) -> str:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return ";" if ";" in file.readline() else ","


def _lines(path: Path, separator: str) -> list[int]:
    """Line of each row; refuses what pandas would rename or shift without a word."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=separator)
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
        "Name every column, and put text that holds the separator in quotes"
    )
