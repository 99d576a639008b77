"""Pooled results of others beside ours: one dot and interval per result, one axis per metric."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Literal

from dualtrace.report.figures import marks
from dualtrace.report.figures.canvas import Canvas
from dualtrace.report.figures.legend import Key, footnote, heading, legend
from dualtrace.report.figures.scale import Scale, ScaleKind, limits
from dualtrace.report.figures.style import DRUG, MUTED, Width, number, sizes, with_interval
from dualtrace.report.figures.table import Panel, Row, panel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Who = Literal["ours", "published"]
_RADIUS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonRow:
    """One pooled result.

    Attributes
    ----------
    label, sublabel
        Whose, and of what.
    estimate
        On the printed scale; None when it was named but not printed.
    low, high
        95 % CI; both None when it was not printed.
    k, n
        Trials and patients behind it.
    who
        ``ours`` or ``published``.
    """

    label: str
    sublabel: str = ""
    estimate: float | None
    low: float | None = None
    high: float | None = None
    k: int | None = None
    n: int | None = None
    who: Who

    def __post_init__(self) -> None:
        """Refuse half an interval, or one that excludes its estimate."""
        if (self.low is None) != (self.high is None):
            raise ValueError(f"{self.label}: an interval needs both ends; given {self.low} and {self.high}")
        if self.estimate is None or self.low is None or self.high is None:
            return
        if not self.low <= self.estimate <= self.high:
            raise ValueError(f"{self.label}: {self.estimate} must lie within {self.low} and {self.high}")

    @property
    def printed(self) -> str:
        """Estimate with its interval as far as they are known."""
        if self.estimate is None:
            return "not printed"
        if self.low is None or self.high is None:
            return number(self.estimate)
        return with_interval(self.estimate, self.low, self.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonGroup:
    """Results on one metric, with one axis.

    Attributes
    ----------
    title
        For example the outcome and the time point.
    scale, axis_label
        Of the axis.
    left_label, right_label
        What the two sides mean; they differ where a lower value is better.
    rows
        From top to bottom.
    """

    title: str
    scale: ScaleKind
    axis_label: str
    left_label: str = "favours placebo"
    right_label: str = "favours D-cycloserine"
    rows: tuple[ComparisonRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonSpec:
    """What a comparison plot shows: groups below one another."""

    title: str
    groups: tuple[ComparisonGroup, ...]
    footnote: str = ""


def comparison(spec: ComparisonSpec, *, width: Width = "wide") -> Figure:
    """Draw published pooled results beside ours."""
    look = sizes(width)
    canvas = Canvas(look.width)
    y = heading(canvas, look.margin, spec.title, look=look)
    every = tuple(row for group in spec.groups for row in _rows(group))
    for index, group in enumerate(spec.groups):
        y += 0.2 if index else 0.0
        y = panel(canvas, y, _panel(group, every), look=look, narrow=width == "narrow")
    keys = (
        Key(partial(_key, "ours"), 0.34, "this synthesis, 95% CI"),
        Key(partial(_key, "published"), 0.34, _PUBLISHED),
    )
    y = legend(canvas, y + 0.08, keys, look=look)
    y = footnote(canvas, y + 0.02, spec.footnote, look=look)
    return canvas.finish(y + look.margin)


_PUBLISHED = "published by others, 95% CI (a dot alone: interval not printed)"


def alt(spec: ComparisonSpec) -> str:
    """Return one or two sentences that carry what the comparison shows."""
    parts = []
    for group in spec.groups:
        ours = [f"{row.label} {row.printed}" for row in group.rows if row.who == "ours"]
        values = [row.estimate for row in group.rows if row.who == "published" and row.estimate is not None]
        count = sum(row.who == "published" for row in group.rows)
        text = f"{group.title}: ours {'; '.join(ours) or 'none'}; {count} published"
        text += f", from {number(min(values))} to {number(max(values))}" if values else ""
        parts.append(f"{text} ({group.axis_label}; left {group.left_label}, right {group.right_label})")
    return f"{spec.title}. {'. '.join(parts)}."


def _rows(group: ComparisonGroup) -> tuple[Row, ...]:
    return tuple(
        Row(
            label=row.label,
            sublabel=row.sublabel,
            cells=("" if row.k is None else str(row.k), "" if row.n is None else str(row.n), row.printed),
            bold=row.who == "ours",
            mark=partial(_draw, row),
        )
        for row in group.rows
    )


def _panel(group: ComparisonGroup, every: tuple[Row, ...]) -> Panel:
    known = [row.estimate for row in group.rows if row.estimate is not None]
    ends = [end for row in group.rows for end in (row.low, row.high) if end is not None]
    return Panel(
        rows=(Row(label=group.title, bold=True), *_rows(group)),
        alike=every,
        label_header="Analysis",
        headers=("Trials", "Patients", "Estimate (95% CI)"),
        key=2,
        scale=group.scale,
        limits=limits(group.scale, core=known, outer=ends),
        axis_label=group.axis_label,
        sides=(group.left_label, group.right_label),
    )


def _draw(row: ComparisonRow, canvas: Canvas, scale: Scale, y: float) -> None:
    if row.estimate is None:
        return
    color = _color(row.who)
    if row.low is not None and row.high is not None:
        marks.interval(canvas, scale, y, row.low, row.high, color=color, width=1.3 if row.who == "ours" else 1.0)
    if isfinite(row.estimate) and scale.covers(row.estimate):
        _dot(canvas, scale.x(row.estimate), y, row.who)


def _dot(canvas: Canvas, x: float, y: float, who: Who) -> None:
    if who == "published":
        canvas.disc(x, y, _RADIUS * 0.9, face=_color(who), z=4)
        return
    r = _RADIUS * 1.45
    canvas.polygon([(x - r, y), (x, y - r), (x + r, y), (x, y + r)], face=_color(who), z=4)


def _color(who: Who) -> str:
    return DRUG if who == "ours" else MUTED


def _key(who: Who, canvas: Canvas, x: float, y: float) -> None:
    canvas.line([(x, y), (x + 0.34, y)], color=_color(who), width=1.2)
    _dot(canvas, x + 0.17, y, who)
