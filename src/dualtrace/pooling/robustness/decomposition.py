"""Where heterogeneity sits: Cochran's Q split between and within groups, and into the share of every row.

Source: Hedges & Olkin 1985, Statistical Methods for Meta-Analysis, chapter 7, doi:10.1016/C2009-0-03396-0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from scipy import special

from dualtrace.pooling.contract import freeze
from dualtrace.pooling.groups import code
from dualtrace.pooling.result import Result
from dualtrace.pooling.text import number, p_value
from dualtrace.pooling.univariate import problem
from dualtrace.printed import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandas import DataFrame

    from dualtrace.pooling.likelihood import Array, Ints


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Decomposition(Result):
    """Q = Q between groups + Σ Q within groups, weights 1/v.

    Attributes
    ----------
    labels
        Groups, in order of first appearance.
    k, mean, QW, QWp, I2
        Per group: rows, weighted mean, Q around it with its p value, and I² in percent; (g,).
    QT, QB, QBp, QE, QEp
        Total Q; between groups with its p value on g - 1 degrees of freedom; sum within groups with its p value
        on k - g.
    slab, row_q
        Labels of rows and what each adds to Q within its group; these add up to QE.
    """

    SOURCES: ClassVar[tuple[str, ...]] = ("hedges1985",)

    labels: tuple[str, ...]
    k: Ints
    mean: Array
    QW: Array
    QWp: Array
    I2: Array
    QT: float
    QB: float
    QBp: float
    QE: float
    QEp: float
    slab: tuple[str, ...]
    row_q: Array

    def __post_init__(self) -> None:
        freeze(self)

    def to_frame(self) -> DataFrame:
        """One row per group."""
        from pandas import DataFrame

        keys = ("k", "mean", "QW", "QWp", "I2")
        return DataFrame({key: getattr(self, key) for key in keys}, index=list(self.labels))

    def __str__(self) -> str:
        """One line per group, between groups and total."""
        rows = [
            (label, str(k), number(float(q)), str(k - 1), p_value(float(p)).removeprefix("= "), number(float(i), 1))
            for label, k, q, p, i in zip(self.labels, self.k.tolist(), self.QW, self.QWp, self.I2, strict=True)
        ]
        groups, k = len(self.labels), len(self.slab)
        rows.append(("between", "", number(self.QB), str(groups - 1), p_value(self.QBp).removeprefix("= "), ""))
        rows.append(("within", "", number(self.QE), str(k - groups), p_value(self.QEp).removeprefix("= "), ""))
        rows.append(("total", str(k), number(self.QT), str(k - 1), "", ""))
        return table(("", "k", "Q", "df", "p", "I²%"), rows)


def decompose(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    groups: Sequence[Any],
    *,
    slab: Sequence[Any] | None = None,
) -> Decomposition:
    """Split Q between and within groups.

    Q_T = Σ w (y - ȳ)²,  Q_W,g = Σ_{i in g} w_i (y_i - ȳ_g)²,  Q_B = Σ_g w_g (ȳ_g - ȳ)²,  w = 1/v.

    Parameters
    ----------
    yi, vi, slab
        As in ``univariate.fit``.
    groups
        Group of each row; at least two groups.

    Raises
    ------
    FitError
        If ``fit`` would refuse the rows, a row has no group, or there is one group only.
    """
    given = problem(yi, vi, slab=slab)
    codes, labels = code(groups, given.slab)
    member = (codes[:, None] == np.arange(len(labels))).astype(float)
    w = 1.0 / given.v
    centred = given.y - w @ given.y / w.sum()
    total = w @ member
    mean = (w * centred) @ member / total
    row_q = w * (centred - member @ mean) ** 2
    within, k = row_q @ member, member.sum(axis=0).astype(np.intp)
    between = float(total @ mean**2)
    free = k - 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(free > 0.0, 100.0 * np.maximum(0.0, 1.0 - free / within), np.nan)
    df_within = len(w) - len(labels)
    return Decomposition(
        labels=labels,
        k=k,
        mean=mean + w @ given.y / w.sum(),
        QW=within,
        QWp=np.where(free > 0.0, special.chdtrc(np.maximum(free, 1.0), within), np.nan),
        I2=share,
        QT=float(w @ centred**2),
        QB=between,
        QBp=float(special.chdtrc(len(labels) - 1, between)),
        QE=float(within.sum()),
        QEp=float(special.chdtrc(df_within, within.sum())) if df_within else float("nan"),
        slab=given.slab,
        row_q=row_q,
    )
