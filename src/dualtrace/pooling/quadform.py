"""Distribution of a quadratic form in normal variables, and the estimators and intervals of τ² that rest on it.

The generalised Q statistic y'Ay (see ``moments``) is distributed as Σ λ_j χ²₁ with λ the eigenvalues of
Σ^{1/2} A Σ^{1/2}, Σ = diag(v + τ²). Its Laplace transform Π (1 + 2λ_j s)^{-1/2} needs no eigenvalues of k x k
matrices: Π (1 + 2λ_j s) = Π (1 + 2 a_i σ_i s) · |Q'diag(a/(1 + 2 a σ s))Q| / |Q'diag(a)Q|.

Sources: Jackson 2013, doi:10.1002/jrsm.1081; Jackson, Turner, Rhodes & Viechtbauer 2014,
doi:10.1186/1471-2288-14-103; Trefethen, Weideman & Schmelzer 2006 (contour), doi:10.1007/s10543-006-0077-9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dualtrace.errors import FitError
from dualtrace.pooling.moments import form

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualtrace.pooling.likelihood import Array, Data, Ints

NODES = 24
"""Points of the contour; its error falls by a factor of nearly 4 with each and is then near 1e-12."""

WIDEST = 1e12
"""Largest τ² searched, in units of the largest sampling variance or squared effect."""

_HALF = NODES // 2
_ANGLE = np.pi * (2.0 * np.arange(_HALF) + 1.0) / NODES
CONTOUR = NODES * (0.5017 * _ANGLE / np.tan(0.6407 * _ANGLE) - 0.6122 + 0.2645j * _ANGLE)
TANGENT = NODES * (
    0.5017 / np.tan(0.6407 * _ANGLE) - 0.5017 * 0.6407 * _ANGLE / np.sin(0.6407 * _ANGLE) ** 2 + 0.2645j
)
"""Half of a cotangent contour s(θ) around the negative real axis, and its tangent."""


def probability(sets: Data, weights: Array, tau2: Array, q: Array) -> Array:
    """P(y'Ay <= q) at a τ², (n,).

    The Laplace transform over s is inverted along a contour that opens to the left, where it decays.
    """
    a = np.broadcast_to(weights, sets.v.shape) * sets.use
    s = CONTOUR / np.where(q > 0.0, q, 1.0)[:, None]  # (n, nodes)
    grow = 1.0 + 2.0 * (a * (sets.v + tau2[:, None]))[:, None, :] * s[:, :, None]
    log_transform = np.log(grow).sum(-1) + _log_det_ratio(sets, a, grow)
    terms = np.exp(CONTOUR - 0.5 * log_transform) * TANGENT / CONTOUR
    below: Array = (2.0 / NODES) * terms.imag.sum(-1)
    return np.where(q > 0.0, np.clip(below, 0.0, 1.0), 0.0)


def _log_det_ratio(sets: Data, a: Array, grow: Array) -> Array:
    """Log |Q'diag(a/g)Q| / |Q'diag(a)Q|, (n, nodes).

    With a^{1/2}Q = U R the ratio is |U'diag(1/g)U|. On the upper half of the contour every 1/g points into the
    lower half plane, so do the eigenvalues, and principal logarithms add up to the right branch.
    """
    u = np.linalg.qr(np.sqrt(a)[:, :, None] * sets.basis)[0]
    p = sets.p
    pairs = (u[:, :, :, None] * u[:, :, None, :]).reshape(*u.shape[:2], p * p)
    inside = np.einsum("nmk,nkq->nmq", 1.0 / grow, pairs)
    if p == 1:
        ratio: Array = np.log(inside[:, :, 0])
        return ratio
    several: Array = np.log(np.linalg.eigvals(inside.reshape(*inside.shape[:2], p, p))).sum(-1)
    return several


def solve(sets: Data, weights: Array, target: float) -> Array:
    """τ² >= 0 at which P(y'Ay <= observed) equals the target, 0 where it is below the target at 0, (n,).

    The probability falls as τ² grows. The search halves a bracket on the axis log(s + τ²), s the smallest
    sampling variance, and takes the secant's point when that lies well inside.
    """
    q = form(sets, np.broadcast_to(weights, sets.v.shape)).value
    scale = np.where(sets.use > 0.0, sets.v, np.inf).min(-1)
    low = np.zeros(q.shape)
    active = np.flatnonzero(probability(sets, weights, low, q) > target)
    high = np.maximum(np.ptp(sets.y * sets.use, axis=-1) ** 2, sets.v.max(-1))
    largest = WIDEST * high
    found = np.zeros(q.shape)
    if not active.size:
        return found

    def excess(index: Ints, x: Array) -> Array:
        a = weights_at(weights, index)
        return probability(sets.pick(index), a, scale[index] * np.expm1(x), q[index]) - target

    a = np.zeros(active.size)
    b = np.log1p(high[active] / scale[active])
    rising = np.arange(active.size)
    while rising.size:
        rising = rising[excess(active[rising], b[rising]) > 0.0]
        b[rising] += np.log(16.0)
        if np.any(scale[active] * np.expm1(b) > largest[active]):
            raise FitError("The quadratic form puts no upper limit on tau2: the data hold too little information.")
    found[active] = scale[active] * np.expm1(_bisect(excess, active, a, b))
    return found


def weights_at(weights: Array, index: Ints) -> Array:
    """Weights of the data sets picked; one row of weights serves all."""
    return weights if weights.ndim == 1 else weights[index]


def _bisect(excess: Callable[[Ints, Array], Array], active: Ints, a: Array, b: Array) -> Array:
    """Zero of a falling function between a and b by the method of Illinois (safeguarded false position)."""
    fa, fb = excess(active, a), excess(active, b)
    side = np.zeros(a.size)
    for _ in range(200):
        x = b - fb * (b - a) / (fb - fa)
        x = np.where((x > a) & (x < b), x, 0.5 * (a + b))
        fx = excess(active, x)
        up = fx > 0.0
        fb = np.where(up & (side == 1.0), 0.5 * fb, np.where(up, fb, fx))
        fa = np.where(~up & (side == -1.0), 0.5 * fa, np.where(up, fx, fa))
        side = np.where(up, 1.0, -1.0)
        a, b = np.where(up, x, a), np.where(up, b, x)
        if np.all((b - a <= 1e-13 * (1.0 + b)) | (np.abs(fx) < 1e-14)):
            break
    return np.asarray(x)
