"""Effect direction plot: which way every trial points in every outcome, when too few print a number.

Boon MH, Thomson H. Res Synth Methods 2021;12:29-33. doi:10.1002/jrsm.1458
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import accumulate, groupby, pairwise
from typing import TYPE_CHECKING, Final

from dualtrace.report.figures.canvas import Canvas, pitch, text_width, wrap
from dualtrace.report.figures.legend import Key, footnote, heading, legend
from dualtrace.report.figures.style import BAND, INK, MUTED, RULE, Width, sizes
from dualtrace.report.figures.symbols import Direction, Strength, direction_symbol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

    from dualtrace.report.figures.style import Sizes

SIZE_CLASSES: Final = ((100, 0.09, "100 or more"), (50, 0.072, "50 to 99"), (0, 0.055, "fewer than 50"))
_COLUMN: Final = {"wide": (0.42, 0.78), "narrow": (0.3, 0.5)}
_PLURAL_GAP: Final = 0.03
_INDENT: Final = 0.04
_GAP: Final = 0.12  # inches on both sides of the patients' column


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectionCell:
    """What a trial found in one column.

    Attributes
    ----------
    direction
        Side favoured, or ``neither``.
    strength
        Whether the difference was significant, not, or not stated.
    k
        Outcomes summarised in the cell.
    """

    direction: Direction
    strength: Strength
    k: int = 1

    def __post_init__(self) -> None:
        """Refuse an empty cell: the absence of one is None."""
        if self.k < 1:
            raise ValueError(f"a cell summarises at least one outcome; given {self.k}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectionColumn:
    """An outcome domain at a time point."""

    domain: str
    timepoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectionRow:
    """One trial: label, group (disorder), patients, one cell or None per column."""

    label: str
    group: str
    n: int | None
    cells: tuple[DirectionCell | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectionSpec:
    """What an effect direction plot shows.

    Attributes
    ----------
    title, columns, rows
        The table; rows of one group stand together, columns of one domain stand together.
    drug, placebo
        Names of the two sides.
    footnote
        Small print.
    """

    title: str
    columns: tuple[DirectionColumn, ...]
    rows: tuple[DirectionRow, ...]
    drug: str = "D-cycloserine"
    placebo: str = "placebo"
    footnote: str = ""

    def __post_init__(self) -> None:
        """Refuse rows that do not match the columns."""
        for row in self.rows:
            if len(row.cells) != len(self.columns):
                raise ValueError(
                    f"{row.label}: {len(self.columns)} columns need as many cells; given {len(row.cells)}"
                )


@dataclass(frozen=True, slots=True)
class _Grid:
    """Places of one panel: its columns (indices) with the edges between them, and the labels left of them."""

    columns: tuple[int, ...]
    edges: tuple[float, ...]
    label: float

    @property
    def left(self) -> float:
        return self.edges[0]

    @property
    def right(self) -> float:
        return self.edges[-1]

    @property
    def narrowest(self) -> float:
        return min(b - a for a, b in pairwise(self.edges))

    def x(self, place: int) -> float:
        return (self.edges[place] + self.edges[place + 1]) / 2


def direction(spec: DirectionSpec, *, width: Width = "wide") -> Figure:
    """Draw the effect direction plot; what does not fit beside each other goes into panels below one another."""
    look = sizes(width)
    canvas = Canvas(look.width)
    y = heading(canvas, look.margin, spec.title, look=look)
    panels = [grid for grid in _panels(spec, look=look, width=width) if _shown(spec, grid)]
    for index, grid in enumerate(panels):
        y = _panel(canvas, y + (0.2 if index else 0.0), spec, grid, look=look)
    y = legend(canvas, y + 0.1, tuple(_keys(spec)), look=look)
    y = footnote(canvas, y + 0.02, spec.footnote, look=look)
    return canvas.finish(y + look.margin)


def alt(spec: DirectionSpec) -> str:
    """Return one or two sentences that carry what the direction plot shows."""
    parts = []
    for domain, numbered in groupby(range(len(spec.columns)), key=lambda i: spec.columns[i].domain):
        places = tuple(numbered)
        cells = [cell for row in spec.rows for cell in (row.cells[i] for i in places) if cell is not None]
        counts = [sum(cell.direction == side for cell in cells) for side in ("drug", "placebo", "neither")]
        parts.append(f"{domain}: {counts[0]} favour {spec.drug}, {counts[1]} {spec.placebo}, {counts[2]} neither")
    return f"Effect direction plot, {spec.title}, {len(spec.rows)} trials. {'; '.join(parts)}."


def _panels(spec: DirectionSpec, *, look: Sizes, width: Width) -> Iterator[_Grid]:
    """Share the columns among panels; a domain is split only when it alone is too wide."""
    least, most = _COLUMN[width]
    label = _label_width(spec, look=look)
    left = look.margin + _INDENT + label + _count_width(spec, look=look) + 2 * _GAP
    room = look.width - look.margin - left
    fit = max(1, int(room / least))
    panels: list[list[tuple[int, float]]] = [[]]  # column and the width it needs
    for domain, numbered in groupby(range(len(spec.columns)), key=lambda i: spec.columns[i].domain):
        every = list(numbered)
        for places in (every[i : i + fit] for i in range(0, len(every), fit)):
            needed = max(least, (_longest_piece(domain, look) + 0.1) / len(places))
            if panels[-1] and sum(w for _, w in panels[-1]) + needed * len(places) > room:
                panels.append([])
            panels[-1].extend((place, needed) for place in places)
    for panel in filter(None, panels):
        spare = max(room - sum(w for _, w in panel), 0.0) / len(panel)
        widths = [max(min(w + spare, most), w) for _, w in panel]
        yield _Grid(tuple(place for place, _ in panel), tuple(accumulate(widths, initial=left)), label)


def _longest_piece(domain: str, look: Sizes) -> float:
    pieces = domain.replace("-", "- ").split()
    return max((text_width(piece, look.small, True) for piece in pieces), default=0.0)


def _label_width(spec: DirectionSpec, *, look: Sizes) -> float:
    wanted = max((text_width(row.label, look.base) for row in spec.rows), default=1.0)
    return min(wanted + 0.01, 2.4 if look.width > 5 else 1.3)


def _count_width(spec: DirectionSpec, *, look: Sizes) -> float:
    widths = (text_width(_count(row), look.small) for row in spec.rows)
    return max([text_width("N", look.small, True), *widths])


def _count(row: DirectionRow) -> str:
    return "" if row.n is None else str(row.n)


def _panel(canvas: Canvas, top: float, spec: DirectionSpec, grid: _Grid, *, look: Sizes) -> float:
    y = _header(canvas, top, spec, grid, look=look)
    start, shaded = y, False
    for group, members in groupby(_shown(spec, grid), key=lambda row: row.group):
        y += 0.05 if y > start else 0.02
        y = canvas.lines_of_text(
            look.margin,
            y,
            wrap(group, width=grid.right - look.margin, size=look.base, bold=True),
            size=look.base,
            bold=True,
        )
        y, shaded = y + 0.01, False
        for row in members:
            y = _row(canvas, y, row, grid, shaded=shaded, look=look)
            shaded = not shaded
    for place, index in enumerate(grid.columns[1:], 1):
        if spec.columns[index].domain != spec.columns[grid.columns[place - 1]].domain:
            x = grid.edges[place]
            canvas.line([(x, top), (x, y)], color=RULE, width=0.7, z=1.5)
    canvas.line([(look.margin, y + 0.02), (grid.right, y + 0.02)], color=MUTED)
    return y + 0.03


def _shown(spec: DirectionSpec, grid: _Grid) -> list[DirectionRow]:
    return [row for row in spec.rows if any(row.cells[i] for i in grid.columns)]


def _header(canvas: Canvas, top: float, spec: DirectionSpec, grid: _Grid, *, look: Sizes) -> float:
    """Write domains over time points; time points stand upright where they are too wide for their column."""
    y = _domains(canvas, top, spec, grid, look=look) + 0.03
    names = [spec.columns[i].timepoint for i in grid.columns]
    widths = [text_width(name, look.small) for name in names]
    upright = max(widths, default=0.0) > grid.narrowest - 0.03
    height = max(widths, default=0.0) + 0.04 if upright else pitch(look.small)
    for place, name in enumerate(names):
        if upright:
            canvas.text(grid.x(place), y + height - 0.02, name, size=look.small, color=MUTED, upright=True)
        else:
            canvas.text(grid.x(place), y + height / 2, name, size=look.small, color=MUTED, align="center")
    line = y + height - pitch(look.small) / 2
    canvas.text(look.margin, line, "Trial", size=look.small, color=MUTED, bold=True)
    canvas.text(grid.left - _GAP, line, "N", size=look.small, color=MUTED, bold=True, align="right")
    canvas.line([(look.margin, y + height + 0.02), (grid.right, y + height + 0.02)], color=MUTED)
    return y + height + 0.03


def _domains(canvas: Canvas, top: float, spec: DirectionSpec, grid: _Grid, *, look: Sizes) -> float:
    spans: list[tuple[float, float, tuple[str, ...]]] = []
    for domain, numbered in groupby(enumerate(grid.columns), key=lambda pair: spec.columns[pair[1]].domain):
        places = [place for place, _ in numbered]
        left, right = grid.edges[places[0]], grid.edges[places[-1] + 1]
        spans.append((left, right, wrap(domain, width=right - left - 0.08, size=look.small, bold=True)))
    height = pitch(look.small) * max((len(lines) for _, _, lines in spans), default=1)
    for left, right, lines in spans:
        start = top + height - pitch(look.small) * len(lines)
        canvas.lines_of_text((left + right) / 2, start, lines, size=look.small, bold=True, align="center")
        canvas.line([(left + 0.05, top + height + 0.015), (right - 0.05, top + height + 0.015)], color=RULE)
    return top + height


def _row(canvas: Canvas, y: float, row: DirectionRow, grid: _Grid, *, shaded: bool, look: Sizes) -> float:
    lines = wrap(row.label, width=grid.label, size=look.base)
    height = max(len(lines) * pitch(look.base) + 0.02, 0.2)
    if shaded:
        canvas.rectangle(look.margin, y, grid.right, y + height, face=BAND, z=0.5)
    middle = y + height / 2
    canvas.lines_of_text(look.margin + _INDENT, middle - len(lines) * pitch(look.base) / 2, lines, size=look.base)
    canvas.text(grid.left - _GAP, middle, _count(row), size=look.small, color=MUTED, align="right")
    for place, index in enumerate(grid.columns):
        cell = row.cells[index]
        if cell is not None:
            _cell(canvas, grid.x(place), middle, cell, radius=_radius(row.n), look=look)
    return y + height


def _cell(canvas: Canvas, x: float, y: float, cell: DirectionCell, *, radius: float, look: Sizes) -> None:
    direction_symbol(canvas, x, y, direction=cell.direction, strength=cell.strength, radius=radius)
    if cell.k > 1:
        left = x + radius * 1.1 + _PLURAL_GAP
        canvas.text(left, y + 0.03, str(cell.k), size=look.small, color=INK)


def _radius(n: int | None) -> float:
    """Return the size of a trial's symbols by its patients; the smallest when the number is unknown."""
    return next(radius for least, radius, _ in SIZE_CLASSES if (n or 0) >= least)


