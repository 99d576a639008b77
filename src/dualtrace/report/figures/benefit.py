"""Benefit and harm of individuals: a histogram for each arm, with the share on either side in words."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from dualtrace.report.figures.canvas import Canvas, pitch, wrap
from dualtrace.report.figures.frame import LEFT, Frame, axes
from dualtrace.report.figures.legend import footnote, heading
from dualtrace.report.figures.scale import Scale
from dualtrace.report.figures.style import DRUG, FAINT, MUTED, PLACEBO, Width, number, sizes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dualtrace.report.figures.style import Sizes

_HEIGHT: Final = {"wide": 1.35, "narrow": 1.25}
_LEAST: Final = 0.002
"""Share of patients that a bin must hold for the axis to reach it."""

_NARROWEST: Final = 0.3
_AIR: Final = 0.0045


@dataclass(frozen=True, slots=True)
class Panel:
    """One arm: its name, the share of patients in every bin, and the shares and the mean named beside it."""

    name: str
    shares: tuple[float, ...]
    better: float
    worse: float
    mean: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BenefitSpec:
    """What the histograms show.

    Attributes
    ----------
    title, axis_label, footnote
        Words.
    panels
        One per arm.
    edges
        Inner edges of the bins, rising; the first and the last bin are open.
    margin
        Benefit from which a patient counts as better off, and harm from which as worse off.
    """

    title: str
    axis_label: str
    panels: tuple[Panel, ...]
    edges: tuple[float, ...]
    margin: float
    footnote: str = ""

    def __post_init__(self) -> None:
        """Refuse panels that do not fit the bins."""
        if not self.panels or any(len(panel.shares) != len(self.edges) + 1 for panel in self.panels):
            raise ValueError(f"every panel needs {len(self.edges) + 1} shares, and there must be a panel")


def benefit(spec: BenefitSpec, *, width: Width = "wide") -> Figure:
    """Draw the histograms one below the other on a common axis."""
    look = sizes(width)
    canvas = Canvas(look.width)
    y = heading(canvas, look.margin, spec.title, look=look) + 0.02
    low, high = _limits(spec)
    most = 100.0 * max(max(panel.shares) for panel in spec.panels)
    for place, panel in enumerate(spec.panels):
        y = _words(canvas, y, panel, spec.margin, look)
        across = Scale("linear", low, high, look.margin + LEFT + 0.05, look.width - look.margin - 0.05)
        frame = Frame(across, Scale("linear", 0.0, 1.06 * most, y + _HEIGHT[width], y))
        last = place == len(spec.panels) - 1
        end = axes(canvas, frame, labels=(spec.axis_label if last else "", "% of patients"), look=look)
        _bars(canvas, frame, spec, panel)
        y = end + 0.04
    return canvas.finish(footnote(canvas, y + 0.02, spec.footnote, look=look) + look.margin)


def _limits(spec: BenefitSpec) -> tuple[float, float]:
    bins = [
        (a, b)
        for panel in spec.panels
        for (a, b), share in zip(_bins(spec), panel.shares, strict=True)
        if share > _LEAST
    ]
    return min([-_NARROWEST, *(a for a, _ in bins)]), max([_NARROWEST, *(b for _, b in bins)])


def _bins(spec: BenefitSpec) -> list[tuple[float, float]]:
    """Bins with both ends; the open ones are drawn as wide as the others."""
    edges = spec.edges
    step = edges[1] - edges[0]
    whole = (edges[0] - step, *edges, edges[-1] + step)
    return list(pairwise(whole))


def _words(canvas: Canvas, y: float, panel: Panel, margin: float, look: Sizes) -> float:
    parts = (
        (f"{100 * panel.worse:.1f}% worse off by {margin:g} SD or more", PLACEBO),
        (f"mean {number(panel.mean, 3)} SD", MUTED),
        (f"{100 * panel.better:.1f}% better off by {margin:g} SD or more", DRUG),
    )
    y = canvas.lines_of_text(
        look.margin,
        y,
        wrap(panel.name, width=canvas.width - 2 * look.margin, size=look.base, bold=True),
        size=look.base,
        bold=True,
    )
    if look.width < 5:
        for words, color in parts:
            y = canvas.lines_of_text(look.margin, y, [words], size=look.small, color=color)
        return y + 0.03
    middle = y + pitch(look.small) / 2
    left, right = look.margin + LEFT + 0.05, canvas.width - look.margin - 0.05
    canvas.text(left, middle, parts[0][0], size=look.small, color=parts[0][1], bold=True)
    canvas.text((left + right) / 2, middle, parts[1][0], size=look.small, color=parts[1][1], align="center")
    canvas.text(right, middle, parts[2][0], size=look.small, color=parts[2][1], bold=True, align="right")
    return y + pitch(look.small) + 0.03


def _bars(canvas: Canvas, frame: Frame, spec: BenefitSpec, panel: Panel) -> None:
    ground = frame.up.x(0.0)
    for (low, high), share in zip(_bins(spec), panel.shares, strict=True):
        if share == 0 or not frame.across.covers((low + high) / 2):
            continue
        middle = (low + high) / 2
        color = DRUG if middle > spec.margin else PLACEBO if middle < -spec.margin else FAINT
        canvas.rectangle(
            frame.across.x(low) + _AIR, frame.up.x(100 * share), frame.across.x(high) - _AIR, ground, face=color
        )
    null = frame.across.x(0.0)
    canvas.line([(null, frame.box.top), (null, ground)], color=MUTED, width=0.8, z=3.5)
