"""Two fits of the same rows, one a special case of the other: likelihood-ratio test and information criteria."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from dualtrace.errors import InputError
from dualtrace.pooling.result import Result
from dualtrace.pooling.text import number, p_value
from dualtrace.printed import table

if TYPE_CHECKING:
    from dualtrace.pooling.multilevel.contract import Multilevel


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Result):
    """Likelihood-ratio test.

    Attributes
    ----------
    LRT, df, p
        2(ℓ_full - ℓ_reduced), difference in parameters, p value of χ²(df). Where the reduced model sets variances
        to 0 this p value is too large, by a factor of 2 for one variance.
    ll, parms, AIC, BIC, AICc
        Of the full, then of the reduced model.
    """

    LRT: float
    df: int
    p: float
    ll: tuple[float, float]
    parms: tuple[int, int]
    AIC: tuple[float, float]
    BIC: tuple[float, float]
    AICc: tuple[float, float]

    def __str__(self) -> str:
        """One line per model, then the test."""
        rows = (
            (name, str(self.parms[i]), *(number(part[i]) for part in (self.ll, self.AIC, self.BIC, self.AICc)))
            for i, name in enumerate(("full", "reduced"))
        )
        head = ("", "parameters", "log-likelihood", "AIC", "BIC", "AICc")
        return f"{table(head, rows)}\n\nLRT({self.df}) = {number(self.LRT)}, p {p_value(self.p)}"


def compare(full: Multilevel, reduced: Multilevel) -> Comparison:
    """Test a reduced model against a full one.

    Source: Self & Liang 1987, doi:10.1080/01621459.1987.10478472 (variances on the boundary).

    Raises
    ------
    InputError
        If the fits have different rows or methods, the first has no more parameters than the second, or
        coefficients differ under REML.
    """
    same_rows = full.k == reduced.k and np.array_equal(full.source.y, reduced.source.y)
    if not same_rows or full.method != reduced.method:
        raise InputError(
            "Both fits must have the same rows and method; given "
            f"k = {full.k} by {full.method} and k = {reduced.k} by {reduced.method}."
        )
    if full.method == "REML" and not _same_columns(full, reduced):
        raise InputError("Fits by REML can be compared only with the same coefficients; fit both by ML.")
    df = full.parms - reduced.parms
    if df < 1:
        raise InputError(
            f"The full model must come first and have more parameters; given {full.parms} and {reduced.parms}."
        )
    ratio = max(0.0, 2.0 * (full.ll - reduced.ll))
    pair = (full, reduced)
    return Comparison(
        LRT=ratio,
        df=df,
        p=float(special.chdtrc(df, ratio)),
        ll=(full.ll, reduced.ll),
        parms=(full.parms, reduced.parms),
        AIC=(pair[0].AIC, pair[1].AIC),
        BIC=(pair[0].BIC, pair[1].BIC),
        AICc=(pair[0].AICc, pair[1].AICc),
    )


def _same_columns(full: Multilevel, reduced: Multilevel) -> bool:
    """Whether two designs span one space."""
    if full.p != reduced.p:
        return False
    Q = full.source.basis
    rest = reduced.source.basis - Q @ (Q.T @ reduced.source.basis)
    return bool(np.abs(rest).max() < 1e-8)
