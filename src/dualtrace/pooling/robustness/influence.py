"""Influence of single rows on a fit: deletion diagnostics, and the Baujat plot's two axes.

Every row is deleted in turn and all fits run in one batch. Coefficients are compared in the orthonormal basis of
the design, where badly scaled moderators cost no digits.

Sources: Viechtbauer & Cheung 2010, doi:10.1002/jrsm.11; Baujat, Mahé, Pignon & Hill 2002, doi:10.1002/sim.1221.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from scipy import special

from dualtrace.errors import FitError
from dualtrace.pooling.contract import Tau2Method, TestName, freeze
from dualtrace.pooling.inference import Answer, answer
from dualtrace.pooling.likelihood import Array, Data, Flags, data, wls
from dualtrace.pooling.result import Result
from dualtrace.pooling.robustness.leave_out import checked, determined, scatter
from dualtrace.pooling.text import number
from dualtrace.printed import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandas import DataFrame

    from dualtrace.pooling.univariate import Problem


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Influence(Result):
    """Deletion diagnostics, one entry per row; NaN where the other rows do not determine the model.

    With b, V the coefficients and their covariance, h the hat values, (-i) the fit without row i, and s² its
    Knapp-Hartung factor (1 under z and t):

    Attributes
    ----------
    slab, names
        Labels of rows and names of coefficients.
    rstudent
        (y_i - x_i'b(-i)) / √(s²(v_i + τ²(-i)) + x_i'V(-i)x_i), (k,).
    dffits
        (x_i'b - x_i'b(-i)) / √(s² h_i (v_i + τ²(-i))).
    cook_d
        Cook's distance (b - b(-i))' V⁻¹ (b - b(-i)).
    cov_r
        |V(-i)| / |V|: below 1, leaving the row out makes the coefficients more precise.
    tau2_del, QE_del
        τ² and Q without the row.
    hat, weight
        h_i = w_i x_i'(X'WX)⁻¹x_i; weight in percent.
    dfbs
        (b - b(-i)) over its standard error with τ²(-i), (k, p).
    inf
        Influential: |dffits| > 3√(p/(k-p)), the lower χ²_p tail of Cook's distance above ½, hat > 3p/k, or a
        dfbs beyond ±1.
    """

    SOURCES: ClassVar[tuple[str, ...]] = ("viechtbauer_cheung2010",)

    slab: tuple[str, ...]
    names: tuple[str, ...]
    rstudent: Array
    dffits: Array
    cook_d: Array
    cov_r: Array
    tau2_del: Array
    QE_del: Array
    hat: Array
    weight: Array
    dfbs: Array
    inf: Flags

    def __post_init__(self) -> None:
        freeze(self)

    def to_frame(self) -> DataFrame:
        """One row per row of the data; columns ``dfbs[name]`` for the coefficients."""
        from pandas import DataFrame

        columns = {f.name: getattr(self, f.name) for f in fields(self)[2:] if f.name != "dfbs"}
        columns |= {f"dfbs[{name}]": self.dfbs[:, j] for j, name in enumerate(self.names)}
        return DataFrame(columns, index=list(self.slab))

    def __str__(self) -> str:
        """One line per row; an asterisk marks the influential ones."""
        head = ("", "rstudent", "dffits", "cook.d", "cov.r", "tau2.del", "QE.del", "hat", "weight%", "inf")
        columns = (
            self.rstudent,
            self.dffits,
            self.cook_d,
            self.cov_r,
            self.tau2_del,
            self.QE_del,
            self.hat,
            self.weight,
        )
        rows = (
            (label, *(number(float(c[i])) for c in columns), "*" if self.inf[i] else "")
            for i, label in enumerate(self.slab)
        )
        return table(head, rows)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Baujat(Result):
    """The Baujat plot: what each row adds to heterogeneity, and how far it moves the answer.

    Attributes
    ----------
    slab
        Labels of rows.
    heterogeneity
        Squared Pearson residual (y_i - x_i'b)²/(v_i + τ²); under EE and FE these add up to Q.
    influence
        Squared standardised change (x_i'b - x_i'b(-i))² / (x_i'V(-i)x_i).
    """

    INDEX: ClassVar[str] = "slab"
    COLUMNS: ClassVar[tuple[str, ...]] = ("heterogeneity", "influence")
    SOURCES: ClassVar[tuple[str, ...]] = ("baujat2002",)

    slab: tuple[str, ...]
    heterogeneity: Array
    influence: Array

    def __post_init__(self) -> None:
        freeze(self)

    def __str__(self) -> str:
        """One line per row."""
        rows = zip(self.slab, self.heterogeneity, self.influence, strict=True)
        return table(
            ("", "heterogeneity", "influence"), ((s, number(float(x)), number(float(y))) for s, x, y in rows)
        )


class Deleted(NamedTuple):
    """The fit of all rows and the fits without each, in the orthonormal basis."""

    given: Problem
    whole: Data
    full: Answer
    beta: Array  # b(-i), (k, p), NaN where not determined, as the others
    vb: Array  # (k, p, p)
    tau2: Array  # (k,)
    QE: Array  # (k,)
    s2: Array  # Knapp and Hartung's factor, 1 under z and t, (k,)


def influence(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    X: Any | None = None,  # noqa: ANN401
    names: Sequence[str] | None = None,
    slab: Sequence[Any] | None = None,
    method: Tau2Method = "REML",
    test: TestName = "z",
) -> Influence:
    """Deletion diagnostics of every row.

    Parameters
    ----------
    yi, vi, X, names, slab, method, test
        As in ``univariate.fit``; method is not one that needs weights.

    Raises
    ------
    FitError
        If ``fit`` would refuse the rows, or there is only one.
    """
    deleted = delete_each(yi, vi, X=X, names=names, slab=slab, method=method, test=test)
    given, full = deleted.given, deleted.full.coefficients
    q, v = given.basis, given.v
    k, p = q.shape
    fit = wls(deleted.whole, deleted.full.heterogeneity.tau2)
    hat = fit.weight[0] * np.einsum("kp,pq,kq->k", q, fit.cov[0], q)
    change = full.beta[0] - deleted.beta
    moved = np.einsum("kp,kp->k", q, change)
    resid = given.y - np.einsum("kp,kp->k", q, deleted.beta)
    total = deleted.s2 * (v + deleted.tau2)
    dffits = moved / np.sqrt(hat * total)
    cook = np.einsum("kp,pq,kq->k", change, np.linalg.inv(full.vb[0]), change)
    dfbs = (change @ given.T.T) / _deletion_errors(deleted)
    with np.errstate(invalid="ignore"):
        flags = (np.abs(dffits) > 3.0 * np.sqrt(p / (k - p))) | (special.chdtr(p, cook) > 0.5)
        flags |= (hat > 3.0 * p / k) | (np.abs(dfbs) > 1.0).any(axis=1)
    return Influence(
        slab=given.slab,
        names=given.names,
        rstudent=resid / np.sqrt(total + np.einsum("kp,kpq,kq->k", q, deleted.vb, q)),
        dffits=dffits,
        cook_d=cook,
        cov_r=np.linalg.det(deleted.vb) / np.linalg.det(full.vb[0]),
        tau2_del=deleted.tau2,
        QE_del=deleted.QE,
        hat=hat,
        weight=deleted.full.weights[0],
        dfbs=dfbs,
        inf=flags,
    )


def baujat(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    X: Any | None = None,  # noqa: ANN401
    names: Sequence[str] | None = None,
    slab: Sequence[Any] | None = None,
    method: Tau2Method = "REML",
) -> Baujat:
    """Both axes of the Baujat plot.

    Parameters
    ----------
    yi, vi, X, names, slab, method
        As in ``univariate.fit``; method is not one that needs weights.

    Raises
    ------
    FitError
        If ``fit`` would refuse the rows, or there is only one.
    """
    deleted = delete_each(yi, vi, X=X, names=names, slab=slab, method=method, test="z")
    q, b = deleted.given.basis, deleted.full.coefficients.beta[0]
    moved = np.einsum("kp,kp->k", q, b - deleted.beta)
    tau2 = np.nan_to_num(deleted.full.heterogeneity.tau2[0])
    return Baujat(
        slab=deleted.given.slab,
        heterogeneity=(deleted.given.y - q @ b) ** 2 / (deleted.given.v + tau2),
        influence=moved**2 / np.einsum("kp,kpq,kq->k", q, deleted.vb, q),
    )


def delete_each(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    X: Any | None,  # noqa: ANN401
    names: Sequence[str] | None,
    slab: Sequence[Any] | None,
    method: Tau2Method,
    test: TestName,
) -> Deleted:
    """Fit all rows, and all but each, in one batch.

    Raises
    ------
    FitError
        If ``fit`` would refuse the rows, or there is only one.
    """
    given = checked(yi, vi, X=X, names=names, slab=slab, options=(method, test, 0.95))
    k, p = given.basis.shape
    if k == 1:
        raise FitError("Leaving one row out needs at least two rows; given one.")
    sets = data(given.y, given.v, given.basis, use=np.vstack([np.ones((1, k)), 1.0 - np.eye(k)]))
    index = np.flatnonzero(determined(sets))
    found = answer(sets.pick(index), np.eye(p), method=method, test=test, level=0.95, profile=False)
    h, c = found.heterogeneity, found.coefficients
    tau2 = np.where(sets.k[index] == 1.0, 0.0, h.tau2)  # one row left: its own estimate, no heterogeneity
    unscaled = wls(sets.pick(index), tau2).cov
    s2 = np.einsum("npp->n", c.vb) / np.einsum("npp->n", unscaled)
    parts = (scatter(part, index, k + 1)[1:] for part in (c.beta, c.vb, tau2, h.QE, s2))
    first = Answer(
        type(h)(*(part[:1] for part in h)), type(c)(*(part[:1] for part in c)), found.ll[:1], found.weights[:1]
    )
    return Deleted(given, sets.pick(np.zeros(1, dtype=np.intp)), first, *parts)


def _deletion_errors(deleted: Deleted) -> Array:
    """Standard errors of the design's coefficients from all rows at each τ²(-i), (k, p)."""
    k = len(deleted.given.y)
    known = np.flatnonzero(np.isfinite(deleted.tau2))
    cov = wls(deleted.whole.pick(np.zeros(known.size, dtype=np.intp)), deleted.tau2[known]).cov
    variance = np.einsum("jp,kpq,jq->kj", deleted.given.T, cov, deleted.given.T)
    return scatter(np.sqrt(deleted.s2[known, None] * variance), known, k)
