"""Selection functions that vary smoothly with the p value, integrated by Gauss-Legendre panels in z.

The nodes lie on the axis of the z statistic, so they are the same for all rows and all parameters; each row
contributes its normal density there. Beyond the outermost nodes w is constant and the tails are exact.
"""

from __future__ import annotations

import itertools
from typing import Literal, NamedTuple

import numpy as np
from scipy import special

from dualtrace.pooling.likelihood import LOG_2PI, Array, Ints
from dualtrace.pooling.small_study.weighting import Integral, Observed, below, hermite

SmoothKind = Literal["beta", "halfnorm", "negexp", "logistic", "power"]
"""Selection functions w(p); see ``log_weight``."""

PANEL = 1.0
"""Longest panel on the z axis: the normal density of a row is never narrower than one unit."""

GRADE = 8.0
"""Ratio of the ends of a panel where w is a power of the distance from 0."""

NODES, WEIGHTS = np.polynomial.legendre.leggauss(16)

FARTHEST = 8.3
"""z statistic beyond which the p value differs from 0 or 1 by less than rounding error."""

CENSOR = 1e-5
"""Beta and power: p values closer to 0 or 1 than this count as this close, so that w stays finite.

Source: Citkowicz & Vevea 2017, doi:10.1037/met0000119.
"""


class Grid(NamedTuple):
    """Nodes with their weights, (g,), and the tails beyond them.

    The last two of ``z`` stand for the tails; their ``weight`` is 1.
    """

    z: Array
    weight: Array


class Features(NamedTuple):
    """What log w is made of at some p values.

    Attributes
    ----------
    kind
        Which function.
    values
        f(p), (r, ...), in which log w is linear, and for the logistic c p.
    origin
        For the logistic c times the p value up to which w = 1, (...); unused by the others.
    """

    kind: SmoothKind
    values: Array
    origin: Array


class Smooth(NamedTuple):
    """A smooth selection function bound to rows.

    Attributes
    ----------
    grid
        Integration nodes.
    at_nodes
        Features at the nodes, (r, 1, g), or (r, k, g) when they depend on the row's precision.
    at_rows
        Features at the data, (r, n, k).
    """

    grid: Grid
    at_nodes: Features
    at_rows: Features

    def integral(self, m: Array, s: Array, eta: Array) -> Integral:
        """A and derivatives: normal densities at the nodes times weighted w, plus both tails."""
        nodes = self.at_nodes
        logs = log_weight(Features(nodes.kind, nodes.values[:, None], nodes.origin[None]), eta)
        top = logs.log.max(axis=(-1, -2), keepdims=True)
        share = np.exp(logs.log - top) * self.grid.weight
        r = eta.shape[1]
        factors = [np.ones_like(share), *logs.first]
        factors += [logs.first[a] * logs.first[b] + logs.second[a, b] for a in range(r) for b in range(r)]
        masses = _expectations(self.grid, np.stack([share * f for f in factors], axis=-1), m, s)
        total = masses[0, ..., 0]
        first = np.moveaxis(masses[:3, ..., 1 : 1 + r], -1, 1) / total
        second = np.moveaxis(masses[0, ..., 1 + r :], -1, 0).reshape(r, r, *m.shape) / total
        return Integral(np.log(total) + top[..., 0], masses[1:, ..., 0] / total, first, second)

    def observed(self, eta: Array) -> Observed:
        """Log w at the data."""
        return log_weight(self.at_rows, eta)

    def pick(self, index: Ints) -> Smooth:
        """Some of the n fits."""
        return self._replace(at_rows=self.at_rows._replace(values=self.at_rows.values[:, index]))


def _expectations(grid: Grid, share: Array, m: Array, s: Array) -> Array:
    """Σ over nodes of share · N(z; m, s²) He_j(u), and tails, j = 0 to 4: (5, n, k, c).

    ``share`` is (n, 1 or k, g, c); the last two nodes are the lower and the upper tail.
    """
    u = (grid.z[:-2] - m[..., None]) / s[..., None]
    density = np.exp(-0.5 * (u * u + LOG_2PI)) / s[..., None]
    h1, h2, h3 = hermite(u)
    h4 = u * h3 - 3.0 * h2
    inner = share[..., :-2, :]
    columns = inner.shape[-1]
    found = np.zeros((5, *m.shape, columns))
    for j, h in enumerate((np.ones_like(u), h1, h2, h3, h4)):
        # derivatives in η are not needed for the third and fourth moment
        wanted = 1 if j > 2 else columns
        part = density * h
        if inner.shape[1] == 1:
            found[j, ..., :wanted] = part @ inner[:, 0, :, :wanted]
        else:
            found[j, ..., :wanted] = (part[..., None, :] @ inner[..., :wanted])[..., 0, :]
    low, high = (below((z - m) / s)[..., None] for z in grid.z[-2:])
    upper = -high
    upper[0] = special.ndtr((m - grid.z[-1]) / s)[..., None]
    total: Array = found + low * share[..., -2, :] + upper * share[..., -1, :]
    return total


