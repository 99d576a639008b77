"""Column names of a user's table: each stands once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from dualtrace.errors import TableError

if TYPE_CHECKING:
    from collections.abc import Iterable


def require_distinct(names: Iterable[str], where: str) -> None:
    """Refuse a repeated column name; columns without a name may repeat, as nobody can ask for them.

    Raises
    ------
    TableError
        Naming the column and the file.
    """
    repeated = [name for name, count in Counter(names).items() if count > 1 and name]
    if repeated:
        raise TableError(
            f"{where}: every column must have a name of its own; {', '.join(map(repr, repeated))} stands more than "
            "once. Rename or remove all but one"
        )
