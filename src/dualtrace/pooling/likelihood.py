"""The marginal likelihood all fits share: y ~ N(Xβ, diag(v) + τ²I).

Everything here is batched: ``y``, ``v`` and ``use`` hold n data sets as rows of shape (n, k), ``tau2`` has
shape (n,), and all data sets share one design. A data set with fewer rows marks the others with ``use = 0``,
so leaving rows out, subsets and sets of different size run in one call. The design enters through an
orthonormal basis of its columns: the likelihood depends on the column space only, and badly scaled moderators
(a calendar year, say) then cost no digits. No k x k matrix is formed; every function is O(k p²) per data set.

Each function follows the arrays it is given: NumPy's are worked on by NumPy, JAX's (and its tracers) by JAX, so
that the same equations can be compiled, mapped and differentiated (see ``compiled``).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]

LOG_2PI = float(np.log(2.0 * np.pi))


class Data(NamedTuple):
    """n data sets of k rows that share one design.

    Attributes
    ----------
    y
        Effects, (n, k).
    v
        Known sampling variances, (n, k), positive.
    use
        1 for a row that counts, 0 for one left out, (n, k).
    basis
        Orthonormal basis Q of the design's columns, (k, p).
    squares
        Products of pairs of basis columns, (k, p·p), so that Q'diag(w)Q is one product ``w @ squares``.
    k
        Rows that count, (n,).
    """

    y: Array
    v: Array
    use: Array
    basis: Array
    squares: Array
    k: Array

    def pick(self, sets: Ints) -> Data:
        """Data sets by index, with repetition."""
        return self._replace(y=self.y[sets], v=self.v[sets], use=self.use[sets], k=self.k[sets])

    @property
    def p(self) -> int:
        """Coefficients."""
        return int(self.basis.shape[-1])


class Wls(NamedTuple):
    """Weighted least squares at one τ² per data set."""

    weight: Array  # 1 / (v + τ²), 0 for rows left out, (n, k)
    coef: Array  # of the basis columns, (n, p)
    cov: Array  # (Q'WQ)⁻¹, (n, p, p)
    log_det: Array  # log|Q'WQ|, (n,)
    resid: Array  # y - Q·coef, (n, k)

    @property
    def rss(self) -> Array:
        """Weighted residual sum of squares y'Py, (n,): the generalised Q statistic."""
        xp = self.weight.__array_namespace__()
        total: Array = xp.einsum("nk,nk->n", self.weight * self.resid, self.resid)
        return total


class Slope(NamedTuple):
    """A function of τ² with its first and second derivative, (n,) each."""

    value: Array
    first: Array
    second: Array


def data(y: Array, v: Array, basis: Array, *, use: Array | None = None) -> Data:
    """Bundle arrays of shape (n, k), or (k,) for one data set, with the basis (k, p) of their design."""
    y, v = np.broadcast_arrays(np.atleast_2d(y), np.atleast_2d(v))
    counted = np.ones_like(y) if use is None else np.atleast_2d(use).astype(float)
    if counted.shape != y.shape:
        y, v, counted = np.broadcast_arrays(y, v, counted)
    k, p = basis.shape
    squares = (basis[:, :, None] * basis[:, None, :]).reshape(k, p * p)
    return Data(y, v, counted, basis, squares, counted.sum(axis=-1))


def gram(weight: Array, sets: Data) -> Array:
    """Q'diag(w)Q for weights (n, k), shape (n, p, p)."""
    p = sets.p
    return (weight @ sets.squares).reshape(-1, p, p)


def inverse(matrix: Array) -> tuple[Array, Array]:
    """Inverse and log-determinant of positive definite matrices (n, p, p)."""
    xp = matrix.__array_namespace__()
    if matrix.shape[-1] == 1:
        return 1.0 / matrix, xp.log(matrix[:, 0, 0])
    return xp.linalg.inv(matrix), xp.linalg.slogdet(matrix)[1]


def wls(sets: Data, tau2: Array) -> Wls:
    """Weighted least squares with weights w_i = 1 / (v_i + τ²).

    Parameters
    ----------
    sets
        n data sets.
    tau2
        Between-row variance, (n,), in squared units of y.
    """
    weight = sets.use / (sets.v + tau2[:, None])
    cov, log_det = inverse(gram(weight, sets))
    coef = ((weight * sets.y) @ sets.basis)[:, None, :] @ cov
    coef = coef[:, 0, :]
    return Wls(weight, coef, cov, log_det, sets.y - coef @ sets.basis.T)


