"""Leaving rows out, and adding them one after the other, when some rows are known only as intervals or directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.errors import FitError
from dualtrace.pooling.coarse import coarse, peak
from dualtrace.pooling.contract import freeze, require_level
from dualtrace.pooling.groups import code
from dualtrace.pooling.partial import Rows, checked_rows
from dualtrace.pooling.profile import coefficient_intervals, standard_errors
from dualtrace.pooling.result import Result
from dualtrace.pooling.robustness.leave_out import Kept, scatter
from dualtrace.pooling.text import interval, number
from dualtrace.printed import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.pooling.likelihood import Array, Ints


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PartialRefits(Result):
    """The partial-information model of one mean fitted to several subsets of the rows, m of them.

    Attributes
    ----------
    kept
        Whether the labelled rows were ``left out`` or the last added (``up to``).
    slab
        Labels of fits.
    k, n_exact
        Rows in each fit, and those of them with an exact effect, (m,).
    beta, ci_lb, ci_ub
        Mean with its profile-likelihood interval, (m,); NaN where the rows kept determine no answer.
    tau2
        Between-row variance, (m,).
    """

    kept: Kept
    slab: tuple[str, ...]
    k: Ints
    n_exact: Ints
    beta: Array
    ci_lb: Array
    ci_ub: Array
    tau2: Array

    def __post_init__(self) -> None:
        freeze(self)

    def __str__(self) -> str:
        """One line per fit."""
        columns = zip(self.slab, self.k, self.n_exact, self.beta, self.ci_lb, self.ci_ub, self.tau2, strict=True)
        rows = ((s, str(k), str(n), number(b), interval(a, c), number(t)) for s, k, n, b, a, c, t in columns)
        return table((self.kept, "k", "exact", "mean", "profile CI", "tau²"), rows)


def leave_one_out(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    lo: Any | None = None,  # noqa: ANN401
    hi: Any | None = None,  # noqa: ANN401
    slab: Sequence[Any] | None = None,
    groups: Sequence[Any] | None = None,
    level: float = 0.95,
) -> PartialRefits:
    """Fit again without each row, or without each group of rows, all fits in one batch.

    Parameters
    ----------
    yi, vi, lo, hi, slab, level
        As in ``partial.fit``.
    groups
        Group of each row; absent: every row is its own.

    Raises
    ------
    FitError
        If ``partial.fit`` would refuse the rows, or there is only one row or group.
    """
    require_level(level)
    rows = checked_rows(yi, vi, lo=lo, hi=hi, X=None, names=None, slab=slab)
    k = len(rows.slab)
    if groups is None:
        use, labels = 1.0 - np.eye(k), rows.slab
    else:
        codes, labels = code(groups, rows.slab)
        use = (codes != np.arange(len(labels))[:, None]).astype(float)
    if len(labels) == 1:
        raise FitError("Leaving rows out needs at least two rows or groups; given one.")
    return _refit(rows, use, labels, "left out", level)


def cumulative(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    order: Sequence[Any],
    lo: Any | None = None,  # noqa: ANN401
    hi: Any | None = None,  # noqa: ANN401
    slab: Sequence[Any] | None = None,
    level: float = 0.95,
) -> PartialRefits:
    """Fit to the first rows, then to more and more of them, all fits in one batch.

    Parameters
    ----------
    yi, vi, lo, hi, slab, level
        As in ``partial.fit``.
    order
        When each row was added, the year for example; rows of one value are added together and label one fit.

    Raises
    ------
    FitError
        If ``partial.fit`` would refuse the rows, or ``order`` has another length.
    """
    require_level(level)
    rows = checked_rows(yi, vi, lo=lo, hi=hi, X=None, names=None, slab=slab)
    if len(order) != len(rows.slab):
        raise FitError(f"order must have one value per row; given {len(order)} for {len(rows.slab)} rows.")
    steps, place = np.unique(np.array(order), return_inverse=True)
    use = (place <= np.arange(len(steps))[:, None]).astype(float)
    return _refit(rows, use, tuple(str(step) for step in steps), "up to", level)


def _refit(rows: Rows, use: Array, labels: tuple[str, ...], kept: Kept, level: float) -> PartialRefits:
    m, count = len(use), use.sum(axis=1)
    index = np.flatnonzero((count > 1.0) & (use @ rows.anchored > 0.0))
    found = {name: np.full(m, np.nan) for name in ("beta", "ci_lb", "ci_ub", "tau2")}
    if index.size:
        one = coarse(rows.y, rows.lo, rows.hi, rows.v, rows.X)
        sets = one.pick(np.zeros(index.size, dtype=np.intp))._replace(use=use[index])
        best = peak(sets)
        ends = coefficient_intervals(sets, best, standard_errors(sets, best)[0], level)
        parts = {"beta": best.beta[:, 0], "ci_lb": ends.low[:, 0], "ci_ub": ends.high[:, 0], "tau2": best.tau2}
        found = {name: scatter(values, index, m) for name, values in parts.items()}
    exact = (use @ rows.exact).astype(np.intp)
    return PartialRefits(kept=kept, slab=labels, k=count.astype(np.intp), n_exact=exact, **found)
