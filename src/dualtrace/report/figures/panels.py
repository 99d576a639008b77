"""Small panels on common axes: a curve with its 50 and 90 % band in each, such as one for every disorder."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Final

from dualtrace.report.figures.canvas import Canvas, pitch
from dualtrace.report.figures.frame import LEFT, Frame, axes, padded
from dualtrace.report.figures.legend import Key, footnote, heading, legend
from dualtrace.report.figures.scale import Scale
from dualtrace.report.figures.style import DRUG, FAINT, INK, Width, mix, sizes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dualtrace.report.figures.banded import Band
    from dualtrace.report.figures.canvas import Point
    from dualtrace.report.figures.style import Sizes

_COLUMNS: Final = {"wide": 3, "narrow": 1}
_HEIGHT: Final = {"wide": 1.55, "narrow": 1.35}
_GAP: Final = 0.12
_KEY: Final = 0.34
_THICK: Final = 0.045


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A stretch of a curve without a break: values, and 5, 25, 50, 75 and 95 % at each."""

    x: tuple[float, ...]
    bands: tuple[Band, ...]

    def __post_init__(self) -> None:
        """Refuse columns of different lengths."""
        if not self.x or len(self.x) != len(self.bands):
            raise ValueError(f"{len(self.x)} values need as many bands; given {len(self.bands)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePanel:
    """One panel; where it cannot be drawn it says why."""

    name: str
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelsSpec:
    """What the figure shows.

    Attributes
    ----------
    labels
        Of the axis across and of the one upwards.
    across
        Limits of the axis across; None: from the curves.
    most
        The axis upwards ends there at the latest, on both sides.
    whole
        Whether the axis across counts.
    """

    title: str
    labels: tuple[str, str]
    panels: tuple[CurvePanel, ...]
    across: tuple[float, float] | None = None
    most: float = inf
    whole: bool = False
    footnote: str = ""

    def __post_init__(self) -> None:
        """Refuse a figure without a curve."""
        if not any(panel.runs for panel in self.panels):
            raise ValueError(f"{self.title}: there must be a curve to draw")


def panels(spec: PanelsSpec, *, width: Width = "wide") -> Figure:
    """Draw the panels from left to right, then downwards."""
    look = sizes(width)
    canvas = Canvas(look.width)
    top = heading(canvas, look.margin, spec.title, look=look) + 0.02
    columns = min(_COLUMNS[width], len(spec.panels))
    room = (look.width - 2 * look.margin - (columns - 1) * _GAP) / columns
    limits = _limits(spec)
    for start in range(0, len(spec.panels), columns):
        row = spec.panels[start : start + columns]
        last = start + columns >= len(spec.panels)
        ends = []
        for place, panel in enumerate(row):
            left = look.margin + place * (room + _GAP) + LEFT + 0.02
            frame = _frame(spec, limits, left, left + room - LEFT - 0.06, top + pitch(look.base) + 0.04, width)
            ends.append(_panel(canvas, frame, spec, panel, labels=(last, place == 0), look=look))
        top = max(ends) + 0.09
    y = legend(canvas, top, (Key(_drawn, _KEY, "median, 50 and 90 % of the posterior"),), look=look)
    return canvas.finish(footnote(canvas, y + 0.02, spec.footnote, look=look) + look.margin)


def _limits(spec: PanelsSpec) -> tuple[tuple[float, float], tuple[float, float]]:
    runs = [run for panel in spec.panels for run in panel.runs]
    across = spec.across or padded([x for run in runs for x in run.x], share=0.04)
    low, high = padded([0.0, *(end for run in runs for band in run.bands for end in (band[0], band[-1]))], share=0.08)
    return across, (max(low, -spec.most), min(high, spec.most))


def _frame(
    spec: PanelsSpec,
    limits: tuple[tuple[float, float], tuple[float, float]],
    left: float,
    right: float,
    top: float,
    width: Width,
) -> Frame:
    (low, high), (bottom, roof) = limits
    across = Scale("linear", low, high, left, right, whole=spec.whole)
    return Frame(across, Scale("linear", bottom, roof, top + _HEIGHT[width], top))


def _panel(
    canvas: Canvas, frame: Frame, spec: PanelsSpec, panel: CurvePanel, *, labels: tuple[bool, bool], look: Sizes
) -> float:
    box = frame.box
    canvas.text(box.left, box.top - 0.02 - pitch(look.base) / 2, panel.name, size=look.base, bold=True)
    named = (spec.labels[0] if labels[0] else "", spec.labels[1] if labels[1] else "")
    end = axes(canvas, frame, labels=named, look=look)
    if frame.up.covers(0.0):
        level = frame.up.x(0.0)
        canvas.line([(box.left, level), (box.right, level)], color=FAINT, width=1.0, z=1.6)
    for run in panel.runs:
        _run(canvas, frame, run)
    return end


def _run(canvas: Canvas, frame: Frame, run: Run) -> None:
    """Draw a stretch; a single point is a bar of its bands."""
    for first, last, share in ((0, 4, 0.22), (1, 3, 0.5)):
        low, high = ([band[i] for band in run.bands] for i in (first, last))
        shape = _outline(frame, run.x, low, high)
        canvas.polygon(shape, face=mix(DRUG, share), z=2)
    middle = frame.curve(run.x, [band[2] for band in run.bands])
    if len(middle) == 1:
        x, y = middle[0]
        middle = [(x - _THICK, y), (x + _THICK, y)]
    canvas.line(middle, color=INK, width=1.3, z=3)


def _outline(frame: Frame, x: tuple[float, ...], low: list[float], high: list[float]) -> list[Point]:
    under, over = frame.curve(x, low), frame.curve(x, high)
    if len(x) == 1:
        (place, bottom), (_, top) = under[0], over[0]
        left, right = place - _THICK, place + _THICK
        return [(left, bottom), (right, bottom), (right, top), (left, top)]
    return [*under, *reversed(over)]


def _drawn(canvas: Canvas, left: float, y: float) -> None:
    for half, share in ((0.06, 0.22), (0.03, 0.5)):
        canvas.rectangle(left, y - half, left + _KEY, y + half, face=mix(DRUG, share))
    canvas.line([(left, y), (left + _KEY, y)], color=INK, width=1.3, z=4)
