"""Influence of single trials on a pooled answer: deletion diagnostics as small multiples, and the Baujat plot.

Viechtbauer W, Cheung MWL. Res Synth Methods 2010;1:112-125. doi:10.1002/jrsm.11
Baujat B, Mahé C, Pignon JP, Hill C. Stat Med 2002;21:2641-2652. doi:10.1002/sim.1221
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from dualtrace.report.figures.canvas import Canvas, pitch, text_width, wrap
from dualtrace.report.figures.frame import LEFT, Frame, axes, padded
from dualtrace.report.figures.labels import names, numbers
from dualtrace.report.figures.legend import Key, footnote, heading, legend
from dualtrace.report.figures.scale import Scale
from dualtrace.report.figures.style import FAINT, GRID, INK, MUTED, PLACEBO, ROW, Width, mix, number, sizes
from dualtrace.report.words import listing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.figure import Figure

    from dualtrace.pooling.contract import Pooled
    from dualtrace.pooling.robustness.influence import Baujat, Influence
    from dualtrace.report.figures.style import Sizes

_ROW = 0.185  # inches per trial
_RADIUS = 0.04
_GAP = 0.16


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One panel: a value per trial.

    Attributes
    ----------
    name
        Title.
    values
        One per trial; NaN where the others do not determine the model.
    centre
        Value that says nothing special, from which the stems start.
    bounds
        Values beyond which a trial is remarkable.
    """

    name: str
    values: tuple[float, ...]
    centre: float
    bounds: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InfluenceSpec:
    """What the small multiples show.

    Attributes
    ----------
    title, footnote
        Words.
    labels, flagged
        Trials from top to bottom, and which of them are influential.
    panels
        Diagnostics from left to right.
    """

    title: str
    labels: tuple[str, ...]
    flagged: tuple[bool, ...]
    panels: tuple[Diagnostic, ...]
    footnote: str = ""

    def __post_init__(self) -> None:
        """Refuse columns of another length than the labels."""
        for name, column in (("flagged", self.flagged), *((p.name, p.values) for p in self.panels)):
            if len(column) != len(self.labels):
                raise ValueError(f"{name}: {len(self.labels)} trials need as many values; given {len(column)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BaujatSpec:
    """What a Baujat plot shows: per trial its share in heterogeneity, and how far it moves the answer."""

    title: str
    labels: tuple[str, ...]
    heterogeneity: tuple[float, ...]
    influence: tuple[float, ...]
    footnote: str = ""

    def __post_init__(self) -> None:
        """Refuse columns of different lengths."""
        lengths = {len(self.labels), len(self.heterogeneity), len(self.influence)}
        if len(lengths) > 1:
            raise ValueError(f"labels and both axes need the same length; given {sorted(lengths)}")


def influence_spec(found: Influence, fit: Pooled, *, title: str, footnote: str = "") -> InfluenceSpec:
    """Return the panels of computed deletion diagnostics.

    Parameters
    ----------
    found
        From ``robustness.influence.influence``.
    fit
        The fit of all rows, with the same estimator; gives τ² and Q to compare with.
    title, footnote
        Words.
    """
    k, p = found.dfbs.shape
    reach = 3.0 * (p / (k - p)) ** 0.5
    panels = (
        ("studentised\nresidual", found.rstudent, 0.0, (-1.96, 1.96)),
        ("DFFITS", found.dffits, 0.0, (-reach, reach)),
        ("Cook's\ndistance", found.cook_d, 0.0, ()),
        ("covariance\nratio", found.cov_r, 1.0, ()),
        ("τ² without", found.tau2_del, fit.tau2, ()),
        ("Q without", found.QE_del, fit.QE, ()),
        ("hat value", found.hat, p / k, (3.0 * p / k,)),
        ("weight (%)", found.weight, 100.0 / k, ()),
    )
    return InfluenceSpec(
        title=title,
        labels=found.slab,
        flagged=tuple(bool(flag) for flag in found.inf),
        panels=tuple(
            Diagnostic(name=name, values=tuple(values.tolist()), centre=centre, bounds=bounds)
            for name, values, centre, bounds in panels
        ),
        footnote=footnote,
    )


def baujat_spec(found: Baujat, *, title: str, footnote: str = "") -> BaujatSpec:
    """Return the plot of ``robustness.influence.baujat``; rows without which nothing is determined are left out."""
    kept = np.flatnonzero(np.isfinite(found.influence))
    return BaujatSpec(
        title=title,
        labels=tuple(found.slab[i] for i in kept),
        heterogeneity=tuple(found.heterogeneity[kept].tolist()),
        influence=tuple(found.influence[kept].tolist()),
        footnote=footnote,
    )


def influence(spec: InfluenceSpec, *, width: Width = "wide") -> Figure:
    """Draw the small multiples; trials run down, diagnostics across, in as many blocks as the width needs."""
    look = sizes(width)
    canvas = Canvas(look.width)
    y = heading(canvas, look.margin, spec.title, look=look)
    label = min(
        max([0.6, *(text_width(text, look.base, True) + 0.01 for text in spec.labels)]),
        1.7 if width == "wide" else 1.15,
    )
    per_block = 8 if width == "wide" else 2
    for start in range(0, len(spec.panels), per_block):
        y = _block(canvas, y, spec, spec.panels[start : start + per_block], label=label, look=look) + 0.1
    y = legend(canvas, y, tuple(_keys(spec)), look=look)
    y = footnote(canvas, y + 0.02, spec.footnote, look=look)
    return canvas.finish(y + look.margin)


def influence_alt(spec: InfluenceSpec) -> str:
    """Return one or two sentences that carry what the small multiples show."""
    flagged = [label for label, flag in zip(spec.labels, spec.flagged, strict=True) if flag]
    who = f"Influential: {listing(flagged)}." if flagged else "None is flagged as influential."
    names_ = listing(panel.name.replace("\n", " ") for panel in spec.panels)
    return (
        f"Influence plot, {spec.title}: how the pooled effect of D-cycloserine against placebo changes without "
        f"each of {len(spec.labels)} trials, as {names_}. {who}"
    )


def _block(
    canvas: Canvas, top: float, spec: InfluenceSpec, panels: Sequence[Diagnostic], *, label: float, look: Sizes
) -> float:
    lines = max(panel.name.count("\n") + 1 for panel in panels)
    body = top + lines * pitch(look.small) + 0.04
    rows, y = [], body + 0.05
    for text, flag in zip(spec.labels, spec.flagged, strict=True):
        words = wrap(text, width=label, size=look.base, bold=flag)
        canvas.lines_of_text(look.margin, y, words, size=look.base, bold=flag)
        rows.append(y + pitch(look.base) / 2)
        y += max(_ROW, len(words) * pitch(look.base) + 0.02)
    left = look.margin + label + _GAP
    each = (look.width - look.margin - left + _GAP) / len(panels)
    ends = [
        _panel(canvas, spec, panel, rows, (left + i * each, left + (i + 1) * each - _GAP), (body, y), look=look)
        for i, panel in enumerate(panels)
    ]
    return max(ends)


def _panel(
    canvas: Canvas,
    spec: InfluenceSpec,
    panel: Diagnostic,
    rows: Sequence[float],
    sides: tuple[float, float],
    heights: tuple[float, float],
    *,
    look: Sizes,
) -> float:
    body, bottom = heights
    known = [value for value in panel.values if isfinite(value)]
    scale = Scale("linear", *padded([panel.centre, *known], share=0.1), *sides)
    words = panel.name.split("\n")
    start = body - 0.04 - len(words) * pitch(look.small)
    canvas.lines_of_text(sum(sides) / 2, start, words, size=look.small, color=MUTED, bold=True, align="center")
    canvas.line([(sides[0], body), (sides[1], body)], color=GRID)
    for bound in panel.bounds:
        if scale.covers(bound):
            canvas.line([(scale.x(bound), body), (scale.x(bound), bottom)], color=PLACEBO, dashes=(3, 2.2), z=1.4)
    middle = scale.x(panel.centre)
    canvas.line([(middle, body), (middle, bottom)], color=FAINT, width=0.9, z=1.5)
    for y, value, flag in zip(rows, panel.values, spec.flagged, strict=True):
        if isfinite(value):
            canvas.line([(middle, y), (scale.x(value), y)], color=mix(ROW, 0.45), width=1.0)
            _dot(canvas, scale.x(value), y, flagged=flag)
    return _ticks(canvas, scale, bottom, known or [panel.centre], look=look)


def _ticks(canvas: Canvas, scale: Scale, y: float, known: Sequence[float], *, look: Sizes) -> float:
    """Draw an axis with two or three ticks; where no two round ones fit, the smallest and the largest value."""
    canvas.line([(scale.left, y), (scale.right, y)], color=MUTED)
    marks = scale.ticks(look.small)
    if len(marks) < 2:
        marks = tuple((value, number(value)) for value in (min(known), max(known)))
    shown = marks if len(marks) < 4 else marks[:: (len(marks) + 1) // 3]
    for value, text in shown:
        x, half = scale.x(value), text_width(text, look.small) / 2
        canvas.line([(x, y), (x, y + 0.03)], color=MUTED)
        x = min(max(x, scale.left - _GAP / 2 + half + 0.02), scale.right + _GAP / 2 - half - 0.02)
        canvas.text(x, y + 0.1, text, size=look.small, color=MUTED, align="center")
    return y + 0.19


def _dot(canvas: Canvas, x: float, y: float, *, flagged: bool) -> None:
    if flagged:
        r = 1.45 * _RADIUS
        canvas.polygon([(x, y - r), (x + r, y), (x, y + r), (x - r, y)], face=PLACEBO, z=4, role="influential")
    else:
        canvas.disc(x, y, _RADIUS, face=ROW, z=4)


def _keys(spec: InfluenceSpec) -> Iterator[Key]:
    yield Key(lambda canvas, x, y: _dot(canvas, x + 0.06, y, flagged=False), 0.12, "trial")
    if any(spec.flagged):
        yield Key(lambda canvas, x, y: _dot(canvas, x + 0.06, y, flagged=True), 0.12, "influential by a usual rule")
    yield Key(
        lambda canvas, x, y: canvas.line([(x + 0.06, y - 0.06), (x + 0.06, y + 0.06)], color=FAINT, width=0.9),
        0.12,
        "value with all trials, or of a trial like the others",
    )
    if any(panel.bounds for panel in spec.panels):
        yield Key(
            lambda canvas, x, y: canvas.line(
                [(x + 0.06, y - 0.07), (x + 0.06, y + 0.07)], color=PLACEBO, dashes=(3, 2.2)
            ),
            0.12,
            "usual bound (drawn where it lies within the panel)",
        )


def baujat(spec: BaujatSpec, *, width: Width = "wide") -> Figure:
    """Draw the Baujat plot."""
    look = sizes(width)
    canvas = Canvas(look.width)
    top = heading(canvas, look.margin, spec.title, look=look) + 0.04
    across = Scale(
        "linear",
        *padded([0.0, *spec.heterogeneity], floor=0.0),
        look.margin + LEFT + 0.05,
        look.width - look.margin - 0.05,
    )
    up = Scale("linear", *padded([0.0, *spec.influence], floor=0.0), top + (3.0 if width == "narrow" else 3.8), top)
    frame = Frame(across, up)
    y = axes(canvas, frame, labels=("contribution to heterogeneity", "influence on the pooled effect"), look=look)
    centres = frame.curve(spec.heterogeneity, spec.influence)
    for x, height in centres:
        canvas.disc(x, height, 0.048, face=ROW, edge=INK, width=0.5, z=4)
    numbered = names(canvas, centres, spec.labels, look=look, radius=0.062, inside=frame.inside)
    y = numbers(canvas, y + 0.06, numbered, look=look)
    y = footnote(canvas, y + 0.02, spec.footnote, look=look)
    return canvas.finish(y + look.margin)


def baujat_alt(spec: BaujatSpec) -> str:
    """Return one or two sentences that carry what the Baujat plot shows."""
    order = sorted(range(len(spec.labels)), key=lambda i: -spec.influence[i])
    most = f" {spec.labels[order[0]]} moves the answer most." if order else ""
    return (
        f"Baujat plot, {spec.title}: {len(spec.labels)} trials of D-cycloserine against placebo by contribution "
        f"to heterogeneity and influence on the pooled effect.{most}"
    )
