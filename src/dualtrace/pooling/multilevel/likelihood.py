"""The marginal likelihood y ~ N(Xβ, V + ZΨZ') block by block, with two derivatives in the entries of Ψ.

Everything is batched over n sets: different effects, different entries g, or rows left out (``use``), with one
design and one V. With N = [X Z_c] the design beside the indicators of crossed effects, D = V + Σ g E the blocks,
W = D⁻¹, U = WN and G = N'WN, every matrix that occurs is W minus a product of small ones:

    P  = M⁻¹ - M⁻¹X(X'M⁻¹X)⁻¹X'M⁻¹ = W - U K U',    M⁻¹ = W - U K₀ U',
    K  = B (B'GB + diag(0, I))⁻¹ B',   B = diag(I, L),  LL' = Ψ of the crossed effects,

and K₀ the same without X. A variance of 0 needs no separate treatment.

Sources: Harville 1977, doi:10.1080/01621459.1977.10480998; Henderson 1975, doi:10.2307/2529430.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dualtrace.pooling.likelihood import LOG_2PI
from dualtrace.pooling.multilevel.algebra import inverse, inverse_and_log_det, pattern_products, pattern_times

if TYPE_CHECKING:
    from dualtrace.pooling.likelihood import Array, Ints
    from dualtrace.pooling.multilevel.layout import Layout, Stack


class Given(NamedTuple):
    """n sets of effects on one layout.

    Attributes
    ----------
    y
        Effects, centred, with a 0 for padding, (n, k + 1).
    use
        1 for a row that counts, 0 for one left out and for padding, (n, k + 1); None when all rows count.
    """

    y: Array
    use: Array | None

    def pick(self, sets: Ints) -> Given:
        """Sets by index."""
        return Given(self.y[sets], None if self.use is None else self.use[sets])


def given(y: Array, use: Array | None = None) -> Given:
    """Effects (n, k) or (k,), with the rows that count (n, k) or none left out."""
    y = np.atleast_2d(y)
    if use is None:
        return Given(np.pad(y, ((0, 0), (0, 1))), None)
    y, use = np.broadcast_arrays(y, np.atleast_2d(use))
    return Given(np.pad(y * use, ((0, 0), (0, 1))), np.pad(use.astype(float), ((0, 0), (0, 1))))


@dataclass(frozen=True, slots=True, eq=False)
class Solved:
    """Generalised least squares at given entries g.

    Attributes
    ----------
    weights
        W of each stack, (n, b, m, m); 0 in rows left out.
    U
        WN of each stack, (n, b, m, p + q).
    e
        Py of each stack, (n, b, m).
    G, K, K0
        N'WN and the matrices of the module's equations, (n, p + q, p + q).
    coef
        Coefficients of the basis, (n, p).
    cov
        (X'M⁻¹X)⁻¹, (n, p, p).
    rss
        y'Py, (n,).
    ll, ml
        Restricted and full log-likelihood, (n,).
    """

    weights: tuple[Array, ...]
    U: tuple[Array, ...]
    e: tuple[Array, ...]
    G: Array
    K: Array
    K0: Array
    coef: Array
    cov: Array
    rss: Array
    ll: Array
    ml: Array

    def value(self, *, restricted: bool) -> Array:
        """Log-likelihood to maximise, (n,)."""
        return self.ll if restricted else self.ml


class Slope(NamedTuple):
    """Log-likelihood with derivatives in g: (n,), (n, A), (n, A, A)."""

    value: Array
    first: Array
    second: Array


def solve(where: Layout, sets: Given, g: Array) -> Solved:
    """Generalised least squares and likelihoods with all constants.

    ℓ  = -½ [k log 2π + log|M| + y'Py]
    ℓᴿ = -½ [(k-p) log 2π - log|X'X| + log|M| + log|X'M⁻¹X| + y'Py]

    Parameters
    ----------
    where
        Blocks.
    sets
        Effects.
    g
        Entries of all terms, (n, A).
    """
    p, c = where.p, where.p + where.q
    n = g.shape[0]
    weights, products = [], []
    G, h = np.zeros((n, c, c)), np.zeros((n, c))
    log_det = np.zeros(n)
    for stack in where.stacks:
        W, own = _weights(stack, sets, g[:, where.inside])
        U = W @ stack.N
        G += (stack.N.swapaxes(-1, -2) @ U).sum(1)
        h += np.einsum("nbmc,nbm->nc", U, sets.y[:, stack.rows])
        log_det += own
        weights.append(W)
        products.append(U)
    K, K0, joint, crossed = _joint(where, g, G)
    coef = np.einsum("ncd,nd->nc", K, h)
    e, rss = [], np.zeros(n)
    for stack, W in zip(where.stacks, weights, strict=True):
        y = sets.y[:, stack.rows]
        part = (W @ (y - np.einsum("bmc,nc->nbm", stack.N, coef))[..., None])[..., 0]
        resid = y - np.einsum("bmp,np->nbm", stack.N[..., :p], coef[:, :p])
        rss += np.einsum("nbm,nbm->n", resid, part)
        e.append(part)
    count, design = _design(where, sets)
    ml = -0.5 * (count * LOG_2PI + log_det + crossed + rss)
    ll = -0.5 * ((count - p) * LOG_2PI - design + log_det + joint + rss)
    return Solved(
        tuple(weights), tuple(products), tuple(e), G, K, K0, coef[:, :p], K[:, :p, :p], np.maximum(rss, 0.0), ll, ml
    )


def _weights(stack: Stack, sets: Given, g: Array) -> tuple[Array, Array]:
    """D⁻¹ of each block, 0 in rows left out, and the sum of log|D|."""
    a, b, m, _ = stack.E.shape
    M = stack.V + (g @ stack.E.reshape(a, b * m * m)).reshape(-1, b, m, m)
    use = None if sets.use is None else sets.use[:, stack.rows]
    if use is not None:
        pairs = use[..., :, None] * use[..., None, :]
        M = M * pairs
        M[..., np.arange(m), np.arange(m)] += 1.0 - use
    W, log_det = inverse_and_log_det(M)
    return (W if use is None else W * pairs), log_det.sum(1)


def _joint(where: Layout, g: Array, G: Array) -> tuple[Array, Array, Array, Array]:
    """K, K₀, log|B'GB + diag(0, I)| and log|I + L'G_zzL|."""
    p, q, n = where.p, where.q, G.shape[0]
    if q == 0:
        K = inverse(G)
        return K, np.zeros_like(K), np.linalg.slogdet(G)[1], np.zeros(n)
    B = np.zeros_like(G)
    B[:, :p, :p] = np.eye(p)
    for t, at in where.crossed:
        term = where.terms[t]
        start = where.first_entry(t)
        root = _square_root(term.shape.matrix(g[:, start : start + term.shape.entries]))
        size = term.shape.size
        for group in range(term.groups):
            own = slice(p + at + group * size, p + at + (group + 1) * size)
            B[:, own, own] = root
    inner = B.swapaxes(1, 2) @ G @ B
    inner[:, np.arange(p, p + q), np.arange(p, p + q)] += 1.0
    effects = inner[:, p:, p:]
    K = B @ inverse(inner) @ B.swapaxes(1, 2)
    K0 = np.zeros_like(K)
    L = B[:, p:, p:]
    K0[:, p:, p:] = L @ inverse(effects) @ L.swapaxes(1, 2)
    crossed = np.linalg.slogdet(effects)[1]
    # log|X'M⁻¹X| = log|inner| - log|effects|, so log|D| + log|inner| is log|M| + log|X'M⁻¹X|
    return K, K0, np.linalg.slogdet(inner)[1], crossed


def _square_root(psi: Array) -> Array:
    """Symmetric root of positive semidefinite matrices."""
    if psi.shape[-1] == 1:
        root: Array = np.sqrt(np.maximum(psi, 0.0))
        return root
    values, vectors = np.linalg.eigh(psi)
    spread: Array = (vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]) @ vectors.swapaxes(1, 2)
    return spread


def _design(where: Layout, sets: Given) -> tuple[Array | float, Array | float]:
    """Rows that count and log|X'X| of the basis in these rows; 0 when all count, as it is orthonormal."""
    if sets.use is None:
        return float(where.k), 0.0
    gram = np.zeros((sets.use.shape[0], where.p, where.p))
    for stack in where.stacks:
        X = stack.N[..., : where.p]
        gram += np.einsum("nbm,bmi,bmj->nij", sets.use[:, stack.rows], X, X, optimize=True)
    return sets.use.sum(1), np.linalg.slogdet(gram)[1]


def slope(where: Layout, sets: Given, g: Array, *, restricted: bool) -> Slope:
    """Log-likelihood, β maximised out, with derivatives in g; A = P for REML and M⁻¹ for ML.

    ∂ℓ/∂g_a      = ½ [e'E_a e - tr(A E_a)],   e = Py
    ∂²ℓ/∂g_a∂g_b = ½ tr(A E_a A E_b) - e'E_a P E_b e
    """
    now = solve(where, sets, g)
    Q = now.K if restricted else now.K0
    parts = _inside(where, now, Q) if where.inside.size else _Parts.empty(now)
    if where.q:
        parts = _with_crossed(where, now, Q, parts)
    order = np.argsort(np.concatenate([where.inside, *_crossed_entries(where)]))
    first = 0.5 * (parts.square - parts.trace)[:, order]
    second = (0.5 * parts.trace2 - parts.square2)[:, order][:, :, order]
    return Slope(now.value(restricted=restricted), first, second)


def _crossed_entries(where: Layout) -> list[Ints]:
    """Entries of the crossed terms."""
    starts = [(where.first_entry(t), where.terms[t].shape.entries) for t, _ in where.crossed]
    return [np.arange(start, start + size) for start, size in starts]


class _Parts(NamedTuple):
    """What the derivatives are made of, for the entries inside blocks or for all."""

    trace: Array  # tr(A E_a), (n, A)
    square: Array  # e'E_a e, (n, A)
    trace2: Array  # tr(A E_a A E_b), (n, A, A)
    square2: Array  # e'E_a P E_b e, (n, A, A)
    S: Array  # U'E_a U, (n, A, c, c)
    v: Array  # U'E_a e, (n, A, c)

    @staticmethod
    def empty(now: Solved) -> _Parts:
        n, c = now.G.shape[:2]
        z = np.zeros
        return _Parts(z((n, 0)), z((n, 0)), z((n, 0, 0)), z((n, 0, 0)), z((n, 0, c, c)), z((n, 0, c)))


def _inside(where: Layout, now: Solved, Q: Array) -> _Parts:
    """Entries of terms inside blocks, summed over stacks."""
    n, c = now.G.shape[:2]
    A = where.inside.size
    trace, square = np.zeros((n, A)), np.zeros((n, A))
    trace2, square2 = np.zeros((n, A, A)), np.zeros((n, A, A))
    S, v = np.zeros((n, A, c, c)), np.zeros((n, A, c))
    for stack, W, U, e in zip(where.stacks, now.weights, now.U, now.e, strict=True):
        trace += W.reshape(n, -1) @ stack.E.reshape(A, -1).T
        F = pattern_products(stack.E, W)  # (n, A, b, m, m)
        trace2 += F.reshape(n, A, -1) @ np.ascontiguousarray(F.swapaxes(-1, -2)).reshape(n, A, -1).swapaxes(1, 2)
        R = pattern_times(stack.E, U)  # E_a U, (n, A, b, m, c)
        S += (U[:, None].swapaxes(-1, -2) @ R).sum(2)
        RQ = R @ Q[:, None, None]
        trace2 -= 2.0 * RQ.reshape(n, A, -1) @ (W[:, None] @ R).reshape(n, A, -1).swapaxes(1, 2)
        d = pattern_times(stack.E, e[..., None])[..., 0]  # E_a e, (n, A, b, m)
        square += np.einsum("nabm,nbm->na", d, e)
        v += (U[:, None].swapaxes(-1, -2) @ d[..., None])[..., 0].sum(2)
        Wd = (W[:, None] @ d[..., None])[..., 0]
        square2 += d.reshape(n, A, -1) @ Wd.reshape(n, A, -1).swapaxes(1, 2)
    SQ = S @ Q[:, None]
    trace -= np.einsum("nacc->na", SQ)
    trace2 += SQ.reshape(n, A, -1) @ np.ascontiguousarray(SQ.swapaxes(-1, -2)).reshape(n, A, -1).swapaxes(1, 2)
    square2 -= v @ now.K @ v.swapaxes(1, 2)
    return _Parts(trace, square, trace2, square2, S, v)


def _with_crossed(where: Layout, now: Solved, Q: Array, parts: _Parts) -> _Parts:
    """Add the entries of crossed terms, E_c = Z B_c Z', from what is already known of N = [X Z].

    With T = I - QG: AZ = U T_z, so tr(A E_c) = tr(B_c (GT)_zz) and tr(A E_a A E_c) = tr(B_c (T'S_aT)_zz).
    """
    n, c = now.G.shape[:2]
    p = where.p
    T = np.eye(c) - Q @ now.G
    free = np.eye(c) - now.K @ now.G
    GT = now.G @ T
    # Z'e from the equations themselves: the effects are u = ΨZ'e, but Ψ may be singular
    ze = np.zeros((n, c))
    for stack, e in zip(where.stacks, now.e, strict=True):
        ze += np.einsum("bmc,nbm->nc", stack.N, e)
    B = np.concatenate([_pattern(where, t, at) for t, at in where.crossed])  # (C, c, c)
    S = np.concatenate([parts.S, now.G[:, None] @ B @ now.G[:, None]], axis=1)
    z = np.einsum("acd,nd->nac", B, ze)
    v = np.concatenate([parts.v, z @ now.G], axis=1)
    trace = np.einsum("acd,ncd->na", B, GT)
    square = np.einsum("nac,nc->na", z, ze)
    middle = T[:, None].swapaxes(-1, -2) @ S @ T[:, None]  # Z'A E_a A Z within, (n, A + C, c, c)
    trace2 = middle.reshape(n, len(S[0]), -1) @ B.reshape(len(B), -1).T
    square2 = v @ free @ z.swapaxes(1, 2)
    a = parts.trace.shape[1]
    return _Parts(
        np.concatenate([parts.trace, trace], axis=1),
        np.concatenate([parts.square, square], axis=1),
        _bordered(parts.trace2, trace2, a),
        _bordered(parts.square2, square2, a),
        S,
        v,
    )._replace(S=S[..., :p, :p], v=v)


def _bordered(corner: Array, columns: Array, a: int) -> Array:
    """Symmetric matrices from their first a x a part and their last columns."""
    top = np.concatenate([corner, columns[:, :a]], axis=2)
    bottom = np.concatenate([columns[:, :a].swapaxes(1, 2), columns[:, a:]], axis=2)
    return np.concatenate([top, bottom], axis=1)


def _pattern(where: Layout, t: int, at: int) -> Array:
    """B_c of each entry of a crossed term among the p + q columns, (entries, p + q, p + q)."""
    term = where.terms[t]
    size = where.p + where.q
    B = np.zeros((term.shape.entries, size, size))
    for group in range(term.groups):
        first = where.p + at + group * term.shape.size
        own = slice(first, first + term.shape.size)
        B[:, own, own] = term.shape.code == np.arange(term.shape.entries)[:, None, None]
    return B
