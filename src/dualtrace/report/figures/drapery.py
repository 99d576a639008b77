"""Drapery plot: the p value of every effect one might hypothesise, one curve per trial, pooled and predicted.

Rücker G, Schwarzer G. Res Synth Methods 2021;12. doi:10.1002/jrsm.1410
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from dualtrace.report.figures.canvas import Canvas
from dualtrace.report.figures.frame import LEFT, Frame, axes
from dualtrace.report.figures.legend import Key, footnote, heading, legend
from dualtrace.report.figures.scale import Scale
from dualtrace.report.figures.style import DRUG, FAINT, INK, MUTED, Width, mix, number, sizes, with_interval

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

    from dualtrace.pooling.robustness.drapery import Drapery

_LEVEL = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class DraperySpec:
    """What a drapery plot shows.

    Attributes
    ----------
    title, axis_label, sides, footnote
        Words.
    effect
        Hypothesised effects, rising.
    rows, pooled, prediction
        p values there: of each trial, of the pooled effect, of a new trial's effect (empty for none).
    estimate, low, high
        The pooled effect and its interval, for the words.
    """

    title: str
    effect: tuple[float, ...]
    rows: tuple[tuple[float, ...], ...]
    pooled: tuple[float, ...]
    prediction: tuple[float, ...] = ()
    estimate: float
    low: float
    high: float
    axis_label: str = "hypothesised effect (standardised mean difference)"
    sides: tuple[str, str] = ("favours placebo", "favours D-cycloserine")
    footnote: str = ""

    def __post_init__(self) -> None:
        """Refuse curves that do not fit the grid."""
        for curve in (*self.rows, self.pooled, *((self.prediction,) if self.prediction else ())):
            if len(curve) != len(self.effect) or len(self.effect) < 2:
                raise ValueError(f"{len(self.effect)} effects need as many p values; given {len(curve)}")


def drapery_spec(found: Drapery, *, title: str, footnote: str = "") -> DraperySpec:
    """Return the plot of ``robustness.drapery.drapery``."""
    return DraperySpec(
        title=title,
        effect=tuple(found.effect.tolist()),
        rows=tuple(tuple(row) for row in found.rows.tolist()),
        pooled=tuple(found.pooled.tolist()),
        prediction=tuple(found.prediction.tolist()) if np.isfinite(found.prediction).all() else (),
        estimate=float(found.fit.beta[0]),
        low=float(found.fit.ci_lb[0]),
        high=float(found.fit.ci_ub[0]),
        footnote=footnote,
    )


def drapery(spec: DraperySpec, *, width: Width = "wide") -> Figure:
    """Draw the curves."""
    look = sizes(width)
    canvas = Canvas(look.width)
    top = heading(canvas, look.margin, spec.title, look=look) + 0.05
    across = Scale(
        "linear", spec.effect[0], spec.effect[-1], look.margin + LEFT + 0.05, look.width - look.margin - 0.05
    )
    frame = Frame(across, Scale("linear", 0.0, 1.0, top + (2.9 if width == "narrow" else 3.7), top))
    y = axes(
        canvas,
        frame,
        labels=(spec.axis_label, "two-sided p value"),
        look=look,
        sides=spec.sides,
    )
    level = frame.up.x(_LEVEL)
    canvas.line([(frame.box.left, level), (frame.box.right, level)], color=FAINT, width=0.9, dashes=(3, 2.2), z=1.6)
    curves = [frame.curve(spec.effect, row) for row in spec.rows]
    canvas.segments(curves, colors=[mix(MUTED, 0.55)] * len(curves), width=0.8, z=2)
    if spec.prediction:
        canvas.line(frame.curve(spec.effect, spec.prediction), color=INK, width=1.2, dashes=(4, 2), z=3)
    canvas.line(frame.curve(spec.effect, spec.pooled), color=DRUG, width=2.0, z=3.5)
    y = legend(canvas, y + 0.08, tuple(_keys(spec)), look=look)
    y = footnote(canvas, y + 0.02, spec.footnote, look=look)
    return canvas.finish(y + look.margin)


def drapery_alt(spec: DraperySpec) -> str:
    """Return one or two sentences that carry what the drapery plot shows."""
    at_null = float(np.interp(0.0, spec.effect, spec.pooled))
    pooled = with_interval(spec.estimate, spec.low, spec.high)
    end = f" The p value of no effect is {number(at_null, 3)}." if isfinite(at_null) else ""
    return (
        f"Drapery plot, {spec.title}: the p value of every hypothesised effect of D-cycloserine against placebo, one "
        f"curve for each of {len(spec.rows)} trials and one for the pooled effect, {pooled}.{end}"
    )


def _keys(spec: DraperySpec) -> Iterator[Key]:
    yield Key(partial(_key, mix(MUTED, 0.55), 0.8, None), 0.34, "one trial")
    yield Key(partial(_key, DRUG, 2.0, None), 0.34, "pooled effect")
    if spec.prediction:
        yield Key(partial(_key, INK, 1.2, (4.0, 2.0)), 0.34, "effect of a new trial")
    yield Key(
        partial(_key, FAINT, 0.9, (3.0, 2.2)), 0.34, "p = .05: a curve crosses it at the ends of its 95% interval"
    )


def _key(color: str, thick: float, dashes: tuple[float, float] | None, canvas: Canvas, x: float, y: float) -> None:
    canvas.line([(x, y), (x + 0.34, y)], color=color, width=thick, dashes=dashes)
