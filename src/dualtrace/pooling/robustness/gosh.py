"""GOSH: the same model fitted to all subsets of the rows, or to many of them drawn at random.

Clusters in the cloud of estimates against heterogeneity show subgroups and outliers that a single fit hides.

Source: Olkin, Dahabreh & Trikalinos 2012, doi:10.1002/jrsm.1053.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from dualtrace.errors import InputError
from dualtrace.pooling.contract import HOMOGENEOUS, Tau2Method, freeze
from dualtrace.pooling.inference import between, centre
from dualtrace.pooling.likelihood import Array, Data, Flags, Ints, data, traces, wls
from dualtrace.pooling.result import Result
from dualtrace.pooling.robustness.leave_out import checked, determined, scatter
from dualtrace.pooling.text import interval, number
from dualtrace.printed import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandas import DataFrame

ALL = 16
"""Rows up to which all subsets are fitted unless a number is asked for: 65,535 fits."""

SAMPLED = 50_000
"""Subsets drawn when there are more rows and no number is asked for."""

BATCH = 4_096
"""Subsets fitted at a time."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Gosh(Result):
    """Fits to m subsets of the rows; NaN where a subset does not determine the model.

    Attributes
    ----------
    slab, names
        Labels of rows and names of coefficients.
    rows
        Which rows each subset holds, (m, k).
    k
        Rows in each subset, (m,).
    QE, I2, H2, tau2
        Heterogeneity, (m,); one row has none: QE 0, I² 0, H² 1, τ² 0.
    beta
        Coefficients, (m, p).
    complete
        Whether these are all subsets.
    """

    SOURCES: ClassVar[tuple[str, ...]] = ("olkin2012",)

    slab: tuple[str, ...]
    names: tuple[str, ...]
    rows: Flags
    k: Ints
    QE: Array
    I2: Array
    H2: Array
    tau2: Array
    beta: Array
    complete: bool

    def __post_init__(self) -> None:
        freeze(self)

    def to_frame(self) -> DataFrame:
        """One row per subset: its statistics, then a column of membership per row of the data."""
        from pandas import DataFrame

        columns: dict[str, Any] = {name: getattr(self, name) for name in ("k", "QE", "I2", "H2", "tau2")}
        columns |= {name: self.beta[:, j] for j, name in enumerate(self.names)}
        columns |= {f"has[{label}]": self.rows[:, i] for i, label in enumerate(self.slab)}
        return DataFrame(columns)

    def without(self, row: int) -> Gosh:
        """The subsets that do not hold a row, which show what the cloud owes to it."""
        kept = ~self.rows[:, row]
        parts = {name: getattr(self, name)[kept] for name in ("rows", "k", "QE", "I2", "H2", "tau2", "beta")}
        return Gosh(slab=self.slab, names=self.names, complete=False, **parts)

    def __str__(self) -> str:
        """Quartiles and range of I² and of every coefficient."""
        kind = "all" if self.complete else "sampled"
        quantities = {"I²%": self.I2} | {name: self.beta[:, j] for j, name in enumerate(self.names)}
        rows = []
        for name, values in quantities.items():
            low, q1, middle, q3, high = np.nanquantile(values, [0.0, 0.25, 0.5, 0.75, 1.0]).tolist()
            rows.append((name, number(middle), interval(q1, q3), interval(low, high)))
        head = f"{len(self.k)} subsets ({kind}) of {len(self.slab)} rows"
        return f"{head}\n\n{table(('', 'median', 'middle half', 'range'), rows)}"


def gosh(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    X: Any | None = None,  # noqa: ANN401
    names: Sequence[str] | None = None,
    slab: Sequence[Any] | None = None,
    method: Tau2Method = "REML",
    subsets: int | None = None,
    key: int = 0,
) -> Gosh:
    """Fit the model to all subsets of at least p rows, or to subsets drawn at random.

    Parameters
    ----------
    yi, vi, X, names, slab, method
        As in ``univariate.fit``; method is not one that needs weights.
    subsets
        How many subsets to draw; absent: all where there are at most 16 rows, else 50,000. Asking for at least as
        many as there are gives all. Each row belongs to a drawn subset with probability ½; subsets of fewer than
        p rows are drawn again.
    key
        Key of the random numbers.

    Raises
    ------
    FitError
        If ``fit`` would refuse the rows.
    InputError
        If ``subsets`` is not positive or ``method`` is not there.
    """
    given = checked(yi, vi, X=X, names=names, slab=slab, options=(method, "z", 0.95))
    if subsets is not None and subsets < 1:
        raise InputError(f"subsets must be a positive number; given {subsets}.")
    k, p = given.basis.shape
    complete = k <= ALL if subsets is None else k < 40 and 2**k - 1 <= subsets
    rows = all_subsets(k, p) if complete else _draw(k, p, SAMPLED if subsets is None else subsets, key)
    parts = [
        fit_subsets(
            data(given.y, given.v, given.basis, use=rows[start : start + BATCH].astype(np.float64)), given.T, method
        )
        for start in range(0, len(rows), BATCH)
    ]
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return Gosh(slab=given.slab, names=given.names, rows=rows, k=rows.sum(axis=1), complete=complete, **found)


def all_subsets(k: int, least: int) -> Flags:
    """Every subset of k rows that holds at least ``least``, (m, k)."""
    rows: Flags = (np.arange(1, 2**k)[:, None] >> np.arange(k)) & 1 == 1
    return rows if least <= 1 else rows[rows.sum(axis=1) >= least]


def _draw(k: int, least: int, m: int, key: int) -> Flags:
    rng = np.random.default_rng(key)
    rows = rng.random((m, k)) < 0.5
    while (few := np.flatnonzero(rows.sum(axis=1) < least)).size:
        rows[few] = rng.random((few.size, k)) < 0.5
    return rows


def fit_subsets(sets: Data, T: Array, method: Tau2Method) -> dict[str, Array]:
    """Heterogeneity and coefficients of many data sets; the part of ``inference.answer`` that GOSH shows."""
    index = np.flatnonzero(determined(sets))
    here = sets.pick(index)
    df = here.k - here.p
    here, offset = centre(here, method)
    tau2 = between(here, method)
    plain_fit = wls(here, np.zeros(index.size))
    q = np.where(df > 0.0, plain_fit.rss, 0.0)
    spread = np.where(df > 0.0, df, 1.0)
    if method in HOMOGENEOUS:
        h2 = np.where(df > 0.0, q / spread, 1.0)
        with np.errstate(divide="ignore"):
            i2 = 100.0 * np.maximum(0.0, 1.0 - 1.0 / h2)
        coef = plain_fit.coef
    else:
        trace = np.where(df > 0.0, traces(here, plain_fit)[0], 1.0)
        typical = spread / trace
        i2, h2 = 100.0 * tau2 / (tau2 + typical), 1.0 + tau2 / typical
        coef = wls(here, tau2).coef
    beta = (coef + offset) @ T.T
    parts = {"QE": q, "I2": i2, "H2": h2, "tau2": tau2, "beta": beta}
    return {name: scatter(values, index, len(sets.y)) for name, values in parts.items()}
