"""Dose against the time of the capsule: one bubble per trial arm, its area the patients, its colour the finding."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import cos, hypot, pi, sin, sqrt
from typing import TYPE_CHECKING, Final, Literal

from dualtrace.report.figures.canvas import Canvas, pitch, text_width, wrap
from dualtrace.report.figures.legend import Key, footnote, heading, legend
from dualtrace.report.figures.style import BAND, DRUG, FAINT, GRID, MUTED, PAPER, PLACEBO, Width, mix, sizes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from matplotlib.figure import Figure

    from dualtrace.report.figures.canvas import Point
    from dualtrace.report.figures.style import Sizes

Side = Literal["drug", "placebo", "neither", "unknown"]
Given = Literal["before", "after"]
Column = tuple[Given, float | None]

_FACES: Final[dict[Side, tuple[str, str]]] = {
    "drug": (mix(DRUG, 0.75), DRUG),
    "placebo": (mix(PLACEBO, 0.75), PLACEBO),
    "neither": (PAPER, MUTED),
    "unknown": (mix(FAINT, 0.45), FAINT),
}
_LARGEST: Final = {"wide": 0.19, "narrow": 0.13}
_SMALLEST: Final = 0.028
_AIR: Final = 0.015
_KEY_COUNTS: Final = (20, 100)
_LEAST_SCALE: Final = 150  # patients of the largest bubble, unless a trial has more
_UNKNOWN: Final = "?"
_AXIS: Final = "time of the capsule: minutes before the session starts or after it ends"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingDosePoint:
    """One trial arm.

    Attributes
    ----------
    label
        Which.
    dose_mg
        Milligrams per administration.
    given, minutes
        ``before`` the session starts or ``after`` it ends, and how long; None when the minutes are unknown.
    n
        Patients of the comparison; None when unknown (smallest bubble).
    side
        What the trial found.
    """

    label: str
    dose_mg: float
    given: Given
    minutes: float | None
    n: int | None
    side: Side

    def __post_init__(self) -> None:
        """Refuse a dose or a time that cannot be."""
        if self.dose_mg <= 0:
            raise ValueError(f"{self.label}: the dose must be above 0 mg; given {self.dose_mg}")
        if self.minutes is not None and self.minutes < 0:
            raise ValueError(f"{self.label}: minutes must be 0 or more (use given); given {self.minutes}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingDoseSpec:
    """What the bubble plot shows; the last two words name the sides of the legend."""

    title: str
    points: tuple[TimingDosePoint, ...]
    drug: str = "D-cycloserine"
    placebo: str = "placebo"
    footnote: str = ""

    @property
    def columns(self) -> tuple[Column, ...]:
        """Times in order: long before the session to long after it, unknown minutes farthest out."""
        found = {(point.given, point.minutes) for point in self.points}
        far = float("inf")
        before = sorted((c for c in found if c[0] == "before"), key=lambda c: -(far if c[1] is None else c[1]))
        after = sorted((c for c in found if c[0] == "after"), key=lambda c: far if c[1] is None else c[1])
        return (*before, *after)

    @property
    def doses(self) -> tuple[float, ...]:
        """Doses from the highest down."""
        return tuple(sorted({point.dose_mg for point in self.points}, reverse=True))


@dataclass(frozen=True, slots=True)
class _Sheet:
    """Places of the columns; the session lies between those before and those after it."""

    left: float
    column: float
    session: float
    before: int
    count: int

    def x(self, place: int) -> float:
        return self.left + self.column * (place + 0.5) + (self.session if place >= self.before else 0.0)

    @property
    def session_left(self) -> float:
        return self.left + self.column * self.before

    @property
    def right(self) -> float:
        return self.left + self.column * self.count + self.session


def timing_dose(spec: TimingDoseSpec, *, width: Width = "wide") -> Figure:
    """Draw dose against time; both axes step from one used value to the next, bubbles of one protocol are packed."""
    look = sizes(width)
    canvas = Canvas(look.width)
    top = heading(canvas, look.margin, spec.title, look=look) + 0.04
    sheet = _sheet(spec, look=look)
    y = _body(canvas, top, spec, sheet, look=look, largest=_LARGEST[width])
    y = _time_axis(canvas, y, spec, sheet, look=look)
    y = legend(canvas, y + 0.1, tuple(_keys(spec, _LARGEST[width])), look=look)
    y = footnote(canvas, y + 0.02, spec.footnote, look=look)
    return canvas.finish(y + look.margin)


def alt(spec: TimingDoseSpec) -> str:
    """Return one or two sentences that carry what the bubble plot shows."""
    counts = {side: sum(point.side == side for point in spec.points) for side in _FACES}
    before = sum(point.given == "before" for point in spec.points)
    doses = f"{min(spec.doses):g} to {max(spec.doses):g} mg" if spec.doses else "no dose"
    return (
        f"Dose against time of the capsule, {spec.title}: {len(spec.points)} arms at {doses}, {before} before and "
        f"{len(spec.points) - before} after the session. {counts['drug']} favoured {spec.drug}, {counts['placebo']} "
        f"{spec.placebo}, {counts['neither']} neither; {counts['unknown']} unknown."
    )


def _sheet(spec: TimingDoseSpec, *, look: Sizes) -> _Sheet:
    wide = look.width > 5
    doses = max((text_width(f"{dose:g}", look.small) for dose in spec.doses), default=0.2)
    left = look.margin + 0.2 + doses + 0.08
    session = 0.62 if wide else 0.3
    count = max(len(spec.columns), 1)
    column = (look.width - look.margin - left - session) / count
    before = sum(given == "before" for given, _ in spec.columns)
    return _Sheet(left, min(column, 1.3), session, before, count)


def _radius(n: int | None, *, most: int, largest: float) -> float:
    return _SMALLEST if not n else max(largest * sqrt(n / most), _SMALLEST)


def _most(spec: TimingDoseSpec) -> int:
    return max([_LEAST_SCALE, *(point.n or 0 for point in spec.points)])


def _body(canvas: Canvas, top: float, spec: TimingDoseSpec, sheet: _Sheet, *, look: Sizes, largest: float) -> float:
    y = top
    for index, dose in enumerate(spec.doses):
        packs = {
            place: _pack(radii, half=sheet.column / 2 - 0.03)
            for place, radii in _cells(spec, dose, largest=largest).items()
        }
        reach = max((abs(dy) + r for pack in packs.values() for _, dy, r, _ in pack), default=0.1)
        height = max(2 * reach + 0.12, 0.3)
        if index % 2 == 0:
            canvas.rectangle(sheet.left, y, sheet.right, y + height, face=BAND, z=0.4)
        middle = y + height / 2
        canvas.text(sheet.left - 0.08, middle, f"{dose:g}", size=look.small, align="right")
        for place, pack in packs.items():
            for dx, dy, r, side in pack:
                face, edge = _FACES[side]
                canvas.disc(sheet.x(place) + dx, middle + dy, r, face=face, edge=edge, width=0.9)
        y += height
    canvas.text(look.margin + 0.04, (top + y) / 2, "dose (mg)", size=look.small, align="center", upright=True)
    for place in range(sheet.count):
        canvas.line([(sheet.x(place), top), (sheet.x(place), y)], color=GRID, width=0.6, z=1)
    canvas.rectangle(sheet.session_left, top, sheet.session_left + sheet.session, y, face=mix(MUTED, 0.16), z=1.2)
    canvas.text(
        sheet.session_left + sheet.session / 2,
        (top + y) / 2,
        "session",
        size=look.small,
        color=MUTED,
        align="center",
        upright=True,
    )
    return y


def _cells(spec: TimingDoseSpec, dose: float, *, largest: float) -> Mapping[int, Sequence[tuple[float, Side]]]:
    """Return, per column, radius and finding of the bubbles of one dose, the largest first."""
    columns, most = spec.columns, _most(spec)
    cells: dict[int, list[tuple[float, Side]]] = {}
    for point in spec.points:
        if point.dose_mg == dose:
            place = columns.index((point.given, point.minutes))
            cells.setdefault(place, []).append((_radius(point.n, most=most, largest=largest), point.side))
    order = list(_FACES)
    return {place: sorted(found, key=lambda b: (-b[0], order.index(b[1]))) for place, found in sorted(cells.items())}


def _pack(bubbles: Sequence[tuple[float, Side]], *, half: float) -> Sequence[tuple[float, float, float, Side]]:
    """Place bubbles around a centre without overlap, none farther out sideways than ``half``."""
    placed: list[tuple[float, float, float, Side]] = []
    for r, side in bubbles:
        for x, y in _spiral():
            if abs(x) + r <= max(half, r) and all(hypot(x - u, y - v) >= r + s + _AIR for u, v, s, _ in placed):
                placed.append((x, y, r, side))
                break
    return placed


def _spiral() -> Iterator[Point]:
    """Yield places ever farther from the centre, evenly spread (the golden angle), without end."""
    step, i = 0.013, 0
    while True:
        radius, angle = step * sqrt(i), i * pi * (3.0 - sqrt(5.0))
        yield radius * cos(angle), radius * sin(angle)
        i += 1


def _time_axis(canvas: Canvas, y: float, spec: TimingDoseSpec, sheet: _Sheet, *, look: Sizes) -> float:
    canvas.line([(sheet.left, y), (sheet.right, y)], color=MUTED)
    size, line = look.small, pitch(look.small)
    for place, (_, minutes) in enumerate(spec.columns):
        name = _UNKNOWN if minutes is None else f"{minutes:g}"
        canvas.text(sheet.x(place), y + 0.03 + line / 2, name, size=size, color=MUTED, align="center")
    y += 0.05 + line
    before, after = "← minutes before", "minutes after →"
    end = max(sheet.session_left - 0.04, look.margin + text_width(before, size)) if sheet.before else 0.0
    start = min(sheet.session_left + sheet.session + 0.04, canvas.width - look.margin - text_width(after, size))
    if sheet.before:
        canvas.text(end, y + line / 2, before, size=size, align="right")
    if sheet.before < sheet.count:
        y += line if start < end + 0.08 else 0.0
        canvas.text(start, y + line / 2, after, size=size)
    y += line
    lines = wrap(_AXIS, width=sheet.right - sheet.left, size=size)
    return canvas.lines_of_text((sheet.left + sheet.right) / 2, y, lines, size=size, align="center")


def _keys(spec: TimingDoseSpec, largest: float) -> Iterator[Key]:
    words: tuple[tuple[Side, str], ...] = (
        ("drug", f"favoured {spec.drug}"),
        ("placebo", f"favoured {spec.placebo}"),
        ("neither", "favoured neither"),
        ("unknown", "not known"),
    )
    used = {point.side for point in spec.points}
    for side, text in words:
        if side in used:
            yield Key(partial(_key, side, 0.065), 0.13, text)
    if any(minutes is None for _, minutes in spec.columns):
        yield Key(_key_unknown, 0.1, "minutes not stated")
    for index, count in enumerate(_KEY_COUNTS):
        radius = _radius(count, most=_most(spec), largest=largest)
        meaning = f"{count} patients" if index == len(_KEY_COUNTS) - 1 else str(count)
        yield Key(partial(_key, "neither", radius), 2 * radius, meaning, 2 * radius)


def _key_unknown(canvas: Canvas, x: float, y: float) -> None:
    canvas.text(x + 0.02, y, _UNKNOWN, size=sizes("narrow").small, color=MUTED)


def _key(side: Side, radius: float, canvas: Canvas, x: float, y: float) -> None:
    face, edge = _FACES[side]
    canvas.disc(x + radius, y, radius, face=face, edge=edge, width=0.9)
