"""A plot with two axes: places of points, lines cut at its edges, ticks and labels on both sides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualtrace.report.figures import marks
from dualtrace.report.figures.placement import Box
from dualtrace.report.figures.style import GRID, MUTED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.report.figures.canvas import Canvas, Point
    from dualtrace.report.figures.scale import Scale
    from dualtrace.report.figures.style import Sizes

LEFT = 0.5
"""Inches that the ticks and the label of the upright axis take."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A plot.

    Attributes
    ----------
    across, up
        Its two axes; the second holds heights in inches from the upper edge of the sheet.
    """

    across: Scale
    up: Scale

    @property
    def box(self) -> Box:
        """Where the plot is."""
        top, bottom = sorted((self.up.left, self.up.right))
        return Box(self.across.left, top, self.across.right, bottom)

    @property
    def inside(self) -> Box:
        """Where labels may go."""
        box = self.box
        return Box(box.left + 0.02, box.top + 0.02, box.right - 0.02, box.bottom - 0.02)

    def at(self, x: float, y: float) -> Point:
        """Return the place of a pair of values."""
        return self.across.x(x), self.up.x(y)

    def covers(self, x: float, y: float) -> bool:
        """Whether a pair of values lies within the plot."""
        return self.across.covers(x) and self.up.covers(y)

    def cut(self, start: Point, end: Point) -> tuple[Point, Point] | None:
        """Return the places of the part of a line, given in values, that lies within the plot."""
        first, last = 0.0, 1.0
        for a, b, scale in ((start[0], end[0], self.across), (start[1], end[1], self.up)):
            if a == b:
                if not scale.covers(a):
                    return None
                continue
            near, far = sorted(((scale.low - a) / (b - a), (scale.high - a) / (b - a)))
            first, last = max(first, near), min(last, far)
        if first >= last:
            return None
        (x0, y0), (x1, y1) = start, end
        points = [(x0 + share * (x1 - x0), y0 + share * (y1 - y0)) for share in (first, last)]
        return self.at(*points[0]), self.at(*points[1])

    def curve(self, x: Sequence[float], y: Sequence[float]) -> list[Point]:
        """Return the places of a curve; what lies beyond an edge is put on it."""
        return [self.at(a, b) for a, b in zip(x, y, strict=True)]


def axes(
    canvas: Canvas,
    frame: Frame,
    *,
    labels: tuple[str, str],
    look: Sizes,
    sides: tuple[str, str] | None = None,
    grid: bool = True,
) -> float:
    """Draw both axes with grid, ticks and labels; return where the lower one ends."""
    box = frame.box
    if grid:
        marks.grid(canvas, frame.across, box.top, box.bottom, size=look.small)
    for value, text in frame.up.ticks_upright(look.small):
        y = frame.up.x(value)
        if grid:
            canvas.line([(box.left, y), (box.right, y)], color=GRID, width=0.6, z=1)
        canvas.line([(box.left - 0.035, y), (box.left, y)], color=MUTED, width=0.8)
        canvas.text(box.left - 0.06, y, text, size=look.small, color=MUTED, align="right")
    canvas.line([(box.left, box.top), (box.left, box.bottom)], color=MUTED, width=0.8)
    canvas.text(
        box.left - LEFT + 0.02, (box.top + box.bottom) / 2, labels[1], size=look.small, align="center", upright=True
    )
    return marks.axis(canvas, frame.across, box.bottom, label=labels[0], sides=sides, look=look)


def padded(values: Sequence[float], *, share: float = 0.06, floor: float | None = None) -> tuple[float, float]:
    """Return limits that hold the values with air on both sides, the lower one not below ``floor``."""
    low, high = min(values), max(values)
    span = high - low or max(abs(high), 1.0)
    low = low - share * span if floor is None else max(floor, low - share * span)
    return low, high + share * span