def loglik(sets: Data, tau2: Array, *, restricted: bool, fit: Wls | None = None) -> Array:
    """Log-likelihood, or restricted log-likelihood, with all constants, (n,).

    ℓ  = -½ [k log 2π + Σ log(v_i + τ²) + y'Py]
    ℓᴿ = -½ [(k-p) log 2π - log|X'X| + Σ log(v_i + τ²) + log|X'WX| + y'Py]

    with W = diag(1/(v_i + τ²)) and P = W - WX(X'WX)⁻¹X'W. The two determinants change by the same factor when
    the basis of the design changes, so ℓᴿ does not depend on the basis. ``fit`` is the least squares fit at τ²,
    where it is at hand.

    Sources: Harville 1977, doi:10.1080/01621459.1977.10480998; Viechtbauer 2005,
    doi:10.3102/10769986030003261.
    """
    xp = sets.y.__array_namespace__()
    fit = wls(sets, tau2) if fit is None else fit
    scale = xp.einsum("nk,nk->n", sets.use, xp.log(sets.v + tau2[:, None]))
    if not restricted:
        total: Array = sets.k * LOG_2PI + scale + fit.rss
        return -0.5 * total
    log_det_design = inverse(gram(sets.use, sets))[1]
    total = (sets.k - sets.p) * LOG_2PI - log_det_design + scale + fit.log_det + fit.rss
    return -0.5 * total


def traces(sets: Data, fit: Wls) -> tuple[Array, Array]:
    """tr(P) and tr(PP), (n,) each.

    tr P  = Σw - tr(C S₂),   tr PP = Σw² - 2 tr(C S₃) + tr(C S₂ C S₂),   C = (X'WX)⁻¹,  S_m = X'Wᵐ X.
    """
    xp = sets.y.__array_namespace__()
    w2 = fit.weight * fit.weight
    if sets.p == 1:
        c = fit.cov[:, 0, 0]
        lost = c * (w2 @ sets.squares)[:, 0]
        second = w2.sum(-1) - 2.0 * c * ((w2 * fit.weight) @ sets.squares)[:, 0] + lost * lost
        return fit.weight.sum(-1) - lost, second
    cov_s2 = fit.cov @ gram(w2, sets)
    cov_s3 = fit.cov @ gram(w2 * fit.weight, sets)
    trace = fit.weight.sum(-1) - xp.einsum("nii->n", cov_s2)
    trace2 = w2.sum(-1) - 2.0 * xp.einsum("nii->n", cov_s3) + xp.einsum("nij,nji->n", cov_s2, cov_s2)
    return trace, trace2


def quadratics(sets: Data, fit: Wls) -> tuple[Array, Array]:
    """Y'PPy and y'PPPy, (n,) each.

    With residuals r: y'PPy = Σ w² r²,   y'PPPy = Σ w³ r² - u'Cu,   u = X'W² r.
    The derivatives of Q(τ²) = y'Py are Q' = -y'PPy and Q'' = 2 y'PPPy.
    """
    xp = sets.y.__array_namespace__()
    wr = fit.weight * fit.resid
    u = (fit.weight * wr) @ sets.basis
    second = xp.einsum("nk,nk->n", wr, wr)
    third = xp.einsum("nk,nk->n", fit.weight * wr, wr) - xp.einsum("ni,nij,nj->n", u, fit.cov, u)
    return second, third


def slope(sets: Data, tau2: Array, *, restricted: bool) -> Slope:
    """Profile (restricted) log-likelihood in τ², β maximised out, with two derivatives.

    ℓ'  = ½ [y'PPy - Σw]     ℓ''  = ½ Σw²    - y'PPPy
    ℓᴿ' = ½ [y'PPy - tr P]   ℓᴿ'' = ½ tr(PP) - y'PPPy

    ``value`` omits terms that do not depend on τ².
    """
    xp = sets.y.__array_namespace__()
    fit = wls(sets, tau2)
    second, third = quadratics(sets, fit)
    scale = xp.einsum("nk,nk->n", sets.use, xp.log(sets.v + tau2[:, None]))
    if restricted:
        trace, trace2 = traces(sets, fit)
        return Slope(-0.5 * (scale + fit.log_det + fit.rss), 0.5 * (second - trace), 0.5 * trace2 - third)
    w = fit.weight
    return Slope(-0.5 * (scale + fit.rss), 0.5 * (second - w.sum(-1)), 0.5 * (w**2).sum(-1) - third)