def _keys(spec: DirectionSpec) -> Iterator[Key]:
    sides: tuple[tuple[Direction, str], ...] = (
        ("drug", f"favours {spec.drug}"),
        ("placebo", f"favours {spec.placebo}"),
        ("neither", "favours neither"),
    )
    for side, words in sides:
        yield Key(partial(_key, side, "significant", 0.067), 0.16, words)
    fills: tuple[tuple[Strength, str], ...] = (
        ("significant", "filled: significant"),
        ("not_significant", "hollow: not significant"),
        ("unstated", "pale: significance not stated"),
    )
    for strength, words in fills:
        yield Key(partial(_key, "drug", strength, 0.067), 0.16, words)
    for index, (_, radius, words) in enumerate(reversed(SIZE_CLASSES)):
        yield Key(partial(_key, "neither", "significant", radius), 0.2, f"{'N ' if index == 0 else ''}{words}")
    if any(cell is not None and cell.k > 1 for row in spec.rows for cell in row.cells):
        yield Key(_key_plural, 0.12, "outcomes summarised, if more than one")


def _key(side: Direction, strength: Strength, radius: float, canvas: Canvas, x: float, y: float) -> None:
    direction_symbol(canvas, x + 0.09, y, direction=side, strength=strength, radius=radius)


def _key_plural(canvas: Canvas, x: float, y: float) -> None:
    canvas.text(x + 0.03, y, "2", size=sizes("narrow").small, color=INK)
