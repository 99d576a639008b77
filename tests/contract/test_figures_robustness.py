"""Figures of robustness and bias: marks stand where the fits say, words fit the sheet, what cannot be drawn is refused."""

from __future__ import annotations

import re
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.patches import Ellipse, Polygon
from matplotlib.text import Text

from dualtrace.pooling import bayesian, univariate
from dualtrace.pooling.robustness import drapery as draped
from dualtrace.pooling.robustness import gosh as subsets
from dualtrace.pooling.robustness import influence as deletion
from dualtrace.pooling.robustness import leave_out
from dualtrace.pooling.small_study.funnel import contour_funnel
from dualtrace.pooling.small_study.trim_and_fill import trim_and_fill
from dualtrace.report.figures import drapery, forest, funnel, gosh, influence, posterior, refits
from dualtrace.report.figures.frame import Frame
from dualtrace.report.figures.save import svg
from dualtrace.report.figures.scale import Scale
from dualtrace.report.figures.style import with_interval

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from dualtrace.report.figures.style import Width

Y = np.array([0.1, 0.7, -0.7, 1.3, 1.8, 0.2, 0.9])
V = np.array([0.02, 0.14, 0.07, 0.3, 0.35, 0.05, 0.06])
SLAB = ("A 2001", "B 2002", "C 2003", "D 2004", "E 2005", "F 2006", "G, Study of a Long Name 2007")
DPI = 200
SLACK = 0.012

Picture = tuple[Any, "Callable[..., Figure]", "Callable[[Any], str]"]


def _pictures() -> dict[str, Picture]:
    ranges = [funnel.FunnelRange(label="W", low=-0.6, high=0.6, se=0.3)]
    fit = bayesian.fit(Y, V)
    others = [("wider prior", bayesian.fit(Y, V, tau_prior=bayesian.half_cauchy(1.0)))]
    filled = trim_and_fill(Y, V)
    fits = leave_out.leave_one_out(Y, V, slab=SLAB)
    whole = univariate.fit(Y, V)
    return {
        "funnel": (
            funnel.funnel_spec(contour_funnel(Y, V, slab=SLAB), title="t", filled=filled, ranges=ranges),
            funnel.funnel,
            funnel.alt,
        ),
        "influence": (
            influence.influence_spec(deletion.influence(Y, V, slab=SLAB), whole, title="t"),
            influence.influence,
            influence.influence_alt,
        ),
        "baujat": (
            influence.baujat_spec(deletion.baujat(Y, V, slab=SLAB), title="t"),
            influence.baujat,
            influence.baujat_alt,
        ),
        "refits": (
            refits.refit_spec([("", fits)], whole, title="t", header="Left out"),
            forest.forest,
            refits.refit_alt,
        ),
        "posterior": (posterior.posterior_spec(fit, title="t", others=others), posterior.posterior, posterior.alt),
        "gosh": (
            gosh.gosh_spec(subsets.gosh(Y, V, slab=SLAB), title="t", without="C 2003"),
            gosh.gosh,
            gosh.gosh_alt,
        ),
        "drapery": (drapery.drapery_spec(draped.drapery(Y, V), title="t"), drapery.drapery, drapery.drapery_alt),
    }


PICTURES = _pictures()
every = pytest.mark.parametrize("name", PICTURES)
every_width = pytest.mark.parametrize("width", ["wide", "narrow"])


def _discs(figure: Figure) -> list[tuple[float, float]]:
    """Return the places of discs in inches from the upper left corner."""
    return [tuple(np.asarray(patch.get_center()).tolist()) for patch in figure.findobj(Ellipse)]


