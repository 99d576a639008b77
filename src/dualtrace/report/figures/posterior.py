"""Prior and posterior of the mean effect and of its spread: densities with their intervals, other priors as lines.

Röver C. J Stat Softw 2020;93(6):1-51. doi:10.18637/jss.v093.i06
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import CubicSpline

from dualtrace.pooling.bayesian.distribution import TauPosterior
from dualtrace.report.figures import marks
from dualtrace.report.figures.canvas import Canvas, pitch
from dualtrace.report.figures.frame import Frame
from dualtrace.report.figures.legend import Key, footnote, heading, legend
from dualtrace.report.figures.scale import Scale
from dualtrace.report.figures.style import DRUG, INK, MUTED, PLACEBO, Width, mix, sizes, with_interval

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.figure import Figure

    from dualtrace.pooling.bayesian.contract import Posterior, Summary
    from dualtrace.pooling.bayesian.distribution import Distribution
    from dualtrace.report.figures.style import Sizes

_POINTS = 161
_KNOTS = 41
_ZERO = 1e-4  # of the axis: where the density of τ is taken in place of 0, where some priors have none


@dataclass(frozen=True, slots=True, kw_only=True)
class DensityCurve:
    """A density over the grid of its panel; ``name`` may be empty for an unnamed one."""

    name: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DensityPanel:
    """One quantity.

    Attributes
    ----------
    label
        Of its axis.
    grid, posterior, prior
        Values of the quantity and densities there; ``prior`` empty where it is flat or not drawn.
    others
        Posteriors from other rows or under other priors, drawn as lines.
    estimate, low, high
        Posterior median and interval.
    sides
        What the two sides of no effect favour; None for a quantity without sides.
    """

    label: str
    grid: tuple[float, ...]
    posterior: tuple[float, ...]
    prior: tuple[float, ...] = ()
    others: tuple[DensityCurve, ...] = ()
    estimate: float
    low: float
    high: float
    sides: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        """Refuse curves that do not fit the grid."""
        for curve in (
            self.posterior,
            *(other.values for other in self.others),
            *((self.prior,) if self.prior else ()),
        ):
            if len(curve) != len(self.grid) or len(self.grid) < 2:
                raise ValueError(f"{self.label}: {len(self.grid)} places need as many densities; given {len(curve)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PosteriorSpec:
    """What the figure shows: ``posterior`` and ``prior`` name the filled and the dashed curve of every panel."""

    title: str
    panels: tuple[DensityPanel, ...]
    posterior: str = "posterior"
    prior: str = "prior"
    footnote: str = ""


def posterior_spec(
    fit: Posterior,
    *,
    title: str,
    others: Sequence[tuple[str, Posterior]] = (),
    name: str = "posterior",
    axis_label: str = "mean effect (standardised mean difference)",
    sides: tuple[str, str] = ("favours placebo", "favours D-cycloserine"),
    footnote: str = "",
) -> PosteriorSpec:
    """Return the panels of a posterior by quadrature: the mean effect, and τ.

    Parameters
    ----------
    fit
        From ``bayesian.fit``; drawn filled.
    title, name, axis_label, sides, footnote
        Words; ``name`` is that of the filled curves.
    others
        Named posteriors to compare, drawn as lines.
    """
    found = [fit, *(other for _, other in others)]
    ends = [f.mu.quantile(p) for f in found for p in (0.002, 0.998)]
    means = np.linspace(min(0.0, *ends), max(0.0, *ends), _POINTS)
    taus = np.linspace(0.0, max(f.tau.quantile(0.99) for f in found), _POINTS)
    flat = fit.mean_prior.is_flat
    return PosteriorSpec(
        title=title,
        panels=(
            _density(
                axis_label,
                means,
                fit.mu,
                fit.mu_summary,
                prior=() if flat else tuple(fit.mean_prior.density(means).tolist()),
                others=[(name, other.mu) for name, other in others],
                sides=sides,
            ),
            _density(
                "τ, standard deviation between trials",
                taus,
                fit.tau,
                fit.tau_summary,
                prior=tuple(fit.tau_prior.density(np.maximum(taus, _ZERO * taus[-1])).tolist()),
                others=[(name, other.tau) for name, other in others],
            ),
        ),
        posterior=name,
        prior=f"prior (τ: {fit.tau_prior}; mean: {fit.mean_prior})",
        footnote=footnote,
    )


def _density(
    label: str,
    grid: np.ndarray,
    of: Distribution,
    summary: Summary,
    *,
    prior: tuple[float, ...],
    others: Sequence[tuple[str, Distribution]],
    sides: tuple[str, str] | None = None,
) -> DensityPanel:
    return DensityPanel(
        label=label,
        grid=tuple(grid.tolist()),
        posterior=_values(of, grid),
        prior=prior,
        others=tuple(DensityCurve(name=name, values=_values(other, grid)) for name, other in others),
        estimate=summary.median,
        low=summary.ci_lb,
        high=summary.ci_ub,
        sides=sides,
    )


def _values(of: Distribution, grid: np.ndarray) -> tuple[float, ...]:
    """Return the density on the grid: computed at some places, a cubic spline between them."""
    knots = np.linspace(grid[0], grid[-1], _KNOTS)
    if isinstance(of, TauPosterior):
        at = np.exp(of.log_density(np.log(np.maximum(knots, _ZERO * grid[-1]))))
    else:
        at = np.array([of.density(float(x)) for x in knots])
    found: list[float] = np.maximum(CubicSpline(knots, at)(grid), 0.0).tolist()
    return tuple(found)


def posterior(spec: PosteriorSpec, *, width: Width = "wide") -> Figure:
    """Draw the panels, side by side where there is room."""
    look = sizes(width)
    canvas = Canvas(look.width)
    top = heading(canvas, look.margin, spec.title, look=look)
    across = 1 if width == "narrow" else max(1, len(spec.panels))
    each = (look.width - 2 * look.margin + 0.3) / across
    bottom = top
    for i, panel in enumerate(spec.panels):
        left = look.margin + (i % across) * each
        start = bottom + 0.12 if across == 1 and i else top
        bottom = max(bottom, _panel(canvas, start, panel, (left + 0.05, left + each - 0.35), look=look))
    y = legend(canvas, bottom + 0.08, tuple(_keys(spec)), look=look)
    y = footnote(canvas, y + 0.02, spec.footnote, look=look)
    return canvas.finish(y + look.margin)


def alt(spec: PosteriorSpec) -> str:
    """Return one or two sentences that carry what the densities show."""
    said = "; ".join(f"{p.label}: {with_interval(p.estimate, p.low, p.high)}" for p in spec.panels)
    return (
        f"Prior and posterior densities of the effect of D-cycloserine against placebo, {spec.title}. "
        f"Medians with 95% credible intervals: {said}."
    )


def _panel(canvas: Canvas, top: float, panel: DensityPanel, sides: tuple[float, float], *, look: Sizes) -> float:
    values = [v for curve in (panel.posterior, *(o.values for o in panel.others)) for v in curve]
    highest = 1.08 * max(values)
    text = with_interval(panel.estimate, panel.low, panel.high)
    canvas.text(sum(sides) / 2, top + pitch(look.small) / 2, text, size=look.small, bold=True, align="center")
    top += pitch(look.small) + 0.05
    frame = Frame(
        Scale("linear", panel.grid[0], panel.grid[-1], *sides), Scale("linear", 0.0, highest, top + 2.1, top)
    )
    marks.grid(canvas, frame.across, top, top + 2.1, size=look.small)
    _area(canvas, frame, panel, (panel.grid[0], panel.grid[-1]), mix(DRUG, 0.14))
    _area(canvas, frame, panel, (panel.low, panel.high), mix(DRUG, 0.32))
    canvas.line(frame.curve(panel.grid, panel.posterior), color=DRUG, width=1.4, z=3)
    for i, other in enumerate(panel.others):
        canvas.line(frame.curve(panel.grid, other.values), color=_color(i), width=1.2, dashes=_dashes(i), z=3)
    if panel.prior:
        within = [(x, y) for x, y in zip(panel.grid, panel.prior, strict=True) if y <= highest]
        canvas.line([frame.at(x, y) for x, y in within], color=MUTED, width=1.1, dashes=(4, 2.4), z=2.5)
    median = np.interp(panel.estimate, panel.grid, panel.posterior)
    foot, tip = frame.at(panel.estimate, 0.0), frame.at(panel.estimate, float(median))
    canvas.line([foot, tip], color=DRUG, width=1.0, z=3)
    return marks.axis(canvas, frame.across, top + 2.1, label=panel.label, sides=panel.sides, look=look)


def _area(canvas: Canvas, frame: Frame, panel: DensityPanel, ends: tuple[float, float], color: str) -> None:
    low, high = max(ends[0], panel.grid[0]), min(ends[1], panel.grid[-1])
    inner = [x for x in panel.grid if low < x < high]
    places = [low, *inner, high]
    heights = np.interp(places, panel.grid, panel.posterior).tolist()
    shape = [frame.at(low, 0.0), *frame.curve(places, heights), frame.at(high, 0.0)]
    canvas.polygon(shape, face=color, z=1.2 if color == mix(DRUG, 0.14) else 1.3)


def _color(i: int) -> str:
    return (PLACEBO, INK, "#00805f", "#8d4a83")[i % 4]


def _dashes(i: int) -> tuple[float, float] | None:
    return (None, (5.0, 1.6), (1.2, 1.6), (7.0, 3.0))[i % 4]


def _keys(spec: PosteriorSpec) -> Iterator[Key]:
    yield Key(_key_posterior, 0.34, f"{spec.posterior}; darker: 95% interval, line: median")
    for i, other in enumerate(spec.panels[0].others if spec.panels else ()):
        yield Key(partial(_key_line, _color(i), _dashes(i)), 0.34, other.name)
    if any(panel.prior for panel in spec.panels):
        yield Key(partial(_key_line, MUTED, (4, 2.4)), 0.34, spec.prior)


def _key_posterior(canvas: Canvas, x: float, y: float) -> None:
    canvas.rectangle(x, y - 0.05, x + 0.34, y + 0.05, face=mix(DRUG, 0.14))
    canvas.rectangle(x + 0.08, y - 0.05, x + 0.26, y + 0.05, face=mix(DRUG, 0.32), z=3.1)
    canvas.line([(x + 0.17, y - 0.05), (x + 0.17, y + 0.05)], color=DRUG, z=3.2)


def _key_line(color: str, dashes: tuple[float, float] | None, canvas: Canvas, x: float, y: float) -> None:
    canvas.line([(x, y), (x + 0.34, y)], color=color, width=1.2, dashes=dashes)
