"""Rows of bands on one axis: what several accounts expect (50 and 90 %), and above them what was reported."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import inf, isfinite
from typing import TYPE_CHECKING, Final

from dualtrace.report.figures import marks
from dualtrace.report.figures.canvas import Canvas, pitch, text_width, wrap
from dualtrace.report.figures.legend import Key, footnote, heading, legend
from dualtrace.report.figures.scale import Scale
from dualtrace.report.figures.style import BAND, INK, PAPER, Width, mix, sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from dualtrace.report.figures.style import Sizes

_LABELS: Final = {"wide": 2.35, "narrow": 1.25}
"""Most inches of the column of labels."""

_LINE: Final = 0.115
_AIR: Final = 0.09
_KEY: Final = 0.34
_THIN, _THICK = 0.024, 0.044
"""Half the height of the 90 % and of the 50 % band."""

Band = tuple[float, float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """A report: an estimate with its standard error, or an interval whose ends may be infinite.

    Attributes
    ----------
    low, high
        Ends of the 95 % interval of an estimate, else of the interval.
    """

    estimate: float | None = None
    low: float = -inf
    high: float = inf

    def __post_init__(self) -> None:
        """Refuse what says nothing."""
        if not self.low < self.high or not (isfinite(self.low) or isfinite(self.high)):
            raise ValueError(f"a report needs a finite end, the lower one first; given {self.low} to {self.high}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BandedRow:
    """One row.

    Attributes
    ----------
    label
        Its name.
    bands
        5, 25, 50, 75 and 95 % of every account, in the order of the accounts.
    reported
        What happened; None where nothing can have.
    heading
        Written above the row, where a new group begins.
    """

    label: str
    bands: tuple[Band, ...]
    reported: Reported | None = None
    heading: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BandedSpec:
    """What the figure shows.

    Attributes
    ----------
    accounts
        Name and colour of each band of a row, from above.
    sides
        Words left and right of no effect; None for none.
    most
        The axis ends there at the latest, on both sides; bands and reports that go on get an arrowhead.
    """

    title: str
    axis_label: str
    rows: tuple[BandedRow, ...]
    accounts: tuple[tuple[str, str], ...]
    sides: tuple[str, str] | None = None
    most: float = inf
    footnote: str = ""

    def __post_init__(self) -> None:
        """Refuse rows that do not fit the accounts."""
        if not self.rows or any(len(row.bands) != len(self.accounts) for row in self.rows):
            raise ValueError(f"{self.title}: there must be a row, and every row needs {len(self.accounts)} bands")


def banded(spec: BandedSpec, *, width: Width = "wide") -> Figure:
    """Draw the rows."""
    look = sizes(width)
    canvas = Canvas(look.width)
    y = heading(canvas, look.margin, spec.title, look=look) + 0.05
    labels = min(_LABELS[width], max(text_width(row.label, look.small) for row in spec.rows) + 0.1)
    low, high = _limits(spec)
    scale = Scale("linear", low, high, look.margin + labels + 0.06, look.width - look.margin - 0.06)
    top = y
    for place, row in enumerate(spec.rows):
        y = _row(canvas, scale, y, spec, row, labels=labels, shaded=place % 2 == 1, look=look)
    marks.grid(canvas, scale, top, y, size=look.small)
    y = marks.axis(canvas, scale, y, label=spec.axis_label, sides=spec.sides, look=look)
    y = legend(canvas, y + 0.1, _keys(spec), look=look)
    return canvas.finish(footnote(canvas, y + 0.02, spec.footnote, look=look) + look.margin)


def _limits(spec: BandedSpec) -> tuple[float, float]:
    ends = [end for row in spec.rows for band in row.bands for end in (band[0], band[-1])]
    ends += [
        end
        for row in spec.rows
        if row.reported is not None
        for end in (row.reported.low, row.reported.high)
        if isfinite(end)
    ]
    low, high = min(0.0, *ends), max(0.0, *ends)
    span = (high - low) or 1.0
    return max(low - 0.04 * span, -spec.most), min(high + 0.04 * span, spec.most)


def _row(
    canvas: Canvas,
    scale: Scale,
    y: float,
    spec: BandedSpec,
    row: BandedRow,
    *,
    labels: float,
    shaded: bool,
    look: Sizes,
) -> float:
    if row.heading:  # the grid stops where words stand
        canvas.rectangle(look.margin, y, canvas.width - look.margin, y + pitch(look.base) + 0.07, face=PAPER, z=1.8)
        y = canvas.lines_of_text(look.margin, y + 0.05, [row.heading], size=look.base, bold=True) + 0.02
    words = wrap(row.label, width=labels, size=look.small)
    lines = len(row.bands) + (row.reported is not None)
    height = max(lines * _LINE, len(words) * pitch(look.small)) + _AIR
    if shaded:
        canvas.rectangle(look.margin, y, canvas.width - look.margin, y + height, face=BAND, z=0.5)
    canvas.lines_of_text(look.margin, y + (height - len(words) * pitch(look.small)) / 2, words, size=look.small)
    place = y + (height - lines * _LINE) / 2 + _LINE / 2
    if row.reported is not None:
        _reported(canvas, scale, place, row.reported)
        place += _LINE
    for band, (_, color) in zip(row.bands, spec.accounts, strict=True):
        _band(canvas, scale, place, band, color)
        place += _LINE
    return y + height


def _band(canvas: Canvas, scale: Scale, y: float, band: Band, color: str) -> None:
    low, lower, middle, upper, high = band
    for ends, half, shade in (((low, high), _THIN, mix(color, 0.35)), ((lower, upper), _THICK, mix(color, 0.8))):
        left, right = (scale.x(end) for end in ends)
        canvas.rectangle(left, y - half, max(right, left + 0.01), y + half, face=shade, z=3)
    for end, side in ((low, -1), (high, 1)):
        if not scale.covers(end):
            marks.arrowhead(canvas, scale.left if side < 0 else scale.right, y, side=side, color=mix(color, 0.35))
    if scale.covers(middle):
        x = scale.x(middle)
        canvas.line([(x, y - 1.4 * _THICK), (x, y + 1.4 * _THICK)], color=INK, width=1.1, z=4)


def _reported(canvas: Canvas, scale: Scale, y: float, one: Reported) -> None:
    if one.estimate is not None:
        marks.interval(canvas, scale, y, one.low, one.high)
        marks.square(canvas, scale.x(one.estimate), y, share=0.35)
    elif isfinite(one.low) and isfinite(one.high):
        marks.hatched_range(canvas, scale, y, one.low, one.high)
    else:
        marks.half_line(canvas, scale, y, one.low, one.high)


def _keys(spec: BandedSpec) -> tuple[Key, ...]:
    own = [Key(partial(_drawn, color), _KEY, f"{name}: 50 and 90 %, median") for name, color in spec.accounts]
    shown = [row.reported for row in spec.rows if row.reported is not None]
    kinds: Sequence[tuple[bool, Reported, str]] = (
        (any(r.estimate is not None for r in shown), Reported(estimate=0.0, low=-1.0, high=1.0), "reported, 95 % CI"),
        (
            any(r.estimate is None and isfinite(r.low) and isfinite(r.high) for r in shown),
            Reported(low=-1.0, high=1.0),
            "reported as lying within",
        ),
        (
            any(not (isfinite(r.low) and isfinite(r.high)) for r in shown),
            Reported(low=-1.0),
            "reported as beyond",
        ),
    )
    return (*own, *(Key(partial(_example, one), _KEY, words) for there, one, words in kinds if there))


def _drawn(color: str, canvas: Canvas, left: float, y: float) -> None:
    _band(canvas, Scale("linear", 0.0, 1.0, left, left + _KEY), y, (0.0, 0.3, 0.5, 0.7, 1.0), color)


def _example(one: Reported, canvas: Canvas, left: float, y: float) -> None:
    _reported(canvas, Scale("linear", -1.001, 1.001, left, left + _KEY), y, one)
