"""Drapery plot: the p value of every effect one might have hypothesised, per row, pooled, and for a new row.

Source: Rücker & Schwarzer 2021, doi:10.1002/jrsm.1410.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from scipy import special

from dualtrace.errors import InputError
from dualtrace.pooling.contract import HOMOGENEOUS, freeze
from dualtrace.pooling.result import Result
from dualtrace.pooling.univariate import fit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.pooling.contract import Pooled, Tau2Method, TestName
    from dualtrace.pooling.likelihood import Array


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Drapery(Result):
    """Two-sided p values over a grid of hypothesised effects.

    Attributes
    ----------
    effect
        The grid, (m,).
    slab, rows
        Labels of rows and their p values by the normal test, (k, m).
    pooled, prediction
        p values of the pooled effect, and of the effect of a new row, (m,); where a curve crosses 1 - level lie the
        ends of the interval of that level. ``prediction`` is NaN under EE and FE.
    fit
        The fit behind the pooled curve.
    """

    SOURCES: ClassVar[tuple[str, ...]] = ("rucker2021",)

    effect: Array
    slab: tuple[str, ...]
    rows: Array
    pooled: Array
    prediction: Array
    fit: Pooled

    def __post_init__(self) -> None:
        freeze(self)


def drapery(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    slab: Sequence[Any] | None = None,
    method: Tau2Method = "REML",
    test: TestName = "z",
    level: float = 0.95,
    points: int = 401,
) -> Drapery:
    """Curves of the drapery plot.

    Parameters
    ----------
    yi, vi, slab, method, test, level
        As in ``univariate.fit``.
    points
        Size of the grid, which spans the rows' intervals down to p = .001.

    Raises
    ------
    FitError
        If ``fit`` refuses the rows.
    InputError
        If there are fewer than two points or an option is not there.
    """
    if points < 2:
        raise InputError(f"points must be at least 2; given {points}.")
    found = fit(yi, vi, slab=slab, method=method, test=test, level=level)
    y, s = np.array(yi, dtype=float), np.sqrt(np.array(vi, dtype=float))
    reach = float(special.ndtri(0.9995))
    ends = [y - reach * s, y + reach * s]
    grid = np.linspace(float(np.min(ends)), float(np.max(ends)), points)
    df = np.inf if found.test == "z" else float(found.dfs)
    spread = np.nan if found.method in HOMOGENEOUS else found.tau2
    wide = np.sqrt(found.vb[0, 0] + spread)
    return Drapery(
        effect=grid,
        slab=found.slab,
        rows=2.0 * special.ndtr(-np.abs(y[:, None] - grid) / s[:, None]),
        pooled=2.0 * special.stdtr(df, -np.abs(found.beta[0] - grid) / found.se[0]),
        prediction=2.0 * special.stdtr(df, -np.abs(found.beta[0] - grid) / wide),
        fit=found,
    )
