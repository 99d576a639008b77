"""What a verb answers: parts with a name, printed as text one after another or as one JSON object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import click

from dualtrace.cli.options import print_json
from dualtrace.errors import FitError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dualtrace.cli.rows import Rows


class Printable(Protocol):
    """A result that prints like a paper's table, turns into a dictionary and names its sources."""

    @property
    def citations(self) -> tuple[str, ...]:
        """Keys of the method's publications."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        ...

    def __str__(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an answer.

    Attributes
    ----------
    key, title
        Name in JSON; heading as text, empty for none.
    result
        What was found; None when it could not be.
    refused
        Why not, in one sentence.
    """

    key: str
    title: str
    result: Printable | None
    refused: str = ""

    def __str__(self) -> str:
        if self.result is None:
            return f"{self.title}: not available. {self.refused}"
        return f"{self.title}\n{self.result}" if self.title else str(self.result)

    def for_json(self) -> dict[str, Any]:
        """The result as a dictionary, or the sentence why there is none."""
        return {"refused": self.refused} if self.result is None else self.result.to_dict()


def attempt(key: str, title: str, compute: Callable[[], Printable]) -> Part:
    """Compute a part; data that admit no answer give the sentence instead, other bad input stops the verb."""
    try:
        return Part(key, title, compute())
    except FitError as error:
        return Part(key, title, None, str(error))


def show(rows: Rows, parts: Sequence[Part], *, as_json: bool, notes: Sequence[str] = ()) -> None:
    """Print an answer, and at its end the publications of the methods."""
    results = [part.result for part in parts if part.result is not None]
    if as_json:
        named = {part.key: part.for_json() for part in parts}
        print_json({"rows": rows.to_dict(), **named, "warnings": list(notes), "methods": methods(results)})
        return
    blocks = [rows.heading, *map(str, parts), *notes]
    click.echo("\n\n".join([*blocks, *in_words(results)]))


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table with straight columns, its head first."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]


def methods(results: Sequence[Printable]) -> dict[str, str]:
    """Publications of the methods of some results: citation with its address, by key."""
    from dualtrace.evidence.load import references

    known = references()
    keys = dict.fromkeys(key for result in results for key in result.citations)
    return {key: f"{known[key].citation.rstrip('.')}. {known[key].link}" for key in keys}


def in_words(results: Sequence[Printable]) -> list[str]:
    """Return the same as one block of text; nothing when there are none."""
    found = methods(results).values()
    return ["\n".join(["Methods", *(f"  {citation}" for citation in found)])] if found else []
