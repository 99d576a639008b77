"""The likelihood of a location-scale model, y_i ~ N(x_i'β, v_i + exp(z_i'α)), as a function of α alone.

The coefficients β are maximised out (or integrated out, for the restricted likelihood) in closed form. First and
second derivatives are exact and cost O(k (p² + q) q); no k x k matrix is formed.

Source: Viechtbauer & López-López 2022, doi:10.1002/jrsm.1562; derivatives from Harville 1977,
doi:10.1080/01621459.1977.10480998.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dualtrace.pooling.likelihood import LOG_2PI, Array

STEPS = 300
"""Steps of one climb; Newton's method with damping needs a few dozen at most."""

LONGEST = 3.0
"""Largest change of any log variance in one step."""

DONE = 1e-18
"""Gain in the likelihood that a further step promises at which a climb ends."""

FLOOR = -200.0
"""Least log variance, relative to the smallest sampling variance, that is represented."""


class Problem(NamedTuple):
    """One data set: effects and variances (k,), orthonormal bases of both designs (k, p) and (k, q)."""

    y: Array
    v: Array
    basis: Array
    scale: Array
    restricted: bool


class Point(NamedTuple):
    """The likelihood at one α.

    Attributes
    ----------
    ll
        Log-likelihood with all constants.
    gradient, hessian
        In the coordinates of the scale basis, (q,) and (q, q).
    tau2, weight
        exp(η) and 1/(v + exp(η)), (k,).
    coef, cov
        Coefficients of the location basis and (Q'WQ)⁻¹, (p,) and (p, p).
    resid
        Residuals, (k,).
    """

    ll: float
    gradient: Array
    hessian: Array
    tau2: Array
    weight: Array
    coef: Array
    cov: Array
    resid: Array


def evaluate(given: Problem, gamma: Array) -> Point:
    """Likelihood and derivatives at coordinates gamma of the scale basis.

    With P = W - WQ(Q'WQ)⁻¹Q'W and u = Py:  ∂ℓ/∂τ_i² = ½(u_i² - P_ii), ∂²ℓ/∂τ_i²∂τ_j² = ½P_ij² - u_i P_ij u_j; for
    the unrestricted likelihood W stands for P in the terms without u.
    """
    k, p = given.basis.shape
    floor = np.log(given.v.min()) + FLOOR
    tau2 = np.exp(np.maximum(given.scale @ gamma, floor))
    total = given.v + tau2
    w = 1.0 / total
    information = given.basis.T @ (w[:, None] * given.basis)
    root = np.linalg.cholesky(information)
    half = np.linalg.solve(root, (w[:, None] * given.basis).T).T  # P = W - half·half'
    cov = np.linalg.inv(information)
    coef = cov @ (given.basis.T @ (w * given.y))
    resid = given.y - given.basis @ coef
    u = w * resid
    ll = -0.5 * (k * LOG_2PI + np.log(total).sum() + resid @ u)
    bent = tau2[:, None] * given.scale
    pull = u[:, None] * bent
    across = half.T @ pull
    hessian = across.T @ across - pull.T @ (w[:, None] * pull)
    square = 0.5 * w * w
    slope = 0.5 * (u * u - w)
    if given.restricted:
        ll += 0.5 * p * LOG_2PI - np.log(np.diag(root)).sum()
        leverage = np.einsum("kp,kp->k", half, half)
        slope = slope + 0.5 * leverage
        square = square - w * leverage
        pairs = (half[:, :, None] * half[:, None, :]).reshape(k, p * p).T @ bent
        hessian = hessian + 0.5 * pairs.T @ pairs
    hessian = hessian + bent.T @ (square[:, None] * bent) + given.scale.T @ ((slope * tau2)[:, None] * given.scale)
    return Point(float(ll), bent.T @ slope, hessian, tau2, w, coef, cov, resid)


def climb(given: Problem, gamma: Array) -> tuple[Array, Point]:
    """Nearest maximum uphill from gamma, by Newton's method damped until the likelihood rises."""
    here = evaluate(given, gamma)
    damping = 0.0
    unit = np.eye(gamma.size)
    for _ in range(STEPS):
        values, vectors = np.linalg.eigh(-here.hessian)
        curve = np.maximum(np.abs(values), 1e-12 * np.abs(values).max() + 1e-300) + damping
        step = vectors @ ((vectors.T @ here.gradient) / curve)
        longest = float(np.abs(given.scale @ step).max())
        step = step * min(1.0, LONGEST / longest) if longest > 0.0 else step
        if 0.5 * float(here.gradient @ step) < DONE * (1.0 + abs(here.ll)):
            return gamma + step * (float(values.min()) > 0.0), here
        there = evaluate(given, gamma + step)
        if there.ll >= here.ll:
            gamma, here, damping = gamma + step, there, 0.1 * damping
        else:
            damping = max(10.0 * damping, 1e-3 * float(curve.max()))
            if damping > 1e12 * float(unit.sum() + curve.max()):
                return gamma, here
    return gamma, here
