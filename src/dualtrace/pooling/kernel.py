"""The profile (restricted) likelihood's derivatives in τ², for many data sets and many τ² at once, and fast.

The same quantities as in ``likelihood``, laid out for speed: rows of a data set run down the first axis and data
sets along the last, so that every sum over rows is one product of matrices and every other step runs along
contiguous memory. Work is cut into pieces that stay in the processor's cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dualtrace.pooling.likelihood import Array, Data, Ints, inverse

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE = 24_000
"""Numbers per array that are worked on at a time."""


class Columns(NamedTuple):
    """n data sets of k rows, one per column.

    Attributes
    ----------
    y, v, use
        Effects, sampling variances, 1 for rows that count, (k, n); ``use`` is (1, 1) where every row counts.
    basis
        Orthonormal basis of the design, transposed, (p, k).
    sums
        A row of ones, then the products of pairs of rows of ``basis``, (1 + p·p, k): ``sums @ weight`` is Σw
        followed by Q'WQ.
    constant
        Whether the basis is one constant column, an intercept; then ``sums`` need not be formed in full.
    """

    y: Array
    v: Array
    use: Array
    basis: Array
    sums: Array
    constant: bool

    def pick(self, sets: Ints) -> Columns:
        """Data sets by index."""
        use = self.use if len(self.use) == 1 else self.use[:, sets]
        return self._replace(y=self.y[:, sets], v=self.v[:, sets], use=use)

    def part(self, start: int, stop: int) -> Columns:
        """Data sets from start to stop."""
        if stop - start == self.y.shape[1]:
            return self
        use = self.use if len(self.use) == 1 else self.use[:, start:stop]
        return self._replace(y=self.y[:, start:stop], v=self.v[:, start:stop], use=use)


class Fit(NamedTuple):
    """Weighted least squares of m columns."""

    weight: Array  # (k, m)
    total: Array  # Σw, (m,)
    inverse: Array  # of Q'WQ, (p·p, m); of Σw for an intercept alone
    wr: Array  # weight times residual, (k, m)


def columns(sets: Data) -> Columns:
    """Lay data sets out by column."""
    y, v, use = (np.ascontiguousarray(part.T) for part in (sets.y, sets.v, sets.use))
    if (use == 1.0).all():
        use = np.ones((1, 1))
    basis = np.ascontiguousarray(sets.basis.T)
    sums = np.concatenate([np.ones((1, basis.shape[1])), sets.squares.T])
    constant = len(basis) == 1 and bool((basis == basis[0, 0]).all())
    return Columns(y, v, use, basis, sums, constant)


def pieces(n: int, width: int) -> Iterator[tuple[int, int]]:
    """Ranges of data sets whose arrays of ``width`` numbers each stay in the cache."""
    size = max(PIECE // width, 1)
    for start in range(0, n, size):
        yield start, min(start + size, n)


def least_squares(sets: Columns, tau2: Array) -> Fit:
    """Weighted least squares with weights 1/(v + τ²) at one or several τ² per data set, (n,) or (g, n)."""
    y, v, use = sets.y, sets.v, sets.use
    if tau2.ndim == 2:
        y, v, use = y[:, None], v[:, None], use[:, None]
    weight = v + tau2
    np.divide(use, weight, out=weight)
    flat = weight.reshape(len(weight), -1)
    wr = weight * y
    if sets.constant:
        total = sets.sums[0] @ flat
        cov = 1.0 / total
        mean = (sets.sums[0] @ wr.reshape(flat.shape)) * cov
        np.subtract(y, mean.reshape(tau2.shape), out=wr)
    else:
        sums = sets.sums @ flat
        total, cov = sums[0], small_inverse(sums[1:])
        coef = small_solve(cov, sets.basis @ wr.reshape(flat.shape))
        np.subtract(y, (sets.basis.T @ coef).reshape(weight.shape), out=wr)
    wr *= weight
    return Fit(flat, total, cov, wr.reshape(flat.shape))


def small_inverse(matrix: Array) -> Array:
    """Inverses of positive definite p x p matrices held as columns, (p·p, m)."""
    if len(matrix) == 1:
        inverted: Array = 1.0 / matrix
        return inverted
    if len(matrix) == 4:
        a, b, _, d = matrix
        tilt = b / a
        last = 1.0 / (d - tilt * b)
        cross = -tilt * last
        return np.stack([1.0 / a - tilt * cross, cross, cross, last])
    p = round(len(matrix) ** 0.5)
    whole = inverse(np.ascontiguousarray(matrix.T).reshape(-1, p, p))[0]
    return np.ascontiguousarray(whole.reshape(-1, p * p).T)


def small_solve(cov: Array, right: Array) -> Array:
    """Products of p x p matrices (p·p, m) with vectors (p, m)."""
    p, m = right.shape
    if p == 1:
        product: Array = cov * right
        return product
    several: Array = np.einsum("abm,bm->am", cov.reshape(p, p, m), right)
    return several


def over_rows(one: Array, other: Array) -> Array:
    """Sums of products over rows, (m,)."""
    product: Array = np.einsum("km,km->m", one, other)
    return product


def score(sets: Columns, tau2: Array, *, restricted: bool) -> Array:
    """First derivative of the profile (restricted) log-likelihood, same shape as ``tau2``: (n,) or (g, n).

    ½ [y'PPy - tr P] or ½ [y'PPy - Σw]; see ``likelihood.slope``.
    """
    fit = least_squares(sets, tau2)
    first = over_rows(fit.wr, fit.wr) - fit.total
    if restricted and sets.constant:
        first += over_rows(fit.weight, fit.weight) * fit.inverse
    elif restricted:
        first += traced(fit.inverse, sets.sums[1:] @ (fit.weight * fit.weight))
    return 0.5 * first.reshape(tau2.shape)


def traced(cov: Array, other: Array) -> Array:
    """tr(C S) of symmetric p x p matrices held as columns, (m,)."""
    product: Array = cov[0] * other[0] if len(cov) == 1 else over_rows(cov, other)
    return product


def derivatives(sets: Columns, tau2: Array, *, restricted: bool) -> tuple[Array, Array]:
    """First and second derivative of the profile (restricted) log-likelihood in τ², (n,) each."""
    fit = least_squares(sets, tau2)
    second, third = quadratics(sets, fit)
    if not restricted:
        return 0.5 * (second - fit.total), 0.5 * over_rows(fit.weight, fit.weight) - third
    squares = fit.weight * fit.weight
    if sets.constant:
        total2, total3 = sets.sums[0] @ squares, over_rows(squares, fit.weight)
        lost = total2 * fit.inverse
        trace, trace2 = fit.total - lost, total2 - 2.0 * total3 * fit.inverse + lost * lost
    else:
        s2, s3 = sets.sums @ squares, sets.sums[1:] @ (squares * fit.weight)
        trace = fit.total - traced(fit.inverse, s2[1:])
        trace2 = s2[0] - 2.0 * traced(fit.inverse, s3) + squared_trace(fit.inverse, s2[1:])
    return 0.5 * (second - trace), 0.5 * trace2 - third


def quadratics(sets: Columns, fit: Fit) -> tuple[Array, Array]:
    """Y'PPy and y'PPPy, (m,) each; see ``likelihood.quadratics``."""
    wwr = fit.weight * fit.wr
    if sets.constant:
        lost = (sets.sums[0] @ wwr) ** 2 * fit.inverse
    else:
        u = sets.basis @ wwr
        lost = (u * small_solve(fit.inverse, u)).sum(axis=0)
    return over_rows(fit.wr, fit.wr), over_rows(wwr, fit.wr) - lost


def squared_trace(cov: Array, s2: Array) -> Array:
    """tr(C S C S) of symmetric p x p matrices held as columns, (m,)."""
    if len(cov) == 1:
        product: Array = (cov * s2)[0] ** 2
        return product
    p = round(len(cov) ** 0.5)
    both = np.einsum("abm,bcm->acm", cov.reshape(p, p, -1), s2.reshape(p, p, -1))
    several: Array = np.einsum("abm,bam->m", both, both)
    return several


def generalised_q(sets: Columns, tau2: Array) -> tuple[Array, Array]:
    """Q(τ²) = y'Py and y'PPy = -Q'(τ²), (n,) each."""
    fit = least_squares(sets, tau2)
    squares = fit.wr * fit.wr
    return over_rows(squares, sets.v + tau2), sets.sums[0] @ squares
