"""Estimators of the between-row variance τ² that equate one quadratic form in y with its expectation.

With weights a_i > 0, D = diag(a) and A = D - DX(X'DX)⁻¹X'D, the form y'Ay has expectation tr(AV) + τ² tr(A), V the
sampling variances, whatever β. All are batched over data sets and cost O(k p²) each; no k x k matrix is formed.

Sources: DerSimonian & Kacker 2007, doi:10.1016/j.cct.2006.04.004; Viechtbauer 2005,
doi:10.3102/10769986030003261; Jackson, Turner, Rhodes & Viechtbauer 2014, doi:10.1186/1471-2288-14-103.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dualtrace.pooling.likelihood import Array, Data, Wls, gram, inverse

if TYPE_CHECKING:
    from dualtrace.pooling.contract import Tau2Method


class Form(NamedTuple):
    """A quadratic form y'Ay of every data set.

    Attributes
    ----------
    weight
        a, (n, k), 0 for rows left out.
    cov
        (Q'DQ)⁻¹, (n, p, p).
    resid
        Residuals of least squares with weights a, (n, k).
    """

    weight: Array
    cov: Array
    resid: Array

    @property
    def value(self) -> Array:
        """Y'Ay = Σ a_i r_i², (n,)."""
        total: Array = np.einsum("nk,nk->n", self.weight * self.resid, self.resid)
        return total


def form(sets: Data, weight: Array) -> Form:
    """Quadratic form with the weights given, (n, k) or (k,); rows left out get none."""
    weight = weight * sets.use
    cov = inverse(gram(weight, sets))[0]
    coef = (((weight * sets.y) @ sets.basis)[:, None, :] @ cov)[:, 0, :]
    return Form(weight, cov, sets.y - coef @ sets.basis.T)


def trace(sets: Data, made: Form, s: Array) -> Array:
    """tr(A diag(s)) = Σ a s - tr(C Q'diag(a² s)Q), C = (Q'DQ)⁻¹, (n,)."""
    a = made.weight
    outside: Array = np.einsum("nij,nji->n", made.cov, gram(a * a * s, sets))
    total: Array = (a * s).sum(-1)
    return total - outside


def pair_trace(sets: Data, made: Form, s: Array, t: Array) -> Array:
    """tr(A diag(s) A diag(t)), (n,).

    Σ a² s t - 2 tr(C Q'diag(a³ s t)Q) + tr(C Q'diag(a² s)Q C Q'diag(a² t)Q).
    """
    a = made.weight
    a2 = a * a
    middle = np.einsum("nij,nji->n", made.cov, gram(a2 * a * s * t, sets))
    left, right = made.cov @ gram(a2 * s, sets), made.cov @ gram(a2 * t, sets)
    total: Array = (a2 * s * t).sum(-1) - 2.0 * middle + np.einsum("nij,nji->n", left, right)
    return total


def moment_estimate(sets: Data, made: Form) -> Array:
    """τ² = max(0, (y'Ay - tr(AV)) / tr A), (n,).

    Weights 1/v give DerSimonian and Laird's estimator, equal weights Hedges and Olkin's (HE), any others GENQ.
    """
    return np.maximum(0.0, (made.value - trace(sets, made, sets.v)) / trace(sets, made, np.ones_like(sets.v)))


def hunter_schmidt(sets: Data, *, corrected: bool) -> Array:
    """τ² = max(0, (Q - k)/Σw), or with Q k/(k - p) for Q; w = 1/v, (n,).

    Sources: Schmidt & Hunter 2015, doi:10.4135/9781483398105; Brannick, Potter, Benitez & Morris 2019 (correction),
    doi:10.1177/1094428117741966.
    """
    made = form(sets, 1.0 / sets.v)
    q = made.value * (sets.k / (sets.k - sets.p) if corrected else 1.0)
    value: Array = (q - sets.k) / made.weight.sum(-1)
    return np.maximum(0.0, value)


def sidik_jonkman_start(sets: Data) -> Array:
    """Crude estimate Σ(y - ȳ)²/k that the estimator of Sidik and Jonkman starts from, (n,)."""
    first = np.argmax(sets.use > 0.0, axis=-1)[:, None]
    y = sets.y - np.take_along_axis(sets.y, first, axis=-1)  # so that equal effects differ by exactly 0
    mean = (sets.use * y).sum(-1) / sets.k
    crude: Array = (sets.use * (y - mean[:, None]) ** 2).sum(-1) / sets.k
    return crude


def sidik_jonkman(sets: Data) -> Array:
    """τ² = τ₀² y'Py/(k - p), P at the crude estimate τ₀², (n,); positive unless all effects are equal.

    Source: Sidik & Jonkman 2005, doi:10.1111/j.1467-9876.2005.00489.x.
    """
    start = sidik_jonkman_start(sets)
    value: Array = start * form(sets, 1.0 / (sets.v + start[:, None])).value / (sets.k - sets.p)
    return value


def standard_error(sets: Data, tau2: Array, method: Tau2Method, weights: Array | None) -> Array:
    """Standard error of a moment estimator, (n,).

    τ² is c·y'Ay plus a constant, so its variance under the model is
    c² [2 tr(AVAV) + 4τ² tr(AVA) + 2τ⁴ tr(AA)]; truncation at 0 is ignored.

    Source: Biggerstaff & Tweedie 1997, doi:10.1002/(SICI)1097-0258(19970415)16:7<753::AID-SIM494>3.0.CO;2-G.
    """
    ones = np.ones_like(sets.v)
    df = sets.k - sets.p
    if method == "SJ":
        start = sidik_jonkman_start(sets)
        made = form(sets, 1.0 / (sets.v + start[:, None]))
        factor = start / df
    else:
        made = form(sets, weights_of(sets, method, weights))
        factor = 1.0 / (made.weight.sum(-1) if method in {"HS", "HSk"} else trace(sets, made, ones))
        if method == "HSk":
            factor = factor * sets.k / df
    variance = (
        2.0 * pair_trace(sets, made, sets.v, sets.v)
        + 4.0 * tau2 * pair_trace(sets, made, sets.v, ones)
        + 2.0 * tau2**2 * pair_trace(sets, made, ones, ones)
    )
    found: Array = factor * np.sqrt(variance)
    return found


def weights_of(sets: Data, method: Tau2Method, weights: Array | None) -> Array:
    """Weights a of the form behind a moment estimator."""
    if method == "HE":
        return np.ones_like(sets.v)
    if method in {"GENQ", "GENQM"} and weights is not None:
        return np.broadcast_to(weights, sets.v.shape)
    return 1.0 / sets.v


def weighted(sets: Data, tau2: Array, weights: Array) -> Wls:
    """Coefficients by least squares with weights of the user's, and their covariance.

    b = (X'DX)⁻¹X'Dy,  Var(b) = (X'DX)⁻¹ X'D (V + τ²I) D X (X'DX)⁻¹.
    """
    made = form(sets, np.broadcast_to(weights, sets.v.shape))
    coef = (((made.weight * sets.y) @ sets.basis)[:, None, :] @ made.cov)[:, 0, :]
    middle = gram(made.weight**2 * (sets.v + tau2[:, None]), sets)
    nothing = np.full(tau2.shape, np.nan)
    return Wls(made.weight, coef, made.cov @ middle @ made.cov, nothing, made.resid)
