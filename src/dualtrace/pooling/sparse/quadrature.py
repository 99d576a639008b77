"""Integrals over normal random effects by adaptive Gauss-Hermite quadrature, with all derivatives.

For row i with arms j, predictors ζ_j = η_j + Σ_r c_jr σ_r z_r and independent standard normal z,

    L_i = ∫ Π_j f_j(ζ_j) φ(z) dz.

Nodes are placed around the mode of the integrand and scaled by its curvature there. Derivatives are moments under
the posterior of z: with D = ∂ log f and S = ∂² log f, ∂ log L = E D and ∂² log L = E(S + DD') − E D E D'.

Sources: Liu & Pierce 1994, doi:10.1093/biomet/81.3.624; Pinheiro & Bates 1995,
doi:10.1080/10618600.1995.10474663; Louis 1982, doi:10.1111/j.2517-6161.1982.tb01203.x.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import roots_hermite

if TYPE_CHECKING:
    from dualtrace.pooling.likelihood import Array
    from dualtrace.pooling.sparse.families import Family


MANY = 100
"""With so many nodes, one random effect and a wide integrand the nodes are set evenly: a wide normal sees the steps
of the counts' law, poles near the real axis, where the trapezoidal rule still converges geometrically
(Trefethen & Weideman 2014, doi:10.1137/130932132)."""

NARROW = 0.12
"""Posterior standard deviation of z below which Gauss-Hermite nodes stay."""

REACH = 8.5
"""Even nodes reach so far from the mode; curvature is at least 1, so what is beyond is below e^-36 of the top."""


class Effects(NamedTuple):
    """Where m evaluations of a model stand.

    Attributes
    ----------
    eta
        Fixed part of the predictors, (m, k, J).
    sigma
        Standard deviations of the random effects, (m, R).
    loads
        Loading of each arm on each random effect, (J, R).
    """

    eta: Array
    sigma: Array
    loads: Array


class Marginal(NamedTuple):
    """Marginal log-likelihood of every row with its derivatives in (η_1 ... η_J, σ_1 ... σ_R).

    Attributes
    ----------
    value
        log L, (m, k).
    first, second
        Gradient (m, k, J+R) and Hessian (m, k, J+R, J+R).
    rise
        Derivative in the variances σ_r², (m, k, R); unlike that in σ_r it says at σ_r = 0 whether L rises.
    mode
        Mode of the integrand, (m, k, R).
    """

    value: Array
    first: Array
    second: Array
    rise: Array
    mode: Array


@lru_cache(maxsize=32)
def rule(nodes: int, dimensions: int) -> tuple[Array, Array]:
    """Nodes (N, R) and log weights (N,) for the integral of g(x) dx, N = nodes^R."""
    x, w = roots_hermite(nodes)
    x, w = x[w > 1e-280], w[w > 1e-280]
    log_w = np.log(w) + x**2
    if dimensions == 1:
        return x[:, None], log_w
    grid = np.stack(np.meshgrid(x, x, indexing="ij"), axis=-1).reshape(-1, 2)
    return grid, (log_w[:, None] + log_w[None, :]).ravel()


def marginal(family: Family, at: Effects, *, nodes: int, start: Array | None = None) -> Marginal:
    """Marginal log-likelihood and derivatives.

    Parameters
    ----------
    family
        Log-likelihood of the counts given their predictors.
    at
        Fixed predictors, standard deviations, loadings.
    nodes
        Quadrature nodes per random effect.
    start
        Where the search for the mode starts, (m, k, R).
    """
    m, k, _ = at.eta.shape
    R = at.loads.shape[1]
    mode, spread, log_det = _mode(family, at, np.zeros((m, k, R)) if start is None else start)
    x, log_w = rule(nodes, R)
    z = mode[:, None] + np.sqrt(2.0) * np.einsum("mkrq,nq->mnkr", spread, x)
    weight = log_w[:, None] + log_det[:, None] - 0.5 * R * np.log(np.pi)
    if R == 1 and nodes >= MANY:
        wide = (spread > NARROW)[:, None, :, :, 0]
        grid = REACH * np.linspace(-1.0, 1.0, log_w.size)
        even = np.log(grid[1] - grid[0]) - 0.5 * np.log(2.0 * np.pi)
        z = np.where(wide, mode[:, None] + grid[:, None, None], z)
        weight = np.where(wide[..., 0], even, weight)
    move = (z * at.sigma[:, None, None, :]) @ at.loads.T
    terms = family(at.eta[:, None] + move)
    log_p = terms.value.sum(-1) - 0.5 * (z * z).sum(-1) + weight
    top = log_p.max(axis=1, keepdims=True)
    p = np.exp(log_p - top)
    total = p.sum(axis=1, keepdims=True)
    p = p / total
    value = (top + np.log(total))[:, 0]
    first, second = _moments(p, z, terms.first, terms.second, at.loads)
    slope, bend = terms.first @ at.loads, terms.second @ at.loads**2
    rise = 0.5 * np.einsum("mnk,mnkr->mkr", p, bend + slope**2)
    return Marginal(value, first, second, rise, mode)


def _moments(p: Array, z: Array, first: Array, second: Array, loads: Array) -> tuple[Array, Array]:
    """Gradient and Hessian from posterior weights p (m, N, k), nodes z (m, N, k, R) and arm derivatives.

    ∂ζ_j/∂η_j = 1 and ∂ζ_j/∂σ_r = c_jr z_r.
    """
    J, R = loads.shape
    score = np.concatenate([first, z * (first @ loads)], axis=-1)
    gradient = np.einsum("mnk,mnka->mka", p, score)
    centred = score - gradient[:, None]
    hessian = np.einsum("mnka,mnkb->mkab", p[..., None] * centred, centred)
    weighted = p[..., None] * second
    arms = np.arange(J)
    hessian[:, :, arms, arms] += weighted.sum(1)
    mixed = np.einsum("mnkj,mnkr->mkjr", weighted, z) * loads
    hessian[:, :, :J, J:] += mixed
    hessian[:, :, J:, :J] += mixed.swapaxes(-1, -2)
    for r in range(R):
        for q in range(R):
            both = (weighted @ (loads[:, r] * loads[:, q])) * z[..., r] * z[..., q]
            hessian[:, :, J + r, J + q] += both.sum(1)
    return gradient, hessian


def _mode(family: Family, at: Effects, z: Array) -> tuple[Array, Array, Array]:
    """Mode of Σ log f(ζ) − |z|²/2, a factor B of the inverse curvature (BB' = M⁻¹), and log|B|.

    The function is concave with curvature M of at least 1, so Newton's step with halving always arrives.
    """
    J, R = at.loads.shape
    sigma = at.sigma[:, None, :]
    products = (at.loads[:, :, None] * at.loads[:, None, :]).reshape(J, R * R)

    def look(z: Array) -> tuple[Array, Array, Array]:
        terms = family(at.eta + (z * sigma) @ at.loads.T)
        height = terms.value.sum(-1) - 0.5 * (z * z).sum(-1)
        gradient = (terms.first @ at.loads) * sigma - z
        curvature = (
            np.eye(R) - (terms.second @ products).reshape(*z.shape, R) * sigma[..., None] * sigma[..., None, :]
        )
        return height, gradient, curvature

    height, gradient, curvature = look(z)
    for _ in range(200):
        factor, log_det = _factor(curvature)
        step = gradient * factor[..., 0] ** 2 if R == 1 else np.einsum("mkrq,mksq,mks->mkr", factor, factor, gradient)
        if np.abs(step).max() < 1e-7:
            break
        while True:
            trial = look(z + step)
            worse = trial[0] < height - 1e-9 * np.abs(height)
            if not worse.any():
                break
            step = np.where(worse[..., None], 0.5 * step, step)
        z = z + step
        height, gradient, curvature = trial
    factor, log_det = _factor(curvature)
    return z, factor, log_det


def _factor(curvature: Array) -> tuple[Array, Array]:
    """B with BB' = M⁻¹, and log|B|, for matrices (m, k, R, R), R = 1 or 2."""
    if curvature.shape[-1] == 1:
        scale = 1.0 / np.sqrt(curvature)
        return scale, np.log(scale[..., 0, 0])
    lower = np.linalg.cholesky(curvature)
    a, b, d = lower[..., 0, 0], lower[..., 1, 0], lower[..., 1, 1]
    zero = np.zeros_like(a)
    inverse = np.stack([np.stack([1.0 / a, -b / (a * d)], -1), np.stack([zero, 1.0 / d], -1)], -2)
    return inverse, -np.log(a * d)
