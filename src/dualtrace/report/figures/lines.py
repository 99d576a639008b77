"""Curves over time or over a number: lines with marks and error bars, one style per series, a key below."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Final, Literal

from dualtrace.report.figures.canvas import Canvas
from dualtrace.report.figures.frame import LEFT, Frame, axes, padded
from dualtrace.report.figures.legend import Key, footnote, heading, legend
from dualtrace.report.figures.scale import Scale
from dualtrace.report.figures.style import DRUG, FAINT, PAPER, PLACEBO, Width, sizes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dualtrace.report.figures.canvas import Point
    from dualtrace.report.figures.style import Sizes

Mark = Literal["disc", "ring", "diamond", "none"]

_RADIUS: Final = 0.036
_KEY: Final = 0.34
_HEIGHT: Final = {"wide": 3.3, "narrow": 2.7}


@dataclass(frozen=True, slots=True)
class Style:
    """How a series looks.

    Attributes
    ----------
    color, dashes, width
        Of the line; ``dashes`` and ``width`` in typographic points, no line at width 0.
    mark
        Drawn at its points.
    """

    color: str
    dashes: tuple[float, float] | None = None
    width: float = 1.5
    mark: Mark = "disc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One curve.

    Attributes
    ----------
    style
        How it looks.
    x, y
        Its points; a NaN breaks the line.
    low, high
        Ends of error bars, NaN for none; empty without any.
    share
        Area of each mark relative to the ordinary one; empty: all alike.
    """

    style: Style
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    share: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse columns of different lengths."""
        for column in (self.y, self.low or self.x, self.high or self.x, self.share or self.x):
            if len(column) != len(self.x):
                raise ValueError(f"{len(self.x)} points need as many values; given {len(column)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LinesSpec:
    """What the figure shows.

    Attributes
    ----------
    title, labels, footnote
        Words; labels of the axis across and of the one upwards.
    series, keys
        Curves, and what their styles mean.
    across, up
        Limits of the axes; ``None``: from the series.
    whole
        Whether the axis across counts.
    level
        Height of a line of no effect; ``None`` for none.
    sides
        Words above and below that line.
    """

    title: str
    labels: tuple[str, str]
    series: tuple[Series, ...]
    keys: tuple[tuple[Style, str], ...]
    across: tuple[float, float] | None = None
    up: tuple[float, float] | None = None
    whole: bool = False
    level: float | None = None
    sides: tuple[str, str] = ("", "")
    footnote: str = ""

    def __post_init__(self) -> None:
        """Refuse a figure without a point."""
        if not any(isfinite(y) for one in self.series for y in one.y):
            raise ValueError(f"{self.title}: there must be a point to draw")


def lines(spec: LinesSpec, *, width: Width = "wide") -> Figure:
    """Draw the curves."""
    look = sizes(width)
    canvas = Canvas(look.width)
    top = heading(canvas, look.margin, spec.title, look=look) + 0.05
    frame = _frame(spec, top, _HEIGHT[width], look)
    y = axes(canvas, frame, labels=spec.labels, look=look)
    if spec.level is not None:
        _level(canvas, frame, spec, spec.level, look)
    for one in spec.series:
        _series(canvas, frame, one)
    y = legend(canvas, y + 0.08, tuple(_key(style, words) for style, words in spec.keys), look=look)
    y = footnote(canvas, y + 0.02, spec.footnote, look=look)
    return canvas.finish(y + look.margin)


def _frame(spec: LinesSpec, top: float, height: float, look: Sizes) -> Frame:
    low, high = spec.across or padded([x for one in spec.series for x in one.x], share=0.03)
    bottom, roof = spec.up or padded(
        [v for one in spec.series for v in (*one.y, *one.low, *one.high) if isfinite(v)]
        + ([] if spec.level is None else [spec.level])
    )
    across = Scale("linear", low, high, look.margin + LEFT + 0.05, look.width - look.margin - 0.05, whole=spec.whole)
    return Frame(across, Scale("linear", bottom, roof, top + height, top))


def _level(canvas: Canvas, frame: Frame, spec: LinesSpec, level: float, look: Sizes) -> None:
    box, y = frame.box, frame.up.x(level)
    canvas.line([(box.left, y), (box.right, y)], color=FAINT, width=1.0, z=1.6)
    above, below = spec.sides
    canvas.text(box.right - 0.05, box.top + 0.09, above, size=look.small, color=DRUG, bold=True, align="right")
    canvas.text(box.right - 0.05, box.bottom - 0.09, below, size=look.small, color=PLACEBO, bold=True, align="right")


def _series(canvas: Canvas, frame: Frame, one: Series) -> None:
    style = one.style
    for x, low, high in zip(one.x, one.low, one.high, strict=False):
        if isfinite(low) and isfinite(high) and (ends := frame.cut((x, low), (x, high))):
            canvas.line(list(ends), color=style.color, width=0.9, z=2.4)
    if style.width:
        for run in _runs(one):
            canvas.line(
                [frame.at(x, y) for x, y in run], color=style.color, width=style.width, dashes=style.dashes, z=3
            )
    for i, (x, y) in enumerate(zip(one.x, one.y, strict=True)):
        if isfinite(y) and frame.covers(x, y):
            radius = _RADIUS * (one.share[i] ** 0.5 if one.share else 1.0)
            _mark(canvas, *frame.at(x, y), style, radius)


def _runs(one: Series) -> list[list[Point]]:
    runs: list[list[Point]] = [[]]
    for point in zip(one.x, one.y, strict=True):
        if isfinite(point[1]):
            runs[-1].append(point)
        else:
            runs.append([])
    return [run for run in runs if len(run) > 1]


def _mark(canvas: Canvas, x: float, y: float, style: Style, radius: float) -> None:
    if style.mark == "disc":
        canvas.disc(x, y, radius, face=style.color, z=4)
    elif style.mark == "ring":
        canvas.disc(x, y, radius, face=PAPER, edge=style.color, width=1.1, z=4)
    elif style.mark == "diamond":
        r = 1.5 * radius
        canvas.polygon([(x - r, y), (x, y - r), (x + r, y), (x, y + r)], face=PAPER, edge=style.color, width=1.1, z=4)


def _key(style: Style, words: str) -> Key:
    return Key(partial(_drawn, style), _KEY, words)


def _drawn(style: Style, canvas: Canvas, left: float, y: float) -> None:
    if style.width:
        canvas.line([(left, y), (left + _KEY, y)], color=style.color, width=style.width, dashes=style.dashes)
    _mark(canvas, left + _KEY / 2, y, style, _RADIUS)
