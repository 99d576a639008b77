"""The marks on a horizontal axis (estimate, interval, possible range, direction, pooled diamond) and the axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dualtrace.report.figures.canvas import pitch, text_width
from dualtrace.report.figures.style import DRUG, FAINT, GRID, INK, MUTED, PLACEBO, ROW, RULE, mix

if TYPE_CHECKING:
    from dualtrace.report.figures.canvas import Canvas, Point
    from dualtrace.report.figures.scale import Scale
    from dualtrace.report.figures.style import Sizes

SQUARE: Final = 0.145  # inches, side of the heaviest trial
_SMALLEST_SQUARE = 0.045
_HEAD = 0.07
_FADE_STEPS = 14


def arrowhead(canvas: Canvas, x: float, y: float, *, side: int, color: str, role: str = "clipped") -> None:
    """Draw the head that says "goes on beyond the axis"; ``side`` +1 points right, -1 left, the tip at ``x``."""
    back = x - side * _HEAD
    canvas.polygon([(x, y), (back, y - 0.036), (back, y + 0.036)], face=color, z=3, role=role)


def interval(
    canvas: Canvas, scale: Scale, y: float, low: float, high: float, *, color: str = ROW, width: float = 1.0
) -> None:
    """Draw a confidence interval; an end beyond the axis gets an arrowhead."""
    cut_left, cut_right = low < scale.low, high > scale.high
    left = scale.x(low) + (_HEAD / 2 if cut_left else 0.0)
    right = scale.x(high) - (_HEAD / 2 if cut_right else 0.0)
    if right > left:
        canvas.line([(left, y), (right, y)], color=color, width=width, z=3)
    if cut_left:
        arrowhead(canvas, scale.left, y, side=-1, color=color)
    if cut_right:
        arrowhead(canvas, scale.right, y, side=1, color=color)


def square(canvas: Canvas, x: float, y: float, *, share: float, color: str = ROW) -> None:
    """Draw an estimate as a square whose area is ``share`` (0 to 1) of the largest."""
    half = max(SQUARE * share**0.5, _SMALLEST_SQUARE) / 2
    canvas.rectangle(x - half, y - half, x + half, y + half, face=color, z=4)


def hatched_range(canvas: Canvas, scale: Scale, y: float, low: float, high: float, *, color: str = MUTED) -> None:
    """Draw the range an effect is known to lie in: a hollow hatched bar, open where it goes on beyond the axis."""
    left, right, half = scale.x(low), scale.x(high), 0.045
    left += _HEAD if low < scale.low else 0.0
    right -= _HEAD if high > scale.high else 0.0
    hatched_box(canvas, left, right, y, half=half, color=color)
    if low < scale.low:
        arrowhead(canvas, scale.left, y, side=-1, color=color)
    if high > scale.high:
        arrowhead(canvas, scale.right, y, side=1, color=color)


def hatched_box(canvas: Canvas, left: float, right: float, y: float, *, half: float, color: str) -> None:
    """Draw a hollow box filled with slanted lines."""
    if right <= left:
        return
    height, step = 2 * half, 0.055
    start = left - height + step / 2
    strokes: list[tuple[Point, Point]] = []
    while start < right:
        first, last = max(start, left), min(start + height, right)
        if last > first:
            strokes.append(((first, y + half - (first - start)), (last, y + half - (last - start))))
        start += step
    canvas.rectangle(left, y - half, right, y + half, face=mix(color, 0.06), edge=color, z=3)
    canvas.segments(strokes, colors=[mix(color, 0.75)] * len(strokes), width=0.55, z=3.1)


def half_line(canvas: Canvas, scale: Scale, y: float, low: float, high: float, *, color: str = ROW) -> None:
    """Draw a bare direction: an arrow that starts at the known bound and fades towards the unknown size."""
    side = 1 if high > scale.high else -1
    start = scale.x(low if side > 0 else high)
    end = scale.right if side > 0 else scale.left
    fading_arrow(canvas, start, end, y, color=color)


def fading_arrow(canvas: Canvas, start: float, end: float, y: float, *, color: str) -> None:
    """Draw the arrow of :func:`half_line` between two places in inches."""
    side = 1 if end > start else -1
    tip = end - side * 0.6 * _HEAD
    places = [start + (tip - start) * (i + 1) / _FADE_STEPS for i in range(_FADE_STEPS)]
    shades = [mix(color, 1.0 - 0.72 * i / _FADE_STEPS) for i in range(_FADE_STEPS)]
    for place, shade in zip(
        reversed(places), reversed(shades), strict=True
    ):  # the longest and palest first: no seams
        canvas.rectangle(min(start, place), y - 0.018, max(start, place), y + 0.018, face=shade, z=3)
    canvas.line([(start, y - 0.05), (start, y + 0.05)], color=color, width=1.2, z=3.2)
    arrowhead(canvas, end, y, side=side, color=shades[-1], role="direction")


def diamond(
    canvas: Canvas, scale: Scale, y: float, estimate: float, low: float, high: float, *, color: str = DRUG
) -> None:
    """Draw a pooled estimate: the points of the diamond are its confidence limits."""
    half = 0.075
    left, right, middle = scale.x(low), scale.x(high), scale.x(estimate)
    canvas.polygon(
        [(left, y), (middle, y - half), (right, y), (middle, y + half)], face=color, edge=color, width=0.6, z=4
    )
    if low < scale.low:
        arrowhead(canvas, scale.left, y, side=-1, color=color)
    if high > scale.high:
        arrowhead(canvas, scale.right, y, side=1, color=color)


def prediction_bar(canvas: Canvas, scale: Scale, y: float, low: float, high: float, *, color: str = DRUG) -> None:
    """Draw a prediction interval as a thin bar behind the diamond."""
    left, right, shade = scale.x(low), scale.x(high), mix(color, 0.42)
    canvas.rectangle(left, y - 0.018, right, y + 0.018, face=shade, z=2.5)
    if low < scale.low:
        arrowhead(canvas, scale.left, y, side=-1, color=shade)
    if high > scale.high:
        arrowhead(canvas, scale.right, y, side=1, color=shade)


def grid(canvas: Canvas, scale: Scale, top: float, bottom: float, *, size: float) -> None:
    """Draw the light lines at the ticks and the line of no effect."""
    lines = [
        [(scale.x(value), top), (scale.x(value), bottom)] for value, _ in scale.ticks(size) if value != scale.null
    ]
    canvas.segments(lines, colors=[GRID] * len(lines), width=0.6, z=1)
    if scale.covers(scale.null):
        canvas.line([(scale.x(scale.null), top), (scale.x(scale.null), bottom)], color=FAINT, width=0.9, z=1.5)


def axis(canvas: Canvas, scale: Scale, y: float, *, label: str, sides: tuple[str, str] | None, look: Sizes) -> float:
    """Draw the axis with ticks, its label and, if given, which side favours what; return where it ends."""
    canvas.line([(scale.left, y), (scale.right, y)], color=MUTED, width=0.8)
    for value, text in scale.ticks(look.small):
        x = scale.x(value)
        canvas.line([(x, y), (x, y + 0.035)], color=MUTED, width=0.8)
        canvas.text(x, y + 0.105, text, size=look.small, color=MUTED, align="center")
    y = _directions(canvas, scale, y + 0.19, sides=sides, look=look) if sides else y + 0.19
    middle, half = (scale.left + scale.right) / 2, text_width(label, look.small) / 2
    middle = min(max(middle, look.margin + half), canvas.width - look.margin - half)
    canvas.text(middle, y + pitch(look.small) / 2, label, size=look.small, color=INK, align="center")
    return y + pitch(look.small)


def _directions(canvas: Canvas, scale: Scale, top: float, *, sides: tuple[str, str], look: Sizes) -> float:
    """Write the two sides beside the line of no effect, pushed inwards at the paper's edge, stacked if they meet."""
    left, right = f"← {sides[0]}", f"{sides[1]} →"
    size, gap, null = look.small, 0.07, scale.x(scale.null)
    wide_left, wide_right = text_width(left, size, True), text_width(right, size, True)
    first, last = look.margin, canvas.width - look.margin
    end = max(null - gap, first + wide_left)
    start = min(null + gap, last - wide_right)
    if end + 2 * gap > start:
        start = min(end + 2 * gap, last - wide_right)
    stacked = end + gap > start
    y = top + pitch(size) / 2
    canvas.text(end, y, left, size=size, color=PLACEBO, bold=True, align="right")
    y += pitch(size) if stacked else 0.0
    canvas.text(start, y, right, size=size, color=DRUG, bold=True)
    return y + pitch(size) / 2 + 0.02


def rule(canvas: Canvas, y: float, look: Sizes, *, color: str = RULE, width: float = 0.8) -> None:
    """Draw a line across the sheet."""
    canvas.line([(look.margin, y), (canvas.width - look.margin, y)], color=color, width=width, z=2)
