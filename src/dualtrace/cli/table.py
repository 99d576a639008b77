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
        return read_csv(path, encoding="utf-8")
    except UnicodeDecodeError as error:
        raise TableError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except EmptyDataError:
        raise TableError(f"{path} is empty; it needs a line of column names and one line per effect") from None
    except ParserError as error:
        raise TableError(f"{path} is not a CSV table ({str(error).strip()})") from None
    except OSError as error:
        raise TableError(f"{path} cannot be read ({error.strerror})") from None
