"""Ordinary least squares of many data sets at once, in closed form, with usual or HC3 covariance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from scipy import special

from dualtrace.errors import FitError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.analysis.result import Array, Flags, Ints

Heteroscedastic = Literal["none", "HC3"]
"""Covariance of coefficients: equal residual variances, or none assumed (MacKinnon & White 1985)."""

COLLINEAR = 1e-10
"""A column of which less than this share (of its square) lies outside the columns before it adds nothing."""

EXACT = 1e-12
"""Residuals smaller than this share of the outcomes are rounding: the fit is exact and has no error."""


class Fit(NamedTuple):
    """Fitted regressions; NaN where a data set determines no answer.

    Attributes
    ----------
    beta, covariance
        Coefficients and their covariance, (..., p) and (..., p, p).
    residual_sd
        Square root of RSS/df, (...,).
    df
        Rows with an outcome less coefficients, (...,); NaN where not positive.
    redundant
        First column that is zero or a combination of those before it, -1 where none is, (...,).
    exact
        Whether the regression leaves no residuals to speak of, (...,).
    alone
        Whether some row alone decides a coefficient, so that HC3 has no residual for it, (...,).
    """

    beta: Array
    covariance: Array
    residual_sd: Array
    df: Array
    redundant: Ints
    exact: Flags
    alone: Flags


def fit(X: Array, y: Array, known: Flags, *, heteroscedastic: Heteroscedastic = "none") -> Fit:
    """Regress outcomes on columns: β = (X'X)⁻¹X'y.

    Usual covariance: RSS/(n - p) (X'X)⁻¹. HC3: (X'X)⁻¹ X' diag(e²/(1 - h)²) X (X'X)⁻¹ with h the leverages.

    Parameters
    ----------
    X
        Columns, (..., p, n); zero where the outcome is missing.
    y
        Outcomes, (..., n); zero where missing.
    known
        Whether the outcome is there, (..., n).
    heteroscedastic
        Kind of covariance.

    Notes
    -----
    Source: MacKinnon & White 1985, doi:10.1016/0304-4076(85)90158-7.
    """
    Xt = np.swapaxes(X, -1, -2)
    inverse, redundant = _inverse(X @ Xt)
    beta = _times(inverse, _times(X, y))
    residual = y - _times(Xt, beta)
    # one step of refinement gives back the digits that forming X'X lost
    change = _times(inverse, _times(X, residual))
    beta, residual = beta + change, residual - _times(Xt, change)
    df = known.sum(axis=-1) - float(X.shape[-2])
    df = np.where((df > 0.0) & (redundant < 0), df, np.nan)
    sd = np.sqrt(np.einsum("...n,...n->...", residual, residual) / df)
    exact = sd <= EXACT * np.abs(y).max(axis=-1)
    covariance = _hc3(X, inverse, residual) if heteroscedastic == "HC3" else inverse * (sd**2)[..., None, None]
    alone = np.isnan(covariance).any(axis=(-2, -1)) & ~np.isnan(df)
    lost = np.isnan(df) | exact | alone
    beta = np.where(lost[..., None], np.nan, beta)
    covariance = np.where(lost[..., None, None], np.nan, covariance)
    return Fit(beta, covariance, np.where(lost, np.nan, sd), np.where(lost, np.nan, df), redundant, exact, alone)


def require_answer(found: Fit, names: Sequence[str], known: Flags) -> None:
    """Refuse data that determine no answer; in a batch only when no data set does.

    Raises
    ------
    FitError
        Saying why the first data set determines none.
    """
    if not np.isnan(found.df).all():
        return
    redundant, n, p = int(found.redundant.flat[0]), int(known.sum(axis=-1).flat[0]), len(names)
    if redundant >= 0:
        raise undetermined(names[redundant])
    if n <= p:
        raise FitError(
            f"{n} patients with an outcome cannot determine {p} coefficients ({', '.join(names)}) and the variance "
            f"around them; at least {p + 1} are needed."
        )
    if found.exact.flat[0] or not found.alone.flat[0]:
        raise FitError(
            "The outcome does not vary once the regression is accounted for, so there is no error to test against; "
            "check that outcome and predictors are not the same numbers."
        )
    raise FitError(
        "HC3 needs every coefficient to rest on more than one patient; one patient alone decides one (alone in an "
        "arm, say). Leave the patient out or use heteroscedastic='none'."
    )


def undetermined(name: str) -> FitError:
    """The error that a column adds nothing to the columns before it."""
    return FitError(
        f"The coefficient of {name} cannot be determined: among those analysed it is constant, absent or a "
        "combination of other columns. Leave it out, or give data in which it varies."
    )


def orthonormal(X: Array, names: Sequence[str]) -> Array:
    """T such that X T is orthonormal, (p, p), for a design X (n, p).

    Raises
    ------
    FitError
        If a column is zero or a combination of those before it, or there are fewer rows than columns.
    """
    n, p = X.shape
    if n < p:
        raise FitError(f"{n} outcomes cannot determine {p} coefficients; add patients or drop covariates.")
    norm = np.sqrt(np.einsum("np,np->p", X, X))
    r = np.linalg.qr(X / np.where(norm > 0.0, norm, 1.0), mode="r")
    redundant = np.flatnonzero((np.diag(r) ** 2 < COLLINEAR) | (norm == 0.0))
    if redundant.size:
        raise undetermined(names[int(redundant[0])])
    return np.asarray(np.linalg.inv(r * norm), dtype=np.float64)


def quantile(df: Array, level: float) -> Array:
    """Two-sided quantile of t; as fast for a million data sets as for the few different df among them."""
    values, at = np.unique(df, return_inverse=True)
    found = np.asarray(special.stdtrit(values, 0.5 * (1.0 + level)), dtype=np.float64)
    return found[at].reshape(df.shape)


def two_sided(t: Array, df: Array) -> Array:
    """Two-sided p of t statistics."""
    return np.asarray(2.0 * special.stdtr(df, -np.abs(t)), dtype=np.float64)


def _hc3(X: Array, inverse: Array, residual: Array) -> Array:
    """HC3 covariance; NaN where a row's leverage is 1 (alone in its arm), since its residual says nothing."""
    influence = inverse @ X
    leverage = np.einsum("...pn,...pn->...n", X, influence)
    alone = leverage > 1.0 - COLLINEAR
    scaled = influence * (residual / np.where(alone, np.nan, 1.0 - leverage))[..., None, :]
    return np.asarray(scaled @ np.swapaxes(scaled, -1, -2), dtype=np.float64)


