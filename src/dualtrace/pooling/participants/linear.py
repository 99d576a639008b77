"""Linear mixed model of participants in trials, by the block structure: cost grows with trials, not participants.

    y_j = X_j β + Z_j b_j + e_j,   b_j ~ N(0, Ψ),   e_j ~ N(0, σ_j² I)

Only the cross-products of each trial's columns enter. With Ψ = LL' and M_j = σ_j² I + L'Z_j'Z_j L,
a'V_j⁻¹b = σ_j⁻² [a'b - a'Z_j (L M_j⁻¹ L') Z_j'b], so no matrix is larger than the coefficients.

Source: Laird & Ware 1982, doi:10.2307/2529876; Harville 1977, doi:10.1080/01621459.1977.10480998.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dualtrace.pooling.climb import Top, climb
from dualtrace.pooling.likelihood import LOG_2PI

if TYPE_CHECKING:
    from dualtrace.pooling.likelihood import Array, Ints


class Blocks(NamedTuple):
    """Cross-products of k trials.

    Attributes
    ----------
    n
        Participants, (k,).
    xx, xz, zz
        Of the fixed columns with the outcome as the last one, and of the random columns: (k, p + 1, p + 1),
        (k, p + 1, q), (k, q, q).
    shared
        Whether all trials share one residual variance.
    restricted
        Whether the likelihood is the restricted one.
    """

    n: Array
    xx: Array
    xz: Array
    zz: Array
    shared: bool
    restricted: bool

    @property
    def p(self) -> int:
        """Coefficients."""
        return int(self.xx.shape[-1]) - 1

    @property
    def q(self) -> int:
        """Random effects of a trial."""
        return int(self.zz.shape[-1])


class Fitted(NamedTuple):
    """A fitted linear mixed model.

    Attributes
    ----------
    beta, vb
        Coefficients and their covariance, (p,) and (p, p).
    df
        Satterthwaite degrees of freedom of each coefficient, (p,).
    psi
        Covariance of the random effects, (q, q).
    sigma2
        Residual variances, (1,) when shared, else (k,).
    ll
        (Restricted) log-likelihood.
    """

    beta: Array
    vb: Array
    df: Array
    psi: Array
    sigma2: Array
    ll: float


class State(NamedTuple):
    """Generalised least squares at one set of variances."""

    ll: float
    gradient: Array
    beta: Array
    cov: Array


def blocks(y: Array, X: Array, Z: Array, trial: Ints, *, shared: bool, restricted: bool) -> Blocks:
    """Cross-products by trial of columns (n, p) and (n, q), trials numbered from 0."""
    full = np.column_stack([X, y, Z])
    k, m = int(trial.max()) + 1, full.shape[1]
    cross = np.zeros((k, m, m))
    for j in range(k):
        mine = full[trial == j]
        cross[j] = mine.T @ mine
    p = X.shape[1] + 1
    n = np.bincount(trial, minlength=k).astype(float)
    return Blocks(n, cross[:, :p, :p], cross[:, :p, p:], cross[:, p:, p:], shared, restricted)


def fit(given: Blocks, scale: float) -> Fitted:
    """Maximise the (restricted) likelihood.

    Parameters
    ----------
    given
        Cross-products.
    scale
        A typical residual standard deviation: parameters are measured in it.

    Raises
    ------
    FitError
        If no maximum is reached.
    """
    unit = scale_blocks(given, scale)
    lower = np.tril_indices(unit.q)
    variances = 1 if unit.shared else unit.n.size
    start = np.concatenate([np.where(lower[0] == lower[1], 0.5, 0.0), np.zeros(variances)])
    bounded = np.concatenate([lower[0] == lower[1], np.zeros(variances, dtype=bool)])

    def function(x: Array) -> tuple[float, Array]:
        here = evaluate(unit, x)
        return here.ll, here.gradient

    top = climb(function, start, bounded, what="The linear mixed model")
    best = evaluate(unit, top.x)
    L, log_sigma2 = unpack(unit, top.x)
    n, p = float(given.n.sum()), given.p
    return Fitted(
        beta=best.beta * scale,
        vb=best.cov * scale**2,
        df=satterthwaite(unit, top),
        psi=L @ L.T * scale**2,
        sigma2=np.exp(log_sigma2[: 1 if unit.shared else None]) * scale**2,
        ll=best.ll - (n - (p if given.restricted else 0)) * float(np.log(scale)),
    )


def scale_blocks(given: Blocks, scale: float) -> Blocks:
    """The same trials with the outcome measured in another unit."""
    xx, xz = given.xx.copy(), given.xz.copy()
    xx[:, -1] /= scale
    xx[:, :, -1] /= scale
    xz[:, -1] /= scale
    return given._replace(xx=xx, xz=xz)


def unpack(given: Blocks, x: Array) -> tuple[Array, Array]:
    """L, (q, q), and log σ_j², (k,), from the parameters."""
    lower = np.tril_indices(given.q)
    L = np.zeros((given.q, given.q))
    L[lower] = x[: lower[0].size]
    return L, np.broadcast_to(x[lower[0].size :], given.n.shape)


def evaluate(given: Blocks, x: Array) -> State:
    """(Restricted) log-likelihood, its gradient, and the coefficients at variances x.

    ∂ℓ/∂Ψ = ½ Σ_j [u u' - Z'V⁻¹Z + Z'V⁻¹X C X'V⁻¹Z],  u = Z'V⁻¹r,  C = (X'V⁻¹X)⁻¹;  ∂ℓ/∂L = 2 (∂ℓ/∂Ψ) L
    ∂ℓ/∂σ_j² = ½ [r'V⁻²r - tr V⁻¹ + tr(C X'V⁻²X)]

    with all constants; the terms in C belong to the restricted likelihood.
    """
    p, q = given.p, given.q
    L, log_sigma2 = unpack(given, x)
    s2 = np.exp(log_sigma2)[:, None, None]
    M = s2 * np.eye(q) + L.T @ given.zz @ L
    K = L @ np.linalg.solve(M, np.broadcast_to(L.T, M.shape))
    xzK = given.xz @ K
    first = (given.xx - xzK @ given.xz.transpose(0, 2, 1)) / s2  # [X y]'V⁻¹[X y]
    xz = (given.xz - xzK @ given.zz) / s2
    zz = (given.zz - given.zz @ K @ given.zz) / s2
    second = (first - xz @ K @ given.xz.transpose(0, 2, 1)) / s2  # [X y]'V⁻²[X y]
    total = first.sum(axis=0)
    cov = np.linalg.inv(total[:p, :p])
    beta = cov @ total[:p, p]
    resid = np.append(-beta, 1.0)
    log_det = ((given.n - q) * log_sigma2).sum() + np.linalg.slogdet(M)[1].sum()
    u = np.einsum("p,jpq->jq", resid, xz)
    free = 0.0
    of_psi = np.einsum("ja,jb->ab", u, u) - zz.sum(axis=0)
    of_s2 = (
        np.einsum("p,jpr,r->j", resid, second, resid) - (given.n - np.einsum("jab,jba->j", K, given.zz)) / s2[:, 0, 0]
    )
    if given.restricted:
        of_psi += np.einsum("jpa,pr,jrb->ab", xz[:, :p], cov, xz[:, :p])
        of_s2 += np.einsum("pr,jrp->j", cov, second[:, :p, :p])
        plain = np.linalg.slogdet(given.xx[:, :p, :p].sum(axis=0))[1]
        free = np.linalg.slogdet(total[:p, :p])[1] - plain - p * LOG_2PI
    ll = -0.5 * (given.n.sum() * LOG_2PI + log_det + resid @ total @ resid + free)
    slope = 0.5 * of_s2 * s2[:, 0, 0]
    gradient = np.concatenate([(of_psi @ L)[np.tril_indices(q)], [slope.sum()] if given.shared else slope])
    return State(float(ll), gradient, beta, cov)


def satterthwaite(given: Blocks, top: Top) -> Array:
    """Degrees of freedom 2 v² / (g'Ag) of each coefficient, (p,).

    v is its variance, g the derivative of v in the variance parameters, A their covariance, the inverse of the
    observed information; parameters on their bound are taken as known.

    Source: Satterthwaite 1946, doi:10.2307/3002019; Giesbrecht & Burns 1985, doi:10.2307/2530872.
    """
    free = np.flatnonzero(top.free)
    covariance = np.linalg.pinv(-top.hessian[np.ix_(free, free)], hermitian=True)
    v = np.diag(evaluate(given, top.x).cov)
    slopes = []
    for j in free:
        step = np.zeros(top.x.size)
        step[j] = 1e-5 * max(1.0, abs(top.x[j]))
        ahead, behind = (np.diag(evaluate(given, top.x + sign * step).cov) for sign in (1.0, -1.0))
        slopes.append((ahead - behind) / (2.0 * step[j]))
    g = np.array(slopes)
    return np.asarray(2.0 * v**2 / np.einsum("ap,ab,bp->p", g, covariance, g), dtype=np.float64)
