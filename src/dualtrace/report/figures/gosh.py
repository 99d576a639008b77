"""GOSH plot: heterogeneity against the pooled effect of every subset of the trials, with both distributions.

Olkin I, Dahabreh IJ, Trikalinos TA. Res Synth Methods 2012;3:214-223. doi:10.1002/jrsm.1053
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from dualtrace.report.figures.canvas import Canvas
from dualtrace.report.figures.frame import LEFT, Frame, axes
from dualtrace.report.figures.legend import Key, footnote, heading, legend
from dualtrace.report.figures.scale import Scale
from dualtrace.report.figures.style import DRUG, INK, PLACEBO, Width, mix, number, sizes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from dualtrace.pooling.robustness.gosh import Gosh

_ACROSS, _UP = 72, 48  # cells
_MARGINAL = 0.42  # inches
_SHADES = tuple(0.12 + 0.88 * (i + 1) / 6 for i in range(6))


@dataclass(frozen=True, slots=True, kw_only=True)
class GoshSpec:
    """What a GOSH plot shows.

    Attributes
    ----------
    title, axis_label, sides, footnote
        Words.
    effects, i2
        Pooled effect and I² (percent) of each subset.
    marked
        Subsets without a trial of interest, drawn as a second histogram; None for none.
    marked_label
        Who that trial is.
    """

    title: str
    effects: NDArray[np.float64]
    i2: NDArray[np.float64]
    marked: NDArray[np.bool_] | None = None
    marked_label: str = ""
    axis_label: str = "pooled effect (standardised mean difference)"
    sides: tuple[str, str] = ("favours placebo", "favours D-cycloserine")
    footnote: str = ""

    def __post_init__(self) -> None:
        """Refuse columns of different lengths, and nothing."""
        lengths = {len(self.effects), len(self.i2), len(self.i2 if self.marked is None else self.marked)}
        if len(lengths) > 1 or not len(self.effects):
            raise ValueError(f"effects, i2 and marked need one same length above 0; given {sorted(lengths)}")


def gosh_spec(found: Gosh, *, title: str, without: str | None = None, footnote: str = "") -> GoshSpec:
    """Return the plot of ``robustness.gosh.gosh``; subsets that determine nothing are left out.

    Parameters
    ----------
    found
        Fits to subsets of two trials or more are drawn: a single trial has no heterogeneity.
    title, footnote
        Words.
    without
        Label of a trial; the subsets that lack it are marked.
    """
    kept = np.isfinite(found.beta[:, 0]) & (found.k > 1)
    marked = None if without is None else ~found.rows[kept, found.slab.index(without)]
    return GoshSpec(
        title=title,
        effects=found.beta[kept, 0],
        i2=found.I2[kept],
        marked=marked,
        marked_label=without or "",
        footnote=footnote,
    )


def gosh(spec: GoshSpec, *, width: Width = "wide") -> Figure:
    """Draw the cloud as shaded cells, its two distributions beside it."""
    look = sizes(width)
    canvas = Canvas(look.width)
    top = heading(canvas, look.margin, spec.title, look=look) + _MARGINAL + 0.06
    low, high = _limits(spec)
    right = look.width - look.margin - _MARGINAL - 0.1
    across = Scale("linear", low, high, look.margin + LEFT + 0.05, right)
    frame = Frame(across, Scale("linear", 0.0, 100.0, top + (2.7 if width == "narrow" else 3.6), top))
    y = axes(
        canvas,
        frame,
        labels=(spec.axis_label, "I² (%)"),
        look=look,
        sides=spec.sides,
    )
    _cloud(canvas, frame, spec)
    _beside(canvas, frame, spec)
    y = legend(canvas, y + 0.08, tuple(_keys(spec)), look=look)
    y = footnote(canvas, y + 0.02, spec.footnote, look=look)
    return canvas.finish(y + look.margin)


def gosh_alt(spec: GoshSpec) -> str:
    """Return one or two sentences that carry what the GOSH plot shows."""
    low, middle, high = np.quantile(spec.effects, [0.025, 0.5, 0.975]).tolist()
    text = (
        f"GOSH plot, {spec.title}: {len(spec.effects):,} subsets of the trials of D-cycloserine against placebo; the "
        f"pooled effect has a median of {number(middle)}, and 95% of subsets lie between {number(low)} and "
        f"{number(high)}. I² has a median of {np.median(spec.i2):.0f}%."
    )
    if spec.marked is not None and spec.marked.any():
        own = float(np.median(spec.effects[spec.marked]))
        text += f" Without {spec.marked_label} the median effect is {number(own)}."
    return text


def _limits(spec: GoshSpec) -> tuple[float, float]:
    low, high = min(0.0, float(spec.effects.min())), max(0.0, float(spec.effects.max()))
    span = high - low or 1.0
    return low - 0.04 * span, high + 0.04 * span


def counts(spec: GoshSpec) -> NDArray[np.float64]:
    """Return how many subsets fall into each cell of the cloud, (across, up)."""
    found = np.histogram2d(spec.effects, spec.i2, bins=(_ACROSS, _UP), range=(_limits(spec), (0.0, 100.0)))[0]
    return np.asarray(found, dtype=np.float64)


def _cloud(canvas: Canvas, frame: Frame, spec: GoshSpec) -> None:
    cells, box = counts(spec), frame.box
    wide, tall = (box.right - box.left) / _ACROSS, (box.bottom - box.top) / _UP
    most = np.log1p(cells.max())
    segments, colors = [], []
    for i, j in zip(*np.nonzero(cells), strict=True):
        y = box.bottom - (j + 0.5) * tall
        segments.append([(box.left + i * wide, y), (box.left + (i + 1) * wide, y)])
        step = min(int(np.log1p(cells[i, j]) / most * len(_SHADES)), len(_SHADES) - 1)
        colors.append(mix(DRUG, _SHADES[step]))
    canvas.segments(segments, colors=colors, width=tall * 72.0 + 0.3, z=2.2)


def _beside(canvas: Canvas, frame: Frame, spec: GoshSpec) -> None:
    """Draw the distribution of the effect above the cloud and that of I² at its right."""
    box, marked = frame.box, spec.marked
    for values, bins, ends, upright in (
        (spec.effects, _ACROSS, _limits(spec), False),
        (spec.i2, _UP, (0.0, 100.0), True),
    ):
        every = np.histogram(values, bins=bins, range=ends)[0]
        parts = [(every, mix(DRUG, 0.45))]
        if marked is not None:
            parts.append((np.histogram(values[marked], bins=bins, range=ends)[0], PLACEBO))
        for found, color in parts:
            heights = found / max(every.max(), 1) * _MARGINAL
            if upright:
                step = (box.bottom - box.top) / bins
                start = box.right + 0.05
                lines = [
                    [(start, box.bottom - (i + 0.5) * step), (start + h, box.bottom - (i + 0.5) * step)]
                    for i, h in enumerate(heights)
                ]
            else:
                step = (box.right - box.left) / bins
                start = box.top - 0.05
                lines = [
                    [(box.left + (i + 0.5) * step, start), (box.left + (i + 0.5) * step, start - h)]
                    for i, h in enumerate(heights)
                ]
            share = 1.0 if color != PLACEBO else 0.45
            canvas.segments(lines, colors=[color] * len(lines), width=step * 72.0 * share, z=2.4)
    middle = frame.across.x(float(np.median(spec.effects)))
    canvas.line(
        [(middle, box.top - 0.05 - _MARGINAL), (middle, box.bottom)], color=INK, width=0.9, dashes=(3, 2), z=3
    )


def _keys(spec: GoshSpec) -> Iterator[Key]:
    yield Key(_key_shades, 0.48, "few to many subsets (logarithmic)")
    yield Key(_key_median, 0.12, "median effect")
    if spec.marked is not None:
        yield Key(partial(_key_bar, PLACEBO), 0.14, f"subsets without {spec.marked_label}")


def _key_shades(canvas: Canvas, x: float, y: float) -> None:
    for i, share in enumerate(_SHADES):
        canvas.rectangle(x + 0.08 * i, y - 0.05, x + 0.08 * (i + 1), y + 0.05, face=mix(DRUG, share))


def _key_median(canvas: Canvas, x: float, y: float) -> None:
    canvas.line([(x + 0.06, y - 0.07), (x + 0.06, y + 0.07)], color=INK, width=0.9, dashes=(3, 2))


def _key_bar(color: str, canvas: Canvas, x: float, y: float) -> None:
    canvas.rectangle(x, y - 0.05, x + 0.14, y + 0.05, face=color)
