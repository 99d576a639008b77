"""Albatross plot: p-value against sample size with contours of equal effect, for trials that print no effect.

Harrison S, Jones HE, Martin RM, Lewis SJ, Higgins JPT. Res Synth Methods 2017;8:281-289. doi:10.1002/jrsm.1239
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import erfc, hypot, log, log10, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Final, Literal

from dualtrace.report.figures.canvas import Canvas, pitch, text_width
from dualtrace.report.figures.labels import names, numbers
from dualtrace.report.figures.legend import Key, footnote, heading, legend
from dualtrace.report.figures.marks import arrowhead
from dualtrace.report.figures.placement import Box
from dualtrace.report.figures.style import DRUG, FAINT, GRID, MUTED, PLACEBO, Width, mix, sizes
from dualtrace.report.figures.symbols import group_color, group_symbol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.figure import Figure

    from dualtrace.report.figures.canvas import Point
    from dualtrace.report.figures.style import Sizes

Bound = Literal["exact", "below", "above"]
_TICKS_P: Final = (0.05, 0.001, 0.01, 0.0001, 0.2, 0.5)  # in order of importance
_TICKS_N: Final = (5, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 400, 600, 1000, 2000)
_RADIUS: Final = 0.05
_STUB: Final = 0.26
_SHARES: Final = (0.0, 0.3, -0.3, 0.6, -0.6, 0.15, -0.15, 0.45, -0.45, 0.75, -0.75)  # of a range, from p = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AlbatrossPoint:
    """One trial.

    Attributes
    ----------
    label, group
        Who; which disorder.
    n
        Patients compared.
    p
        Two-sided p-value, 0 < p <= 1.
    direction
        +1 favours the drug, -1 favours placebo, 0 unknown (only with ``above``).
    bound
        ``exact``; ``below``: the report says p < the value; ``above``: it says p > the value.
    """

    label: str
    group: str
    n: float
    p: float
    direction: Literal[-1, 0, 1]
    bound: Bound = "exact"

    def __post_init__(self) -> None:
        """Refuse what has no place on the plot."""
        if not 0 < self.p <= 1:
            raise ValueError(f"{self.label}: p must be above 0 and at most 1; given {self.p}")
        if self.n <= 0:
            raise ValueError(f"{self.label}: n must be above 0; given {self.n}")
        if self.direction == 0 and self.bound != "above":
            raise ValueError(f"{self.label}: a direction must be known unless p is 'above'; given {self.bound!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlbatrossSpec:
    """What an albatross plot shows.

    Attributes
    ----------
    title, points
        The trials; groups are told apart in the order of their first point.
    contours
        Standardised mean differences to draw lines for.
    left_label, right_label, footnote
        Words.
    """

    title: str
    points: tuple[AlbatrossPoint, ...]
    contours: tuple[float, ...] = (0.2, 0.5, 0.8)
    left_label: str = "favours placebo"
    right_label: str = "favours D-cycloserine"
    footnote: str = ""

    @property
    def groups(self) -> tuple[str, ...]:
        """Groups in order of appearance."""
        return tuple(dict.fromkeys(point.group for point in self.points))


def contour_n(d: float, p: float) -> float:
    """Return the total sample size at which a standardised difference gives a two-sided p-value.

    Two arms of N/2 patients: t = d sqrt(n₁n₂/(n₁+n₂)) = d sqrt(N)/2, and t is close to the normal quantile
    z = Φ⁻¹(1 - p/2), so that N = 4 z²/d².

    Parameters
    ----------
    d
        Standardised mean difference, not zero.
    p
        Two-sided p-value, 0 < p < 1.
    """
    z = NormalDist().inv_cdf(1.0 - p / 2.0)
    return 4.0 * z * z / (d * d)


def contour_p(d: float, n: float) -> float:
    """Return the p-value on the contour of ``d`` at a total sample size: p = 2 Φ(-|d| sqrt(N)/2)."""
    return erfc(abs(d) * sqrt(n) / 2.0 / sqrt(2.0))


@dataclass(frozen=True, slots=True)
class _Frame:
    """Places: p to x on a logarithmic axis running out from the middle, N to y on a logarithmic one."""

    box: Box
    most: float  # largest -log10 p
    low_n: float
    high_n: float

    def x(self, p: float, side: int) -> float:
        middle, half = (self.box.left + self.box.right) / 2, (self.box.right - self.box.left) / 2
        return middle + side * half * min(-log10(p), self.most) / self.most

    def y(self, n: float) -> float:
        share = log(n / self.low_n) / log(self.high_n / self.low_n)
        return self.box.bottom - share * (self.box.bottom - self.box.top)


def albatross(spec: AlbatrossSpec, *, width: Width = "wide") -> Figure:
    """Draw the albatross plot."""
    look = sizes(width)
    canvas = Canvas(look.width)
    top = heading(canvas, look.margin, spec.title, look=look) + 0.16
    frame = _frame(spec, top, look=look, narrow=width == "narrow")
    centres = _centres(frame, spec)
    taken = _contours(canvas, frame, spec, look=look, centres=centres)
    y = _axes(canvas, frame, spec, look=look)
    numbered = _points(canvas, frame, spec, centres, look=look, taken=taken)
    y = legend(canvas, y + 0.08, tuple(_keys(spec)), look=look)
    y = numbers(canvas, y + 0.02, numbered, look=look)
    y = footnote(canvas, y + 0.02, spec.footnote, look=look)
    return canvas.finish(y + look.margin)


def alt(spec: AlbatrossSpec) -> str:
    """Return one or two sentences that carry what the albatross plot shows."""
    right = sum(point.direction > 0 for point in spec.points)
    left = sum(point.direction < 0 for point in spec.points)
    significant = sum(point.p <= 0.05 and point.bound != "above" for point in spec.points)
    return (
        f"Albatross plot, {spec.title}: {len(spec.points)} comparisons by p-value and number of patients; "
        f"{right} lie on the side that {spec.right_label}, {left} on the side that {spec.left_label}, "
        f"{len(spec.points) - right - left} have no known side. "
        f"{significant} have a p-value of 0.05 or less."
    )


def _frame(spec: AlbatrossSpec, top: float, *, look: Sizes, narrow: bool) -> _Frame:
    height = 3.4 if narrow else 4.3
    box = Box(look.margin + 0.42, top, look.width - look.margin - (0.06 if narrow else 0.2), top + height)
    most = max([2.4, *(-log10(point.p) + (0.35 if point.bound == "below" else 0.12) for point in spec.points)])
    sizes_n = [point.n for point in spec.points] or [10.0, 100.0]
    low = 0.75 * min(sizes_n)
    return _Frame(box, min(most, 5.0), low, max(1.15 * max(sizes_n), 5.0 * low))


def _centres(frame: _Frame, spec: AlbatrossSpec) -> tuple[Point, ...]:
    """Return the places of the symbols; where no side is known any on the range will do: a free one is taken."""
    centres = [(frame.x(point.p, point.direction), frame.y(point.n)) for point in spec.points]
    fixed = [centre for centre, point in zip(centres, spec.points, strict=True) if point.direction]
    for i, point in enumerate(spec.points):
        if point.direction == 0:
            half = frame.x(point.p, 1) - frame.x(1.0, 1)
            options = [(frame.x(1.0, 1) + share * half, centres[i][1]) for share in _SHARES]
            centres[i] = next((o for o in options if _is_free(o, fixed)), options[0])
            fixed.append(centres[i])
    return tuple(centres)


def _is_free(place: Point, others: Sequence[Point]) -> bool:
    return all(hypot(place[0] - x, place[1] - y) > 2.6 * _RADIUS for x, y in others)


def _contours(
    canvas: Canvas, frame: _Frame, spec: AlbatrossSpec, *, look: Sizes, centres: Sequence[Point]
) -> list[Box]:
    """Draw the curves; write each value where its curve leaves the plot, if there is room; return what is taken."""
    reach = 1.3 * _RADIUS
    taken = [Box(x - reach, y - reach, x + reach, y + reach) for x, y in centres]
    limit = 10.0**-frame.most
    for d in spec.contours:
        last = min(frame.high_n, contour_n(d, limit))
        if last <= frame.low_n:
            continue
        counts = [frame.low_n * (last / frame.low_n) ** (i / 60) for i in range(61)]
        for side in (-1, 1):
            curve = [(frame.x(contour_p(d, n), side), frame.y(n)) for n in counts]
            canvas.line(curve, color=mix(MUTED, 0.6), width=0.8, dashes=(4.0, 2.2), z=1.7)
            _name_contour(canvas, frame, f"{d:g}", curve[-1], side=side, taken=taken, look=look)
    return taken


def _name_contour(
    canvas: Canvas, frame: _Frame, text: str, end: Point, *, side: int, taken: list[Box], look: Sizes
) -> None:
    half, x, y = text_width(text, look.small) / 2, end[0], frame.box.top - 0.09
    if end[1] > frame.box.top + 0.01:  # leaves at the side: written just inside, above the curve
        x, y = end[0] - side * (half + 0.03), end[1] - 0.1
    box = Box(x - half, y - 0.065, x + half, y + 0.065)
    if not any(box.meets(other) for other in taken):
        taken.append(box)
        canvas.text(x, y, text, size=look.small, color=MUTED, align="center")


def _axes(canvas: Canvas, frame: _Frame, spec: AlbatrossSpec, *, look: Sizes) -> float:
    box, middle = frame.box, (frame.box.left + frame.box.right) / 2
    canvas.line([(middle, box.top), (middle, box.bottom)], color=FAINT, width=0.9, z=1.6)
    canvas.line([(box.left, box.bottom), (box.right, box.bottom)], color=MUTED)
    canvas.text(middle, box.bottom + 0.105, "1", size=look.small, color=MUTED, align="center")
    written = [(middle - 0.1, middle + 0.1)]
    for p in _TICKS_P:
        for side in (-1, 1):
            x, half = frame.x(p, side), text_width(f"{p:g}", look.small) / 2
            if -log10(p) > frame.most + 1e-9:
                continue
            canvas.line([(x, box.top), (x, box.bottom)], color=FAINT if p == 0.05 else GRID, width=0.6, z=1.2)
            span = (max(x - half, 0.0), min(x + half, canvas.width - 0.03))
            if all(span[1] + 0.05 < a or span[0] - 0.05 > b for a, b in written):
                canvas.text(sum(span) / 2, box.bottom + 0.105, f"{p:g}", size=look.small, color=MUTED, align="center")
                written.append(span)
    _n_axis(canvas, frame, look=look)
    y = box.bottom + 0.2 + pitch(look.small) / 2
    canvas.text(middle - 0.07, y, f"← {spec.left_label}", size=look.small, color=PLACEBO, bold=True, align="right")
    canvas.text(middle + 0.07, y, f"{spec.right_label} →", size=look.small, color=DRUG, bold=True)
    y += pitch(look.small)
    canvas.text(middle, y, "two-sided p-value", size=look.small, align="center")
    return y + pitch(look.small) / 2


def _n_axis(canvas: Canvas, frame: _Frame, *, look: Sizes) -> None:
    box, edge = frame.box, frame.box.bottom + 1.0
    for n in _TICKS_N:
        if frame.low_n <= n <= frame.high_n and edge - frame.y(n) > 0.17:
            edge = frame.y(n)
            canvas.line([(box.left, edge), (box.right, edge)], color=GRID, width=0.6, z=1.1)
            canvas.text(box.left - 0.06, edge, str(n), size=look.small, color=MUTED, align="right")
    canvas.text(
        look.margin + 0.02,
        (box.top + box.bottom) / 2,
        "patients compared (N)",
        size=look.small,
        align="center",
        upright=True,
    )


def _points(
    canvas: Canvas,
    frame: _Frame,
    spec: AlbatrossSpec,
    centres: Sequence[Point],
    *,
    look: Sizes,
    taken: Sequence[Box],
) -> tuple[tuple[int, str], ...]:
    """Draw the trials with their labels; return those that got a number only."""
    ranges = [_range(canvas, frame, spec, point) for point in spec.points]
    for point, (x, y) in zip(spec.points, centres, strict=True):
        group_symbol(
            canvas, x, y, index=spec.groups.index(point.group), radius=_RADIUS, hollow=point.bound != "exact"
        )
    return names(
        canvas,
        centres,
        [point.label for point in spec.points],
        look=look,
        radius=_RADIUS * 1.3,
        inside=Box(frame.box.left + 0.02, frame.box.top + 0.02, frame.box.right - 0.02, frame.box.bottom - 0.02),
        taken=[*taken, *(box for box in ranges if box is not None)],
    )


def _range(canvas: Canvas, frame: _Frame, spec: AlbatrossSpec, point: AlbatrossPoint) -> Box | None:
    """Draw where a bounded p-value may lie; return the place it takes."""
    if point.bound == "exact":
        return None
    color, y, side = mix(group_color(spec.groups.index(point.group)), 0.65), frame.y(point.n), point.direction
    if point.bound == "below":
        start = frame.x(point.p, side)
        end = min(max(start + side * _STUB, frame.box.left), frame.box.right)
    else:
        start, end = frame.x(point.p, side or -1), frame.x(1.0 if side else point.p, side or 1)
    canvas.line([(start, y), (end, y)], color=color, width=1.4, z=2.6)
    heads = [(end, 1 if end > start else -1)]
    if side == 0:
        heads.append((start, -1))
    for x, way in heads:
        arrowhead(canvas, x, y, side=way, color=color, role="range")
    return Box(min(start, end), y - 0.03, max(start, end), y + 0.03)


def _keys(spec: AlbatrossSpec) -> Iterator[Key]:
    for index, group in enumerate(spec.groups):
        yield Key(partial(_key_group, index), 0.12, group)
    if any(point.bound != "exact" for point in spec.points):
        yield Key(_key_bounded, 0.34, "p only bounded: it lies somewhere on the line")
    if spec.contours:
        values = ", ".join(f"{d:g}" for d in spec.contours)
        yield Key(_key_contour, 0.34, f"standardised difference of {values} (equal arms)")


def _key_group(index: int, canvas: Canvas, x: float, y: float) -> None:
    group_symbol(canvas, x + 0.06, y, index=index, radius=_RADIUS)


def _key_bounded(canvas: Canvas, x: float, y: float) -> None:
    canvas.line([(x + 0.05, y), (x + 0.3, y)], color=mix(MUTED, 0.65), width=1.4)
    arrowhead(canvas, x + 0.34, y, side=1, color=mix(MUTED, 0.65), role="key")
    canvas.disc(x + 0.05, y, 0.045, face="#ffffff", edge=MUTED, width=1.1, z=4)


def _key_contour(canvas: Canvas, x: float, y: float) -> None:
    canvas.line([(x, y), (x + 0.34, y)], color=mix(MUTED, 0.6), width=0.8, dashes=(4.0, 2.2))
