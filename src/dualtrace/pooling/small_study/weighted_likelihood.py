"""The likelihood of rows that were selected for reporting, with exact first and second derivatives."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dualtrace.pooling.likelihood import LOG_2PI, Array, Ints

if TYPE_CHECKING:
    from dualtrace.pooling.small_study.weighting import Integral, Observed, Weighting


class Rows(NamedTuple):
    """n data sets of k rows with one design.

    Attributes
    ----------
    z
        y/√v, (n, k).
    v
        Sampling variances, (n, k).
    basis
        Basis of the design, (k, p).
    weighting
        Selection function bound to the rows.
    """

    z: Array
    v: Array
    basis: Array
    weighting: Weighting

    def pick(self, index: Ints) -> Rows:
        """Some data sets, with repetition."""
        return Rows(self.z[index], self.v[index], self.basis, self.weighting.pick(index))


class Point(NamedTuple):
    """Log-likelihood (n,), gradient (n, P) and Hessian (n, P, P) in θ = (coefficients, τ², η)."""

    value: Array
    gradient: Array
    hessian: Array


class _Row(NamedTuple):
    """Derivatives of a row's log-likelihood in its own mean m, variance q and in η; (n, k) with leading r."""

    value: Array
    m: Array
    q: Array
    mm: Array
    mq: Array
    qq: Array
    eta: Array
    m_eta: Array
    q_eta: Array
    eta_eta: Array


def log_likelihood(rows: Rows, theta: Array) -> Point:
    """Σ log w(z_i) + log N(y_i; x_i'β, v_i + τ²) - log A_i, all constants included.

    On the scale of z the mean of row i is m = x'β/√v and its variance q = 1 + τ²/v.

    Parameters
    ----------
    rows
        n data sets.
    theta
        (n, p + 1 + r): coefficients of the basis, τ², η.
    """
    p = rows.basis.shape[1]
    per_mean = rows.basis / np.sqrt(rows.v)[..., None]  # dm/dcoef, (n, k, p)
    per_variance = 1.0 / rows.v  # dq/dτ²
    m = np.einsum("nkp,np->nk", per_mean, theta[:, :p])
    q = 1.0 + theta[:, p, None] * per_variance
    eta = theta[:, p + 1 :]
    row = _row(rows.z - m, q, rows.weighting.observed(eta), rows.weighting.integral(m, np.sqrt(q), eta))
    value = row.value.sum(-1) - 0.5 * np.log(rows.v).sum(-1)
    size = theta.shape[1]
    gradient, hessian = np.empty((m.shape[0], size)), np.empty((m.shape[0], size, size))
    gradient[:, :p] = np.einsum("nk,nkp->np", row.m, per_mean)
    gradient[:, p] = np.einsum("nk,nk->n", row.q, per_variance)
    gradient[:, p + 1 :] = row.eta.sum(-1).T
    hessian[:, :p, :p] = np.einsum("nk,nkp,nkr->npr", row.mm, per_mean, per_mean)
    hessian[:, :p, p] = np.einsum("nk,nkp->np", row.mq * per_variance, per_mean)
    hessian[:, p, p] = np.einsum("nk,nk->n", row.qq, per_variance**2)
    hessian[:, :p, p + 1 :] = np.einsum("ank,nkp->npa", row.m_eta, per_mean)
    hessian[:, p, p + 1 :] = np.einsum("ank,nk->na", row.q_eta, per_variance)
    hessian[:, p + 1 :, p + 1 :] = np.moveaxis(row.eta_eta.sum(-1), -1, 0)
    hessian[:, p, :p] = hessian[:, :p, p]
    hessian[:, p + 1 :, : p + 1] = np.moveaxis(hessian[:, : p + 1, p + 1 :], 1, 2)
    return Point(value, gradient, hessian)


def _row(d: Array, q: Array, seen: Observed, whole: Integral) -> _Row:
    """Derivatives of log w - ½ log 2πq - d²/2q - log A with d = z - m."""
    root = np.sqrt(q)
    a1, a2 = whole.hermite[0] / root, whole.hermite[1] / q
    a3, a4 = whole.hermite[2] / (q * root), whole.hermite[3] / (q * q)
    f0, f1, f2 = whole.first[0], whole.first[1] / root, whole.first[2] / q
    square = d * d / q
    return _Row(
        value=seen.log - 0.5 * (LOG_2PI + np.log(q) + square) - whole.log,
        m=d / q - a1,
        q=0.5 * ((square - 1.0) / q - a2),
        mm=a1 * a1 - a2 - 1.0 / q,
        mq=-d / (q * q) - 0.5 * (a3 - a1 * a2),
        qq=(0.5 - square) / (q * q) - 0.25 * (a4 - a2 * a2),
        eta=seen.first - f0,
        m_eta=a1 * f0 - f1,
        q_eta=0.5 * (a2 * f0 - f2),
        eta_eta=seen.second - whole.second + f0[:, None] * f0[None],
    )
