"""Forest plot: every trial's effect with what is known of it, pooled effects below, benefit always named by side."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import inf, isfinite
from typing import TYPE_CHECKING, Literal

from dualtrace.report.figures import marks
from dualtrace.report.figures.canvas import Canvas, text_width
from dualtrace.report.figures.legend import Key, footnote, heading, legend
from dualtrace.report.figures.scale import Scale, ScaleKind, limits, no_effect
from dualtrace.report.figures.style import DRUG, MUTED, PAPER, ROW, Width, mix, number, sizes, with_interval
from dualtrace.report.figures.table import Panel, Row, panel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from matplotlib.figure import Figure

RowKind = Literal["exact", "interval", "direction", "none"]
NO_NUMBER = "no number"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestRow:
    """One trial.

    Attributes
    ----------
    label, sublabel
        Who, and a few words about how.
    kind
        ``exact``: estimate and 95 % CI; ``interval``: only known to lie between ``low`` and ``high``;
        ``direction``: only the side is known (one bound infinite); ``none``: nothing that can be drawn.
    estimate, low, high
        On the printed scale (ratios as ratios); bounds may be infinite.
    weight_percent
        Weight in the pooled estimate, 0 to 100; gives the area of the square.
    columns
        Printed numbers, one per header.
    """

    label: str
    sublabel: str = ""
    kind: RowKind
    estimate: float | None = None
    low: float = -inf
    high: float = inf
    weight_percent: float | None = None
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a row whose numbers do not fit its kind."""
        if self.kind == "none":
            return
        if not self.low <= self.high:
            raise ValueError(f"{self.label}: low must not exceed high; given {self.low} and {self.high}")
        if (self.kind == "exact") != (self.estimate is not None):
            raise ValueError(
                f"{self.label}: an estimate goes with kind 'exact' only; given {self.estimate} and {self.kind!r}"
            )
        if self.kind == "direction" and isfinite(self.low) == isfinite(self.high):
            raise ValueError(f"{self.label}: a direction has one infinite bound; given {self.low} and {self.high}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestSummary:
    """A pooled effect: estimate, 95 % CI, prediction interval, a note, and numbers for the columns."""

    label: str
    estimate: float
    low: float
    high: float
    prediction: tuple[float, float] | None = None
    note: str = ""
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an interval that excludes its estimate."""
        if not self.low <= self.estimate <= self.high:
            raise ValueError(f"{self.label}: {self.estimate} must lie within {self.low} and {self.high}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestGroup:
    """Rows under a title, with their own pooled effects."""

    title: str
    rows: tuple[ForestRow, ...]
    summaries: tuple[ForestSummary, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestSpec:
    """What a forest plot shows.

    Attributes
    ----------
    title, groups, overall
        From top to bottom.
    scale, axis_label, limits
        The axis; without limits they are chosen so that estimates and pooled intervals are seen in full.
    left_label, right_label
        What the two sides mean, without arrows.
    label_header, column_headers
        Titles of the columns; a newline breaks them.
    key_column
        Index of the column kept beside the label in the narrow variant.
    footnote
        Small print.
    """

    title: str
    groups: tuple[ForestGroup, ...]
    overall: tuple[ForestSummary, ...] = ()
    scale: ScaleKind = "linear"
    axis_label: str
    left_label: str = "favours placebo"
    right_label: str = "favours D-cycloserine"
    label_header: str = "Trial"
    column_headers: tuple[str, ...] = ()
    key_column: int = 0
    limits: tuple[float, float] | None = None
    footnote: str = ""

    @property
    def rows(self) -> tuple[ForestRow, ...]:
        """Every trial row."""
        return tuple(row for group in self.groups for row in group.rows)

    @property
    def summaries(self) -> tuple[ForestSummary, ...]:
        """Every pooled effect, the overall ones last."""
        return (*(s for group in self.groups for s in group.summaries), *self.overall)


def forest(spec: ForestSpec, *, width: Width = "wide") -> Figure:
    """Draw the forest plot; its height follows from its rows."""
    look = sizes(width)
    canvas = Canvas(look.width)
    content = Panel(
        rows=tuple(_rows(spec)),
        label_header=spec.label_header,
        headers=spec.column_headers,
        key=spec.key_column,
        scale=spec.scale,
        limits=spec.limits or _limits(spec),
        axis_label=spec.axis_label,
        sides=(spec.left_label, spec.right_label),
        guide=spec.overall[0].estimate if spec.overall else None,
    )
    y = heading(canvas, look.margin, spec.title, look=look)
    y = panel(canvas, y, content, look=look, narrow=width == "narrow") + 0.07
    y = legend(canvas, y, tuple(_keys(spec)), look=look)
    y = footnote(canvas, y + 0.02, spec.footnote, look=look)
    return canvas.finish(y + look.margin)


def alt(spec: ForestSpec) -> str:
    """Return one or two sentences that carry what the forest plot shows."""
    counts = {kind: sum(row.kind == kind for row in spec.rows) for kind in ("exact", "interval", "direction")}
    extra = [
        f"{counts[kind]} {words}"
        for kind, words in (("interval", "known only as a range"), ("direction", "known only by direction"))
        if counts[kind]
    ]
    head = f"Forest plot, {spec.title}: {_count(counts['exact'], 'trial')} with an estimate"
    head += f", {' and '.join(extra)}." if extra else "."
    pooled = "; ".join(
        f"{s.label}: {with_interval(s.estimate, s.low, s.high)}" for s in (spec.overall or spec.summaries)
    )
    sides = f"Left of {number(no_effect(spec.scale), 0)} {spec.left_label}, right {spec.right_label}."
    return f"{head} {spec.axis_label}; {pooled}. {sides}" if pooled else f"{head} {sides}"


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _rows(spec: ForestSpec) -> Iterator[Row]:
    heaviest = max((row.weight_percent or 0.0 for row in spec.rows), default=0.0)
    for index, group in enumerate(spec.groups):
        if group.title:
            yield Row(label=group.title, bold=True, gap=0.09 if index else 0.0)
        for row in group.rows:
            yield Row(
                label=row.label,
                sublabel=row.sublabel,
                cells=row.columns,
                indent=bool(group.title),
                mark=partial(_draw_row, row, heaviest),
            )
        for summary in group.summaries:
            yield _summary_row(summary, indent=bool(group.title))
    for index, summary in enumerate(spec.overall):
        yield _summary_row(summary, ruled=index == 0)


def _summary_row(summary: ForestSummary, *, indent: bool = False, ruled: bool = False) -> Row:
    return Row(
        label=summary.label,
        sublabel=summary.note,
        cells=summary.columns,
        bold=True,
        indent=indent,
        ruled=ruled,
        gap=0.12 if ruled else 0.02,
        mark=partial(_draw_summary, summary, DRUG if not indent else mix(DRUG, 0.8)),
    )


def _draw_row(row: ForestRow, heaviest: float, canvas: Canvas, scale: Scale, y: float) -> None:
    if row.kind == "interval":
        marks.hatched_range(canvas, scale, y, row.low, row.high)
    elif row.kind == "direction":
        marks.half_line(canvas, scale, y, row.low, row.high)
    elif row.estimate is None:
        left = scale.x(scale.null) + 0.07
        size = sizes("wide").small
        canvas.rectangle(
            left - 0.03, y - 0.06, left + text_width(NO_NUMBER, size) + 0.03, y + 0.06, face=PAPER, z=1.8
        )
        canvas.text(left, y, NO_NUMBER, size=size, color=MUTED)
    else:
        marks.interval(canvas, scale, y, row.low, row.high)
        share = 0.35 if row.weight_percent is None or not heaviest else row.weight_percent / heaviest
        if scale.covers(row.estimate):
            marks.square(canvas, scale.x(row.estimate), y, share=share)


def _draw_summary(summary: ForestSummary, color: str, canvas: Canvas, scale: Scale, y: float) -> None:
    if summary.prediction is not None:
        marks.prediction_bar(canvas, scale, y, *summary.prediction, color=color)
    marks.diamond(canvas, scale, y, summary.estimate, summary.low, summary.high, color=color)


def _limits(spec: ForestSpec) -> tuple[float, float]:
    drawn = [row for row in spec.rows if row.kind != "none"]
    pooled = [value for s in spec.summaries for value in (s.estimate, s.low, s.high, *(s.prediction or ()))]
    core = [*pooled, *(row.estimate for row in drawn if row.estimate is not None)]
    return limits(spec.scale, core=core, outer=[bound for row in drawn for bound in (row.low, row.high)])


def _keys(spec: ForestSpec) -> Iterable[Key]:
    kinds = {row.kind for row in spec.rows}
    weighted = any(row.weight_percent is not None for row in spec.rows)
    if "exact" in kinds:
        words = "estimate (area: weight) and 95% CI" if weighted else "estimate and 95% CI"
        yield Key(_key_exact, 0.34, words)
    if "interval" in kinds:
        yield Key(_key_range, 0.34, "size not reported: only known to lie in this range")
    if "direction" in kinds:
        yield Key(_key_direction, 0.34, "only known to lie beyond the tick")
    if spec.summaries:
        yield Key(_key_diamond, 0.26, "pooled, 95% CI")
    if any(s.prediction for s in spec.summaries):
        yield Key(_key_prediction, 0.30, "95% prediction interval")


def _key_exact(canvas: Canvas, x: float, y: float) -> None:
    canvas.line([(x, y), (x + 0.34, y)], color=ROW, width=1.0)
    marks.square(canvas, x + 0.17, y, share=0.4)


def _key_range(canvas: Canvas, x: float, y: float) -> None:
    marks.hatched_box(canvas, x, x + 0.34, y, half=0.045, color=MUTED)


def _key_direction(canvas: Canvas, x: float, y: float) -> None:
    marks.fading_arrow(canvas, x, x + 0.34, y, color=ROW)


def _key_diamond(canvas: Canvas, x: float, y: float) -> None:
    canvas.polygon([(x, y), (x + 0.13, y - 0.06), (x + 0.26, y), (x + 0.13, y + 0.06)], face=DRUG)


def _key_prediction(canvas: Canvas, x: float, y: float) -> None:
    canvas.rectangle(x, y - 0.018, x + 0.3, y + 0.018, face=mix(DRUG, 0.42))