def _times(matrix: Array, vector: Array) -> Array:
    return np.asarray((matrix @ vector[..., None])[..., 0], dtype=np.float64)


def _inverse(gram: Array) -> tuple[Array, Ints]:
    """Inverses of Gram matrices by sweeping, and the first column found redundant (-1 for none).

    Once columns have length 1, the pivot of a column is the share of its square outside the columns before it.
    """
    p = gram.shape[-1]
    norm = np.sqrt(np.diagonal(gram, axis1=-2, axis2=-1))
    norm = np.where(norm > 0.0, norm, np.inf)
    swept = gram / (norm[..., :, None] * norm[..., None, :])
    redundant = np.full(gram.shape[:-2], -1)
    for j in range(p):
        pivot = swept[..., j, j]
        bad = ~(pivot > COLLINEAR)
        redundant = np.where(bad & (redundant < 0), j, redundant)
        pivot = np.where(bad, 1.0, pivot)[..., None]
        row, column = swept[..., j, :] / pivot, swept[..., :, j].copy()
        swept = swept - column[..., :, None] * row[..., None, :]
        swept[..., j, :] = row
        swept[..., :, j] = -column / pivot
        swept[..., j, j] = 1.0 / pivot[..., 0]
    return swept / (norm[..., :, None] * norm[..., None, :]), redundant
