"""Logistic mixed model of participants in trials, the random effects integrated by adaptive quadrature.

    logit P(y_i = 1) = x_i'β + z_i'b_j,   b_j = L u_j,   u_j ~ N(0, I)

Each trial's integral is taken on Gauss-Hermite nodes placed around its mode and stretched by its curvature.

Source: Pinheiro & Bates 1995, doi:10.1080/10618600.1995.10474663.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special

from dualtrace.pooling.climb import climb

if TYPE_CHECKING:
    from dualtrace.pooling.likelihood import Array, Ints

NODES = {1: 25, 2: 11, 3: 9}
"""Nodes per random effect, by how many a trial has."""


class Trials(NamedTuple):
    """Participants sorted by trial.

    Attributes
    ----------
    y, X, Z
        Outcome 0 or 1, fixed and random columns: (n,), (n, p), (n, q).
    trial, first
        Trial of each participant, (n,), and where each trial begins, (k,).
    x, log_w
        Gauss-Hermite nodes (m, q) and the logarithm of their weights times exp(x'x), (m,).
    """

    y: Array
    X: Array
    Z: Array
    trial: Ints
    first: Ints
    x: Array
    log_w: Array


class Fitted(NamedTuple):
    """A fitted logistic mixed model: coefficients, their covariance, covariance of random effects, log-likelihood."""

    beta: Array
    vb: Array
    psi: Array
    ll: float


def trials(y: Array, X: Array, Z: Array, trial: Ints) -> Trials:
    """Sort participants by trial and lay out the nodes."""
    order = np.argsort(trial, kind="stable")
    q = Z.shape[1]
    x, w = np.polynomial.hermite.hermgauss(NODES[q])
    grid = np.stack(np.meshgrid(*[x] * q, indexing="ij"), axis=-1).reshape(-1, q)
    weight = np.stack(np.meshgrid(*[np.log(w)] * q, indexing="ij"), axis=-1).reshape(-1, q).sum(axis=-1)
    sorted_trial = trial[order]
    first = np.flatnonzero(np.diff(sorted_trial, prepend=-1))
    return Trials(y[order], X[order], Z[order], sorted_trial, first, grid, weight + (grid**2).sum(axis=-1))


def fit(given: Trials, start: Array) -> Fitted:
    """Maximise the likelihood.

    Parameters
    ----------
    given
        Participants.
    start
        Coefficients to start from, (p,), those without random effects.

    Raises
    ------
    FitError
        If no maximum is reached.
    """
    p, q = given.X.shape[1], given.Z.shape[1]
    lower = np.tril_indices(q)
    begin = np.concatenate([start, np.where(lower[0] == lower[1], 0.4, 0.0)])
    bounded = np.concatenate([np.zeros(p, dtype=bool), lower[0] == lower[1]])
    top = climb(lambda x: evaluate(given, x), begin, bounded, what="The logistic mixed model")
    free = np.flatnonzero(top.free)
    vb = np.asarray(np.linalg.pinv(-top.hessian[np.ix_(free, free)], hermitian=True)[:p, :p], dtype=np.float64)
    L = np.zeros((q, q))
    L[lower] = top.x[p:]
    return Fitted(top.x[:p], vb, L @ L.T, top.value)


def evaluate(given: Trials, x: Array) -> tuple[float, Array]:
    """Log-likelihood and its gradient in β and in the lower triangle of L.

    The gradient is the average, over the posterior of the random effects, of the gradient with them known.
    """
    p, q = given.X.shape[1], given.Z.shape[1]
    lower = np.tril_indices(q)
    L = np.zeros((q, q))
    L[lower] = x[p:]
    fixed = given.X @ x[:p]
    mode, root = modes(given, fixed, L)
    u = mode[:, None, :] + np.sqrt(2.0) * np.einsum("kab,mb->kma", root, given.x)  # (k, m, q)
    eta = fixed[:, None] + np.einsum("ia,imb,ab->im", given.Z, u[given.trial], L)
    terms = given.y[:, None] * eta - np.logaddexp(0.0, eta)
    inside = np.add.reduceat(terms, given.first, axis=0) - 0.5 * (u * u).sum(axis=-1) + given.log_w
    peak = inside.max(axis=-1, keepdims=True)
    mass = np.exp(inside - peak)
    total = mass.sum(axis=-1, keepdims=True)
    size = np.log(np.abs(np.prod(np.diagonal(root, axis1=1, axis2=2), axis=-1))) - 0.5 * q * np.log(np.pi)
    ll = float((peak[:, 0] + np.log(total[:, 0]) + size).sum())
    weight = (mass / total)[given.trial]
    surprise = weight * (given.y[:, None] - special.expit(eta))
    of_beta = surprise.sum(axis=-1) @ given.X
    of_L = np.einsum("im,ia,imb->ab", surprise, given.Z, u[given.trial])
    return ll, np.concatenate([of_beta, of_L[lower]])


def modes(given: Trials, fixed: Array, L: Array) -> tuple[Array, Array]:
    """Mode of each trial's u, (k, q), and the inverse root R of its curvature H = R⁻ᵀR⁻¹, (k, q, q)."""
    k, q = given.first.size, L.shape[0]
    ZL = given.Z @ L
    outer = (ZL[:, :, None] * ZL[:, None, :]).reshape(-1, q * q)
    u = np.zeros((k, q))
    for _ in range(50):
        prob = special.expit(fixed + (ZL * u[given.trial]).sum(axis=-1))
        slope = np.add.reduceat(ZL * (given.y - prob)[:, None], given.first, axis=0) - u
        bend = np.add.reduceat(outer * (prob * (1.0 - prob))[:, None], given.first, axis=0).reshape(k, q, q)
        move = np.linalg.solve(bend + np.eye(q), slope[:, :, None])[:, :, 0]
        u = u + np.clip(move, -2.0, 2.0)
        if np.abs(move).max() < 1e-10:
            break
    return u, np.linalg.inv(np.linalg.cholesky(bend + np.eye(q))).transpose(0, 2, 1)


def plain(y: Array, X: Array) -> tuple[Array, Array]:
    """Logistic regression without random effects by Newton's method: coefficients and covariance.

    Coefficients run away where the outcome is separated; the caller must look for that.
    """
    beta = np.zeros(X.shape[1])
    information = np.eye(X.shape[1])
    for _ in range(60):
        prob = special.expit(X @ beta)
        information = (X * (prob * (1.0 - prob))[:, None]).T @ X
        move = np.linalg.lstsq(information, X.T @ (y - prob), rcond=None)[0]
        beta = beta + np.clip(move, -2.0, 2.0)
        if np.abs(move).max() < 1e-12 or np.abs(beta).max() > 40.0:
            break
    return beta, np.asarray(np.linalg.pinv(information, hermitian=True), dtype=np.float64)