def log_weight(features: Features, eta: Array) -> Observed:
    """Log w and its derivatives in η, from features (r, n, ...) and η (n, r).

    beta       (δ₁-1) log p + (δ₂-1) log(1-p),  δ = exp(η)
    halfnorm   -δ c p²       negexp  -δ c p       power  δ c log(1-p)       logistic  log 2 - log(1 + exp(δ c p))

    with δ = η >= 0 for the last four and c = 1, or the row's imprecision relative to the largest. Where w = 1 up to
    a p value α, it is w(p)/w(α) beyond, so that it does not jump.

    Sources: Citkowicz & Vevea 2017, doi:10.1037/met0000119; Preston, Ashby & Smyth 2004,
    doi:10.1111/j.1365-2753.2003.00457.x.
    """
    f = features.values
    r = f.shape[0]
    parameters = eta.T.reshape(r, eta.shape[0], *(1,) * (f.ndim - 2))
    if features.kind == "logistic":
        at, start = (_softplus(parameters[0], c_p) for c_p in (f[0], features.origin))
        log, first, second = (a - b for a, b in zip(start, at, strict=True))
        return Observed(log, first[None], second[None, None])
    if features.kind == "beta":
        delta = np.exp(parameters)
        first = delta * f
        second = np.zeros((r, *first.shape))
        second[np.arange(r), np.arange(r)] = first
        return Observed(((delta - 1.0) * f).sum(0), first, second)
    log = parameters[0] * f[0]
    return Observed(log, np.broadcast_to(f[0], log.shape)[None], np.zeros((1, 1, *log.shape)))


def _softplus(delta: Array, c_p: Array) -> tuple[Array, Array, Array]:
    """log(1 + exp(δ c p)) with two derivatives in δ."""
    x = delta * c_p
    rises = special.expit(x)
    return np.logaddexp(0.0, x), rises * c_p, rises * (1.0 - rises) * c_p**2


def features_of(kind: SmoothKind, p: Array, *, threshold: float, scale: Array) -> Features:
    """Features at p values for a function that is 1 up to the threshold (0: nowhere)."""
    start = shape_of(kind, np.full(np.shape(p), threshold), scale)
    values = shape_of(kind, np.maximum(p, threshold), scale)
    if kind == "logistic":
        return Features(kind, values, start[0])
    return Features(kind, values - start if threshold > 0.0 else values, np.zeros(1))


def shape_of(kind: SmoothKind, p: Array, scale: Array) -> Array:
    """Features at p values, (r, ...); ``scale`` is the imprecision c, broadcast against p."""
    if kind in ("beta", "power"):
        p = np.clip(p, CENSOR, 1.0 - CENSOR)
    p, scale = np.broadcast_arrays(p, scale)
    if kind == "beta":
        return np.stack([np.log(p), np.log1p(-p)])
    if kind == "power":
        return (np.log1p(-p) * scale)[None]
    sign = 1.0 if kind == "logistic" else -1.0
    return (sign * (p * p if kind == "halfnorm" else p) * scale)[None]


def p_value(z: Array, *, two_sided: bool) -> Array:
    """P value of a z statistic: 1 - Φ(z), or 2 (1 - Φ(|z|))."""
    upper: Array = 2.0 * special.ndtr(-np.abs(z)) if two_sided else special.ndtr(-z)
    return upper


def smooth(
    kind: SmoothKind, z: Array, *, two_sided: bool, threshold: float = 0.0, scale: Array | None = None
) -> Smooth:
    """Bind a selection function to z statistics (n, k).

    Parameters
    ----------
    kind
        Which function.
    two_sided
        Whether the p values are.
    threshold
        p values up to this have w = 1 (0: none have).
    scale
        Imprecision c of each row, (k,); absent: 1.
    """
    grid = _grid(kind, two_sided=two_sided, threshold=threshold)

    def features(at: Array, scale: Array) -> Features:
        return features_of(kind, p_value(at, two_sided=two_sided), threshold=threshold, scale=scale)

    per_row = np.ones(1) if scale is None else scale
    return Smooth(grid, features(grid.z, per_row[:, None]), features(z, per_row))


def _grid(kind: SmoothKind, *, two_sided: bool, threshold: float) -> Grid:
    """Panels between all points where w is not smooth, each at most ``PANEL`` long."""
    sides = 2.0 if two_sided else 1.0
    censored = kind in ("beta", "power")
    end = -special.ndtri(CENSOR / sides) if censored else FARTHEST
    breaks = {-end, end}
    if two_sided:
        near = -special.ndtri((1.0 - CENSOR) / 2.0) if censored else 0.0
        breaks |= {-near, near, 0.0}
        if censored:  # w goes like a power of |z| there
            graded = near * GRADE ** np.arange(1.0, np.ceil(-np.log(near) / np.log(GRADE)))
            breaks |= {float(sign * z) for z in graded for sign in (-1.0, 1.0)}
    if threshold > 0.0:
        cut = -special.ndtri(threshold / sides)
        breaks |= {cut, -cut} if two_sided else {cut}
    points = np.array(sorted(b for b in breaks if abs(b) <= end))
    nodes, weights = [], []
    for low, high in itertools.pairwise(points):
        edges = np.linspace(low, high, int(np.ceil((high - low) / PANEL)) + 1)
        half = 0.5 * np.diff(edges)[:, None]
        nodes.append((edges[:-1, None] + half * (1.0 + NODES)).ravel())
        weights.append((half * WEIGHTS).ravel())
    return Grid(np.concatenate([*nodes, [-end, end]]), np.concatenate([*weights, [1.0, 1.0]]))
