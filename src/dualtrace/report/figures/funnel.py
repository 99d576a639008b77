"""Contour-enhanced funnel plot: effect against standard error over regions of significance, words as ranges.

Peters JL, Sutton AJ, Jones DR, Abrams KR, Rushton L. J Clin Epidemiol 2008;61:991-996.
doi:10.1016/j.jclinepi.2007.11.010
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import inf, isfinite
from statistics import NormalDist
from typing import TYPE_CHECKING

from dualtrace.report.figures.canvas import Canvas
from dualtrace.report.figures.frame import LEFT, Frame, axes
from dualtrace.report.figures.labels import names, numbers
from dualtrace.report.figures.legend import Key, footnote, heading, legend
from dualtrace.report.figures.marks import arrowhead
from dualtrace.report.figures.placement import Box
from dualtrace.report.figures.scale import Scale, limits
from dualtrace.report.figures.style import DRUG, FAINT, INK, MUTED, PAPER, ROW, Width, mix, number, sizes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.figure import Figure

    from dualtrace.pooling.small_study.funnel import Funnel
    from dualtrace.pooling.small_study.trim_and_fill import TrimAndFill
    from dualtrace.report.figures.canvas import Point
    from dualtrace.report.figures.style import Sizes

_RADIUS = 0.048
_SHADES = (0.0, 0.09, 0.18, 0.28)
_RANGE = mix(MUTED, 0.62)


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelPoint:
    """One trial with a number, or one that trim-and-fill adds."""

    label: str
    effect: float
    se: float
    filled: bool = False

    def __post_init__(self) -> None:
        """Refuse what has no place on the plot."""
        if not (isfinite(self.effect) and 0 < self.se < inf):
            raise ValueError(
                f"{self.label}: a finite effect and a standard error above 0 are needed; "
                f"given {self.effect} and {self.se}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelRange:
    """One trial that reported only words: its effect lies between ``low`` and ``high``, either may be infinite."""

    label: str
    low: float
    high: float
    se: float

    def __post_init__(self) -> None:
        """Refuse what has no place on the plot."""
        if not (self.low < self.high and 0 < self.se < inf):
            raise ValueError(
                f"{self.label}: low must be below high and the standard error above 0; "
                f"given {self.low}, {self.high} and {self.se}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelSpec:
    """What a funnel plot shows.

    Attributes
    ----------
    title, points, ranges
        Trials with numbers, added ones, and trials with words only.
    levels
        Two-sided levels of the contours, at most three, falling.
    mean
        Pooled mean of the points that are not added; None for none.
    line
        Intercept and slope of the regression of effects on standard errors; None for none.
    axis_label, left_label, right_label, footnote
        Words.
    """

    title: str
    points: tuple[FunnelPoint, ...]
    ranges: tuple[FunnelRange, ...] = ()
    levels: tuple[float, ...] = (0.1, 0.05, 0.01)
    mean: float | None = None
    line: tuple[float, float] | None = None
    axis_label: str = "Standardised mean difference (Hedges' g)"
    left_label: str = "favours placebo"
    right_label: str = "favours D-cycloserine"
    footnote: str = ""

    def __post_init__(self) -> None:
        """Refuse levels that cannot be drawn."""
        falling = list(self.levels) == sorted(set(self.levels), reverse=True)
        if not (falling and len(self.levels) < len(_SHADES) and all(0 < level < 1 for level in self.levels)):
            raise ValueError(f"levels must be at most three, between 0 and 1 and falling; given {self.levels}")


def funnel_spec(
    found: Funnel,
    *,
    title: str,
    filled: TrimAndFill | None = None,
    ranges: Sequence[FunnelRange] = (),
    axis_label: str = "Standardised mean difference (Hedges' g)",
    line: bool = True,
    footnote: str = "",
) -> FunnelSpec:
    """Return the plot of a computed funnel, with what trim-and-fill adds and what is known only in words.

    Parameters
    ----------
    found
        From ``small_study.funnel.contour_funnel``.
    title, axis_label, footnote
        Words.
    filled
        From ``small_study.trim_and_fill``; its added rows are drawn hollow.
    ranges
        Trials with words only.
    line
        Whether the regression line is drawn.
    """
    points = [
        FunnelPoint(label=label, effect=float(y), se=float(s))
        for label, y, s in zip(found.slab, found.yi, found.sei, strict=True)
    ]
    if filled is not None:
        added = zip(filled.yi[filled.fill], filled.vi[filled.fill], strict=True)
        points += [FunnelPoint(label="added", effect=float(y), se=float(v) ** 0.5, filled=True) for y, v in added]
    first, last = float(found.line[0]), float(found.line[-1])
    slope = (last - first) / float(found.se_grid[-1])
    return FunnelSpec(
        title=title,
        points=tuple(points),
        ranges=tuple(ranges),
        levels=found.levels,
        mean=found.mean,
        line=(first, slope) if line and isfinite(first) else None,
        axis_label=axis_label,
        footnote=footnote,
    )


def funnel(spec: FunnelSpec, *, width: Width = "wide") -> Figure:
    """Draw the funnel plot."""
    look = sizes(width)
    canvas = Canvas(look.width)
    top = heading(canvas, look.margin, spec.title, look=look)
    frame = _frame(spec, top, look=look, narrow=width == "narrow")
    _regions(canvas, frame, spec.levels)
    y = axes(
        canvas,
        frame,
        labels=(spec.axis_label, "standard error"),
        look=look,
        sides=(spec.left_label, spec.right_label),
        grid=False,
    )
    _lines(canvas, frame, spec)
    for row in spec.ranges:
        _range(canvas, frame, row)
    numbered = _points(canvas, frame, spec, look=look)
    y = legend(canvas, y + 0.08, tuple(_keys(spec)), look=look)
    y = numbers(canvas, y + 0.02, numbered, look=look)
    y = footnote(canvas, y + 0.02, spec.footnote, look=look)
    return canvas.finish(y + look.margin)


def alt(spec: FunnelSpec) -> str:
    """Return one or two sentences that carry what the funnel plot shows."""
    reported = [point for point in spec.points if not point.filled]
    added = len(spec.points) - len(reported)
    z = NormalDist().inv_cdf(0.975)
    beyond = sum(abs(point.effect) >= z * point.se for point in reported)
    extra = f", {len(spec.ranges)} with words only, drawn as ranges" if spec.ranges else ""
    extra += f", {added} added by trim-and-fill" if added else ""
    mean = "" if spec.mean is None else f" The mean is {number(spec.mean)}."
    return (
        f"Funnel plot, {spec.title}: {len(reported)} trials with an effect and its standard error{extra}; "
        f"{beyond} of the numbers lie beyond the contour p = .05.{mean} "
        f"Left of 0 {spec.left_label}, right {spec.right_label}."
    )


def _frame(spec: FunnelSpec, top: float, *, look: Sizes, narrow: bool) -> Frame:
    errors = [*(point.se for point in spec.points), *(row.se for row in spec.ranges)] or [1.0]
    ends = [end for row in spec.ranges for end in (row.low, row.high)]
    core = [point.effect for point in spec.points] + ([] if spec.mean is None else [spec.mean])
    low, high = limits("linear", core=core, outer=ends)
    across = Scale("linear", low, high, look.margin + LEFT, look.width - look.margin - 0.05)
    return Frame(across, Scale("linear", 0.0, 1.06 * max(errors), top + 0.04, top + (3.2 if narrow else 4.1)))


def _regions(canvas: Canvas, frame: Frame, levels: tuple[float, ...]) -> None:
    """Shade the plot outside in: the least likely by chance darkest, white where nothing is significant."""
    box = frame.box
    shades = _SHADES[: len(levels) + 1]
    canvas.rectangle(box.left, box.top, box.right, box.bottom, face=mix(MUTED, shades[-1]), z=0.5)
    for order, (level, shade) in enumerate(zip(reversed(levels), reversed(shades[:-1]), strict=True)):
        z = NormalDist().inv_cdf(1.0 - level / 2.0)
        canvas.polygon(_wedge(frame, z), face=mix(MUTED, shade), z=0.6 + 0.01 * order, role="contour")


def _wedge(frame: Frame, z: float) -> list[Point]:
    """Return where an effect lies within z standard errors of 0."""
    deepest = frame.up.high
    corners: list[Point] = [frame.at(0.0, 0.0)]
    for edge, sign in ((frame.across.high, 1.0), (frame.across.low, -1.0)):
        turn = min(abs(edge) / z, deepest)
        side = [frame.at(sign * z * turn, turn), frame.at(sign * z * turn, deepest)]
        corners += side if sign > 0 else side[::-1]
    return corners


def _lines(canvas: Canvas, frame: Frame, spec: FunnelSpec) -> None:
    deepest, null = frame.up.high, frame.across.x(0.0)
    canvas.line([(null, frame.box.top), (null, frame.box.bottom)], color=FAINT, width=0.9, z=1.5)
    if spec.mean is not None:
        for z in (-1.959964, 0.0, 1.959964):
            part = frame.cut((spec.mean, 0.0), (spec.mean + z * deepest, deepest))
            if part is not None:
                canvas.line(part, color=DRUG, width=1.2 if z == 0.0 else 0.8, dashes=None if z == 0.0 else (4, 2.4))
    if spec.line is not None:
        intercept, slope = spec.line
        part = frame.cut((intercept, 0.0), (intercept + slope * deepest, deepest))
        if part is not None:
            canvas.line(part, color=INK, width=1.0, dashes=(1.2, 1.8))


def _range(canvas: Canvas, frame: Frame, row: FunnelRange) -> None:
    y, scale = frame.up.x(row.se), frame.across
    left, right = scale.x(row.low), scale.x(row.high)
    canvas.line([(left, y), (right, y)], color=_RANGE, width=1.3, z=2.4)
    for value, x, side in ((row.low, left, -1), (row.high, right, 1)):
        if scale.covers(value):
            canvas.line([(x, y - 0.03), (x, y + 0.03)], color=_RANGE, width=1.1, z=2.4)
        else:
            arrowhead(canvas, x, y, side=side, color=_RANGE, role="range")


def _points(canvas: Canvas, frame: Frame, spec: FunnelSpec, *, look: Sizes) -> tuple[tuple[int, str], ...]:
    centres = [frame.at(point.effect, point.se) for point in spec.points]
    for point, (x, y) in zip(spec.points, centres, strict=True):
        _symbol(canvas, x, y, filled=point.filled)
    named = [(c, p.label) for c, p in zip(centres, spec.points, strict=True) if not p.filled]
    added = [c for c, p in zip(centres, spec.points, strict=True) if p.filled]
    reach = 1.3 * _RADIUS
    taken = [Box(x - reach, y - reach, x + reach, y + reach) for x, y in added]
    return names(
        canvas,
        [centre for centre, _ in named],
        [label for _, label in named],
        look=look,
        radius=reach,
        inside=frame.inside,
        taken=taken,
    )


def _symbol(canvas: Canvas, x: float, y: float, *, filled: bool) -> None:
    canvas.disc(x, y, _RADIUS, face=PAPER if filled else ROW, edge=ROW, width=1.1, z=4)


def _keys(spec: FunnelSpec) -> Iterator[Key]:
    yield Key(partial(_key_point, False), 0.12, "trial with a number")
    if any(point.filled for point in spec.points):
        yield Key(partial(_key_point, True), 0.12, "added by trim-and-fill")
    if spec.ranges:
        yield Key(_key_range, 0.34, "words only: somewhere on the line")
    if spec.mean is not None:
        yield Key(_key_mean, 0.34, "mean of the numbers, and where 95% would lie without heterogeneity")
    if spec.line is not None:
        yield Key(_key_line, 0.34, "regression on the standard error")
    shades = _SHADES[: len(spec.levels) + 1]
    words = [f"p > {spec.levels[0]:g}".replace("0.", ".")] if spec.levels else []
    words += [f"p ≤ {level:g}".replace("0.", ".") for level in spec.levels]
    for shade, text in zip(shades, words, strict=False):
        yield Key(partial(_key_shade, mix(MUTED, shade)), 0.16, text)


def _key_point(filled: bool, canvas: Canvas, x: float, y: float) -> None:
    _symbol(canvas, x + 0.06, y, filled=filled)


def _key_range(canvas: Canvas, x: float, y: float) -> None:
    canvas.line([(x, y), (x + 0.34, y)], color=_RANGE, width=1.3)
    for end in (x, x + 0.34):
        canvas.line([(end, y - 0.03), (end, y + 0.03)], color=_RANGE, width=1.1)


def _key_mean(canvas: Canvas, x: float, y: float) -> None:
    canvas.line([(x + 0.1, y - 0.06), (x + 0.1, y + 0.06)], color=DRUG, width=1.2)
    canvas.line([(x + 0.16, y), (x + 0.34, y)], color=DRUG, dashes=(4, 2.4))


def _key_line(canvas: Canvas, x: float, y: float) -> None:
    canvas.line([(x, y), (x + 0.34, y)], color=INK, width=1.0, dashes=(1.2, 1.8))


def _key_shade(color: str, canvas: Canvas, x: float, y: float) -> None:
    canvas.rectangle(x, y - 0.05, x + 0.16, y + 0.05, face=color, edge=MUTED)
