"""The funnel plot as numbers: points, contours of significance, the funnel around the mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from scipy import special

from dualtrace.errors import InputError
from dualtrace.pooling.contract import freeze
from dualtrace.pooling.result import Result
from dualtrace.pooling.small_study.asymmetry import regression_test
from dualtrace.pooling.univariate import fit, problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.pooling.contract import Tau2Method
    from dualtrace.pooling.likelihood import Array, Ints


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Funnel(Result):
    """What a contour-enhanced funnel plot shows; drawing it is done elsewhere.

    Attributes
    ----------
    yi, sei, slab
        Points: effects, standard errors, labels.
    region
        Number of contour levels each point exceeds, (k,): 0 lies in the innermost region.
    levels
        Two-sided significance levels of the contours, from large to small, for example .1, .05, .01.
    se_grid
        Standard errors at which lines are given, from 0 to beyond the largest, (g,).
    contour_lb, contour_ub
        Effects that are just significant at each level, (levels, g).
    mean, funnel_lb, funnel_ub
        Pooled mean and, around it, where 95 % of results lie without heterogeneity, (g,).
    line
        Expected effect by the regression test on the standard error, (g,); NaN below three rows.
    H0
        Effect the contours surround.
    """

    SOURCES: ClassVar[tuple[str, ...]] = ("peters2008",)

    yi: Array
    sei: Array
    slab: tuple[str, ...]
    region: Ints
    levels: tuple[float, ...]
    se_grid: Array
    contour_lb: Array
    contour_ub: Array
    mean: float
    funnel_lb: Array
    funnel_ub: Array
    line: Array
    H0: float

    def __post_init__(self) -> None:
        freeze(self)

    def __str__(self) -> str:
        """How many points lie in each region."""
        names = (f"p > {self.levels[0]:g}", *(f"p <= {level:g}" for level in self.levels))
        counts = np.bincount(self.region, minlength=len(names))
        return "Funnel: " + ", ".join(f"{name}: {count}" for name, count in zip(names, counts, strict=True))


def contour_funnel(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    levels: Sequence[float] = (0.1, 0.05, 0.01),
    H0: float = 0.0,
    points: int = 101,
    slab: Sequence[Any] | None = None,
    method: Tau2Method = "REML",
) -> Funnel:
    """Compute a contour-enhanced funnel plot.

    A result (y, s) is significant at two-sided level a outside H0 ± z_{1-a/2} s: straight lines. Missing results
    in the regions of no significance suggest selection; missing elsewhere suggest another cause.

    Parameters
    ----------
    yi, vi, slab
        As in ``univariate.fit``.
    levels
        Significance levels.
    H0
        Effect without interest.
    points
        Number of standard errors at which lines are given.
    method
        Estimator of τ² for the mean and the regression line.

    Raises
    ------
    FitError
        If the rows cannot be pooled.
    InputError
        If a level cannot be used.

    Source: Peters, Sutton, Jones, Abrams & Rushton 2008, doi:10.1016/j.jclinepi.2007.11.010.
    """
    chosen = tuple(sorted({float(level) for level in levels}, reverse=True))
    if not chosen or not all(0.0 < level < 1.0 for level in chosen):
        given_levels = ", ".join(f"{level:g}" for level in levels)
        raise InputError(f"levels must lie between 0 and 1, for example 0.05; given {given_levels or 'none'}.")
    if points < 2:
        raise InputError(f"points must be 2 or more; given {points}.")
    given = problem(yi, vi, slab=slab)
    sei = np.sqrt(given.v)
    z = -special.ndtri(np.array(chosen) / 2.0)
    grid = np.linspace(0.0, 1.05 * float(sei.max()), points)
    mean = float(fit(given.y, given.v, method=method).beta[0])
    half = special.ndtri(0.975) * grid
    line = np.full(points, np.nan)
    if given.y.size > 2 and np.ptp(sei) > 1e-10 * sei.max():
        regression = regression_test(given.y, given.v, method=method).fit
        line = regression.beta[0] + regression.beta[1] * grid
    return Funnel(
        yi=given.y,
        sei=sei,
        slab=given.slab,
        region=(np.abs(given.y - H0)[:, None] >= z * sei[:, None]).sum(axis=1),
        levels=chosen,
        se_grid=grid,
        contour_lb=H0 - z[:, None] * grid,
        contour_ub=H0 + z[:, None] * grid,
        mean=mean,
        funnel_lb=mean - half,
        funnel_ub=mean + half,
        line=line,
        H0=H0,
    )