@every
@every_width
def test_contract_no_text_overlaps_another_or_leaves_the_sheet(name: str, width: Width) -> None:
    spec, draw, _ = PICTURES[name]
    figure = draw(spec, width=width)
    figure.dpi = DPI
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]  # matplotlib has no types here
    texts = [text for text in figure.findobj(Text) if text.get_text()]
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts]
    across, tall = figure.get_size_inches() * DPI
    slack = SLACK * DPI
    outside = [t for t, b in boxes if b.x0 < -slack or b.y0 < -slack or b.x1 > across + slack or b.y1 > tall + slack]
    assert outside == []
    overlapping = [
        (t, u)
        for (t, a), (u, b) in combinations(boxes, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > slack and min(a.y1, b.y1) - max(a.y0, b.y0) > slack
    ]
    assert overlapping == []
    assert min(float(text.get_fontsize()) for text in texts) >= 7.5


@every
def test_contract_drawn_the_same_twice_with_words_that_carry_it(name: str) -> None:
    spec, draw, alt = PICTURES[name]
    assert svg(draw(spec)) == svg(draw(spec))
    assert "D-cycloserine" in alt(spec)
    assert "placebo" in alt(spec)
    assert alt(spec).endswith(".")


def _proportional(drawn: np.ndarray, wanted: np.ndarray) -> None:
    """Places are a linear function of the numbers they stand for."""
    slope, start = np.polyfit(wanted, drawn, 1)
    assert slope != 0.0
    assert drawn == pytest.approx(start + slope * wanted, abs=1e-6)


@every_width
def test_contract_points_of_the_funnel_stand_at_effect_and_standard_error(width: Width) -> None:
    found, filled = contour_funnel(Y, V, slab=SLAB), trim_and_fill(Y, V)
    spec = PICTURES["funnel"][0]
    places = np.array(_discs(funnel.funnel(spec, width=width)))[: len(spec.points)]
    _proportional(places[:, 0], np.concatenate([found.yi, filled.yi[filled.fill]]))
    _proportional(places[:, 1], np.concatenate([found.sei, np.sqrt(filled.vi[filled.fill])]))
    assert sum(point.filled for point in spec.points) == filled.k0
    assert spec.mean == found.mean
    assert spec.line is not None
    intercept, slope = spec.line
    assert intercept + slope * found.se_grid == pytest.approx(found.line)


def test_law_contours_of_the_funnel_pass_through_its_apex_and_the_numbers_of_the_fit() -> None:
    found = contour_funnel(Y, V)
    figure = funnel.funnel(PICTURES["funnel"][0])
    wedges = [patch for patch in figure.findobj(Polygon) if patch.get_label() == "contour"]
    assert len(wedges) == len(found.levels)
    drawn = np.array(_discs(figure))[: len(Y)]
    (a, x0), (b, y0) = np.polyfit(found.yi, drawn[:, 0], 1), np.polyfit(found.sei, drawn[:, 1], 1)
    for level, wedge in zip(reversed(found.levels), wedges, strict=True):
        apex, corner = wedge.get_xy()[0], wedge.get_xy()[1]
        assert apex == pytest.approx([x0, y0], abs=1e-6)
        effect, se = (corner[0] - x0) / a, (corner[1] - y0) / b
        z = found.contour_ub[found.levels.index(level)][-1] / found.se_grid[-1]
        assert effect / se == pytest.approx(z, rel=1e-6)


def test_contract_influence_panels_hold_the_numbers_of_the_fit() -> None:
    found = deletion.influence(Y, V, slab=SLAB)
    spec = PICTURES["influence"][0]
    wanted = (found.rstudent, found.dffits, found.cook_d, found.cov_r, found.tau2_del, found.QE_del, found.hat)
    for panel, values in zip(spec.panels, (*wanted, found.weight), strict=True):
        assert panel.values == tuple(values)
    assert spec.flagged == tuple(found.inf)
    figure = influence.influence(spec)
    flagged = [p for p in figure.findobj(Polygon) if p.get_label() == "influential"]
    of_the_key = 1 + any(spec.flagged)
    assert len(_discs(figure)) + len(flagged) - of_the_key == len(spec.panels) * len(Y)


def test_contract_baujat_points_stand_at_heterogeneity_and_influence() -> None:
    found = deletion.baujat(Y, V, slab=SLAB)
    places = np.array(_discs(influence.baujat(PICTURES["baujat"][0])))
    _proportional(places[:, 0], found.heterogeneity)
    _proportional(places[:, 1], found.influence)


def test_contract_refits_are_rows_with_their_numbers_and_ratios_are_ratios() -> None:
    fits = leave_out.cumulative(Y, V, slab=SLAB, order=range(len(Y)), test="knha")
    spec = refits.refit_spec([("", fits)], None, title="t", header="Up to", ratio=True)
    assert [row.label for row in spec.rows] == list(fits.slab)
    for i, row in enumerate(spec.rows):
        values = np.exp([fits.beta[i, 0], fits.ci_lb[i, 0], fits.ci_ub[i, 0]])
        assert [row.estimate, row.low, row.high] == pytest.approx(values.tolist())
        assert row.columns[2] == with_interval(*values)
    assert spec.scale == "log"


def test_contract_densities_are_those_of_the_posterior() -> None:
    fit = bayesian.fit(Y, V)
    mean, spread = PICTURES["posterior"][0].panels
    for panel, of, summary in ((mean, fit.mu, fit.mu_summary), (spread, fit.tau, fit.tau_summary)):
        at = [5, 40, 77, 120]
        wanted = [of.density(panel.grid[i]) for i in at]
        assert [panel.posterior[i] for i in at] == pytest.approx(wanted, rel=0.01, abs=2e-3)
        assert (panel.estimate, panel.low, panel.high) == (summary.median, summary.ci_lb, summary.ci_ub)
    assert mean.prior == ()
    assert spread.prior[80] == pytest.approx(float(fit.tau_prior.density(spread.grid[80])))


def test_law_every_subset_of_two_trials_or_more_is_in_the_cloud() -> None:
    spec = PICTURES["gosh"][0]
    assert len(spec.effects) == 2 ** len(Y) - 1 - len(Y)
    assert gosh.counts(spec).sum() == len(spec.effects)
    assert spec.marked.sum() == 2 ** (len(Y) - 1) - 1 - (len(Y) - 1)


def test_contract_the_pooled_curve_is_drawn_where_its_p_values_are() -> None:
    found = draped.drapery(Y, V)
    lines = drapery.drapery(PICTURES["drapery"][0]).findobj(LineCollection)
    curve = next(line for line in lines if np.isclose(line.get_linewidth(), 2.0).all()).get_segments()[0]
    _proportional(curve[:, 0], found.effect)
    _proportional(curve[:, 1], found.pooled)


def test_law_a_line_is_cut_at_the_edges_of_the_plot() -> None:
    frame = Frame(Scale("linear", -1.0, 1.0, 0.0, 2.0), Scale("linear", 0.0, 1.0, 1.0, 0.0))
    cut = frame.cut((-2.0, 0.5), (2.0, 0.5))
    assert cut is not None
    assert np.array(cut) == pytest.approx(np.array([(0.0, 0.5), (2.0, 0.5)]))
    assert frame.cut((-2.0, 2.0), (2.0, 2.0)) is None
    assert frame.cut((2.0, 0.0), (3.0, 1.0)) is None


def _density(curve: tuple[float, ...]) -> posterior.DensityPanel:
    return posterior.DensityPanel(label="m", grid=(0.0, 1.0), posterior=curve, estimate=0.5, low=0.0, high=1.0)


def _draped(curve: tuple[float, ...]) -> drapery.DraperySpec:
    return drapery.DraperySpec(title="t", effect=(0.0, 1.0), rows=(), pooled=curve, estimate=0.5, low=0.0, high=1.0)


def _panels() -> influence.InfluenceSpec:
    panel = influence.Diagnostic(name="hat", values=(0.1,), centre=0.0)
    return influence.InfluenceSpec(title="t", labels=("A", "B"), flagged=(False, False), panels=(panel,))


REFUSALS: dict[str, Callable[[], object]] = {
    "A: a finite effect and a standard error above 0 are needed; given 0.1 and 0.0": lambda: funnel.FunnelPoint(
        label="A", effect=0.1, se=0.0
    ),
    "A: low must be below high and the standard error above 0; given 1.0, 0.0": lambda: funnel.FunnelRange(
        label="A", low=1.0, high=0.0, se=0.1
    ),
    "levels must be at most three, between 0 and 1 and falling; given (0.01, 0.1)": lambda: funnel.FunnelSpec(
        title="t", points=(), levels=(0.01, 0.1)
    ),
    "hat: 2 trials need as many values; given 1": _panels,
    "labels and both axes need the same length; given [0, 1]": lambda: influence.BaujatSpec(
        title="t", labels=("A",), heterogeneity=(), influence=()
    ),
    "m: 2 places need as many densities; given 1": lambda: _density((1.0,)),
    "2 effects need as many p values; given 3": lambda: _draped((0.1, 0.2, 0.3)),
    "need one same length above 0; given [0]": lambda: gosh.GoshSpec(title="t", effects=np.empty(0), i2=np.empty(0)),
}


@pytest.mark.parametrize(("message", "build"), REFUSALS.items(), ids=REFUSALS.keys())
def test_contract_what_cannot_be_drawn_is_refused_with_its_value(message: str, build: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        build()
