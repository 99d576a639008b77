"""A user's CSV file to a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualtrace.errors import TableError

if TYPE_CHECKING:
    from pathlib import Path

    from pandas import DataFrame


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
