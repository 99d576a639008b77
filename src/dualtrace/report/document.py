"""The report as data: sections made of a few kinds of block, drawn twice (HTML page, PDF).

Nothing here knows how it will look.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Link:
    """Words that open an address."""

    text: str
    url: str


@dataclass(frozen=True, slots=True)
class Strong:
    """Words set bold."""

    text: str


@dataclass(frozen=True, slots=True)
class Cite:
    """A reference by key; printed as its number, which links to the list."""

    key: str


Inline = str | Link | Strong | Cite
Line = tuple[Inline, ...]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text."""

    line: Line


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list."""

    items: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Callout:
    """A passage the reader must not miss."""

    title: str
    items: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table; also written as CSV under ``key``.

    Attributes
    ----------
    key
        File name of the CSV, without ending.
    caption
        Title above the table.
    headers
        Column titles.
    rows
        Cells, each a line of inlines.
    numeric
        Positions of columns aligned right.
    note
        Remark below the table.
    """

    key: str
    caption: str
    headers: tuple[str, ...]
    rows: tuple[tuple[Line, ...], ...]
    numeric: tuple[int, ...] = ()
    note: Line = ()

    def __post_init__(self) -> None:
        """Refuse ragged rows."""
        for i, row in enumerate(self.rows):
            if len(row) != len(self.headers):
                raise ValueError(f"table {self.key!r}, row {i}: {len(self.headers)} cells wanted, {len(row)} given")


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure drawn for wide and for narrow pages.

    Attributes
    ----------
    key
        File name of the figure, without ending.
    caption
        Title and reading aid.
    alt
        What the figure shows, in words.
    wide, narrow
        SVG.
    png
        The wide drawing as PNG.
    """

    key: str
    caption: Line
    alt: str
    wide: bytes
    narrow: bytes
    png: bytes


@dataclass(frozen=True, slots=True)
class Folded:
    """Detail that is closed on the page and left out of the PDF when ``on_paper`` is false."""

    title: str
    blocks: tuple[Block, ...]
    on_paper: bool = True


Block = Paragraph | Bullets | Callout | Table | Picture | Folded


@dataclass(frozen=True, slots=True)
class Section:
    """A titled part; level 1 is a chapter."""

    key: str
    title: str
    blocks: tuple[Block, ...]
    level: Literal[1, 2] = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the reference list."""

    key: str
    citation: str
    url: str


@dataclass(frozen=True, slots=True)
class Document:
    """The whole report."""

    title: str
    subtitle: str
    sections: tuple[Section, ...]
    references: tuple[Entry, ...]
    colophon: str


def plain(line: Line, numbers: dict[str, int] | None = None) -> str:
    """Return the words of a line; citations as ``[n]`` when numbers are given, else dropped."""
    words = []
    for part in line:
        if isinstance(part, str):
            words.append(part)
        elif isinstance(part, Cite):
            words.append(f"[{numbers[part.key]}]" if numbers else "")
        else:
            words.append(part.text)
    return "".join(words)


def tables(document: Document) -> tuple[Table, ...]:
    """Return every table of the document, also folded ones, in order."""
    return tuple(
        block for section in document.sections for block in _flat(section.blocks) if isinstance(block, Table)
    )


def pictures(document: Document) -> tuple[Picture, ...]:
    """Return every picture of the document in order."""
    return tuple(
        block for section in document.sections for block in _flat(section.blocks) if isinstance(block, Picture)
    )


def cited(sections: tuple[Section, ...]) -> tuple[str, ...]:
    """Return the keys cited, in order of first use."""
    keys: dict[str, None] = {}
    for section in sections:
        for block in _flat(section.blocks):
            for line in _lines(block):
                keys.update({part.key: None for part in line if isinstance(part, Cite)})
    return tuple(keys)


def _flat(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
    found: list[Block] = []
    for block in blocks:
        found.append(block)
        if isinstance(block, Folded):
            found.extend(_flat(block.blocks))
    return tuple(found)


def _lines(block: Block) -> tuple[Line, ...]:
    match block:
        case Paragraph(line):
            return (line,)
        case Bullets(items):
            return items
        case Callout(_, items):
            return items
        case Table():
            return (*(cell for row in block.rows for cell in row), block.note)
        case Picture():
            return (block.caption,)
        case Folded():
            return ()
