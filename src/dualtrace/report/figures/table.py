"""Rows of words and numbers around a common horizontal axis: the layout shared by forest and comparison plots.

Wide: label, plot, number columns side by side. Narrow: the label and its key number on one line, the plot below.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dualtrace.report.figures.canvas import pitch, text_width, wrap
from dualtrace.report.figures.marks import axis, grid, rule
from dualtrace.report.figures.scale import Scale
from dualtrace.report.figures.style import FAINT, INK, MUTED

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualtrace.report.figures.canvas import Canvas
    from dualtrace.report.figures.scale import ScaleKind
    from dualtrace.report.figures.style import Sizes

_COLUMN_GAP: Final = 0.16
_LEAST_PLOT: Final = 2.5
_LABEL_RANGE: Final = (1.55, 2.75)
_INDENT: Final = 0.10
_STRIP: Final = 0.19
_TALL: Final = 10  # rows from which a narrow panel shows its axis above, too
_JOIN: Final = " · "


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row.

    Attributes
    ----------
    label, sublabel
        Words; the second in small print below.
    cells
        Numbers, one per column; fewer leave the rest empty.
    mark
        Draws on the axis at a height; None for a title row.
    bold, indent
        How the label is set.
    gap
        Extra space above, inches.
    ruled
        Whether a line is drawn above.
    """

    label: str
    sublabel: str = ""
    cells: tuple[str, ...] = ()
    mark: Callable[[Canvas, Scale, float], None] | None = None
    bold: bool = False
    indent: bool = False
    gap: float = 0.0
    ruled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Rows with one axis.

    Attributes
    ----------
    rows
        From top to bottom.
    label_header, headers
        Titles of the label column and of the number columns.
    key
        Index of the column that stays on the label's line in the narrow variant.
    scale, limits
        Of the axis, in values.
    axis_label, sides
        What the axis measures; what its left and its right side favour.
    guide
        Value at which a dashed line is drawn, for example the overall estimate; None for no line.
    alike
        Rows of panels above and below, which then get columns of the same width.
    """

    rows: tuple[Row, ...]
    label_header: str
    headers: tuple[str, ...]
    key: int
    scale: ScaleKind
    limits: tuple[float, float]
    axis_label: str
    sides: tuple[str, str]
    guide: float | None = None
    alike: tuple[Row, ...] = ()

    @property
    def measured(self) -> tuple[Row, ...]:
        """Rows that share their columns."""
        return self.alike or self.rows


def panel(canvas: Canvas, top: float, content: Panel, *, look: Sizes, narrow: bool) -> float:
    """Draw the panel downwards from ``top``; return where it ends."""
    return _stacked(canvas, top, content, look=look) if narrow else _side_by_side(canvas, top, content, look=look)


@dataclass(frozen=True, slots=True)
class _Columns:
    label: float  # width of the label column
    scale: Scale
    right_edges: tuple[float, ...]


def _columns(content: Panel, *, look: Sizes) -> _Columns:
    """Share the width: numbers take what they need, labels what they want within a range, the plot the rest."""
    count = max([len(content.headers), *(len(row.cells) for row in content.measured)])
    numbers = [_column_width(content, i, look=look) for i in range(count)]
    right = look.width - look.margin
    edges = [right - sum(w + _COLUMN_GAP for w in numbers[i + 1 :]) for i in range(count)]
    room = right - look.margin - sum(w + _COLUMN_GAP for w in numbers) - _LEAST_PLOT - _COLUMN_GAP
    wanted = max(
        [text_width(content.label_header, look.small, True), *(_wanted(row, look) for row in content.measured)]
    )
    label = min(max(min(wanted, _LABEL_RANGE[1]), _LABEL_RANGE[0]), max(room, _LABEL_RANGE[0]))
    left = look.margin + label + _COLUMN_GAP
    plot_right = right - sum(w + _COLUMN_GAP for w in numbers)
    return _Columns(label, Scale(content.scale, *content.limits, left, max(plot_right, left + 1.0)), tuple(edges))


def _wanted(row: Row, look: Sizes) -> float:
    if row.mark is None:
        return 0.0  # a title may run across the plot
    indent = _INDENT if row.indent else 0.0
    return indent + max(text_width(row.label, look.base, row.bold), text_width(row.sublabel, look.small)) + 0.01


def _column_width(content: Panel, index: int, *, look: Sizes) -> float:
    words = max((text_width(w, look.small, True) for w in _header(content, index).split("\n")), default=0.0)
    cells = (text_width(r.cells[index], look.base, r.bold) for r in content.measured if index < len(r.cells))
    return max([words, *cells])


def _header(content: Panel, index: int) -> str:
    return content.headers[index] if index < len(content.headers) else ""


def _side_by_side(canvas: Canvas, top: float, content: Panel, *, look: Sizes) -> float:
    columns = _columns(content, look=look)
    body = _wide_header(canvas, top, content, columns, look=look) + 0.05
    y = body
    for row in content.rows:
        y = _wide_row(canvas, y, row, columns, look=look)
    y += 0.05
    grid(canvas, columns.scale, body, y, size=look.small)
    if content.guide is not None and columns.scale.covers(content.guide):
        x = columns.scale.x(content.guide)
        canvas.line([(x, body), (x, y)], color=FAINT, width=0.7, dashes=(3.0, 2.5), z=1.6)
    return axis(canvas, columns.scale, y, label=content.axis_label, sides=content.sides, look=look)


def _wide_header(canvas: Canvas, top: float, content: Panel, columns: _Columns, *, look: Sizes) -> float:
    headers = [header.split("\n") for header in content.headers]
    height = pitch(look.small) * max([1, *(len(lines) for lines in headers)])
    line = pitch(look.small)
    canvas.text(look.margin, top + height - line / 2, content.label_header, size=look.small, color=MUTED, bold=True)
    for lines, edge in zip(headers, columns.right_edges, strict=False):
        start = top + height - len(lines) * line
        canvas.lines_of_text(edge, start, lines, size=look.small, color=MUTED, bold=True, align="right")
    rule(canvas, top + height + 0.03, look, color=MUTED)
    return top + height + 0.03


def _wide_row(canvas: Canvas, y: float, row: Row, columns: _Columns, *, look: Sizes) -> float:
    if row.ruled:
        rule(canvas, y + row.gap / 2, look)
    y += row.gap + 0.015
    indent = _INDENT if row.indent else 0.0
    across = canvas.width - 2 * look.margin if row.mark is None else columns.label
    lines = wrap(row.label, width=across - indent, size=look.base, bold=row.bold)
    small = wrap(row.sublabel, width=columns.label - indent, size=look.small)
    middle = y + pitch(look.base) / 2
    bottom = canvas.lines_of_text(look.margin + indent, y, lines, size=look.base, bold=row.bold)
    bottom = canvas.lines_of_text(look.margin + indent, bottom, small, size=look.small, color=MUTED)
    for cell, edge in zip(row.cells, columns.right_edges, strict=False):
        canvas.text(edge, middle, cell, size=look.base, bold=row.bold, align="right")
    if row.mark is not None:
        row.mark(canvas, columns.scale, middle)
    return max(bottom, y + pitch(look.base)) + 0.02


def _stacked(canvas: Canvas, top: float, content: Panel, *, look: Sizes) -> float:
    scale = Scale(content.scale, *content.limits, look.margin + 0.03, look.width - look.margin - 0.03)
    header = Row(label=content.label_header, cells=content.headers)
    y = _narrow_words(canvas, top, header, content, look=look, head=True) + 0.02
    rule(canvas, y, look, color=MUTED)
    y += 0.03
    if len(content.rows) > _TALL:
        y = axis(canvas, scale, y + 0.03, label=content.axis_label, sides=content.sides, look=look) + 0.08
    strips: list[tuple[float, float]] = []
    for row in content.rows:
        if row.ruled:
            rule(canvas, y + row.gap / 2, look, color=FAINT)
        y = _narrow_words(canvas, y + row.gap, row, content, look=look)
        if row.mark is not None:
            row.mark(canvas, scale, y + 0.015 + _STRIP / 2)
            strips.append((y + 0.015, y + 0.015 + _STRIP))
            y += _STRIP + 0.055
    for above, below in strips:
        grid(canvas, scale, above, below, size=look.small)
    return axis(canvas, scale, y, label=content.axis_label, sides=content.sides, look=look)


def _narrow_words(canvas: Canvas, top: float, row: Row, content: Panel, *, look: Sizes, head: bool = False) -> float:
    """Write label and key number on one line, small print and the other numbers on the next."""
    size, color = (look.small, MUTED) if head else (look.base, INK)
    bold, right = row.bold or head, canvas.width - look.margin
    key = row.cells[content.key] if content.key < len(row.cells) else ""
    rest = _JOIN.join(_flat(cell) for i, cell in enumerate(row.cells) if i != content.key and cell)
    key = _flat(key)
    canvas.text(right, top + pitch(size) / 2, key, size=size, color=color, bold=bold, align="right")
    beside = _beside(canvas, key, size, bold, look), _beside(canvas, rest, look.small, False, look)
    lines = wrap(row.label, width=beside[0], size=size, bold=bold)
    if len(lines) > 1:
        lines = wrap(row.label, width=min(beside), size=size, bold=bold)
    bottom = canvas.lines_of_text(look.margin, top, lines, size=size, color=color, bold=bold)
    second = top + pitch(size)  # the other numbers stand below the key number
    canvas.text(right, second + pitch(look.small) / 2, rest, size=look.small, color=MUTED, align="right")
    small = wrap(row.sublabel, width=beside[1], size=look.small)
    end = canvas.lines_of_text(look.margin, bottom, small, size=look.small, color=MUTED)
    return max(end, second if key else top, second + pitch(look.small) if rest else top)


def _flat(header: str) -> str:
    return header.replace("/\n", "/").replace("\n", " ")


def _beside(canvas: Canvas, taken: str, size: float, bold: bool, look: Sizes) -> float:
    full = canvas.width - 2 * look.margin
    return full - text_width(taken, size, bold) - 0.12 if taken else full
