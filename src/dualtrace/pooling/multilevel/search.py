"""Maximum of the likelihood in the parameters of Ψ, for many sets at once.

Newton's method with exact curvature. Directions in which the likelihood curves upwards are followed uphill all
the same, steps are limited by a radius that grows and shrinks with success, and the last steps are judged by the
gradient, where the value itself no longer resolves a change. The search begins where a coarse scan over the
sizes of the variances finds the likelihood highest. What comes back says for every set whether it converged.

Source of the radius rule: Conn, Gould & Toint 2000, doi:10.1137/1.9780898719857.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dualtrace.pooling.multilevel.likelihood import Given, Slope, slope, solve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.pooling.likelihood import Array, Flags, Ints
    from dualtrace.pooling.multilevel.layout import Layout
    from dualtrace.pooling.multilevel.structures import Covariance

STEPS = 200
"""Most steps of one search."""

RESOLVED = 1e-7
"""Expected gain in log-likelihood below which steps are judged by the gradient."""

CONVERGED = 1e-12
"""Expected gain of one more step, in log-likelihood, that counts as none."""

EXACT = 1e-24
"""Expected gain below which no further step is tried."""

FLAT = 1e-10
"""Curvature, relative to the largest, below which a direction is called flat and left alone if level."""

SADDLES = 3
"""How often a search goes on from a level point that is no maximum."""

UPWARD = 1e-6
"""Upward curvature, relative to the largest, that shows a level point to be no maximum."""

ASIDE = 0.1
"""Step away from such a point, in units of a typical standard error."""

CHUNK = 2_000_000
"""Numbers of the largest array worked on at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A likelihood to maximise, in units in which a typical sampling variance is 1.

    Attributes
    ----------
    where
        Blocks and terms.
    covariances
        Ψ of each term in free parameters.
    restricted
        REML or ML.
    """

    where: Layout
    covariances: tuple[Covariance, ...]
    restricted: bool

    @property
    def n(self) -> int:
        """Free parameters."""
        return sum(c.n for c in self.covariances)

    def entries(self, theta: Array) -> Array:
        """Entries of all terms, (s, A)."""
        parts = [c.entries(part).value for c, part in zip(self.covariances, self._split(theta), strict=True)]
        return np.concatenate([np.zeros((theta.shape[0], 0)), *parts], axis=1)

    def slope(self, sets: Given, theta: Array) -> Slope:
        """Log-likelihood with gradient and curvature in θ: (s,), (s, n), (s, n, n).

        ∂ℓ/∂θ = J'∂ℓ/∂g,   ∂²ℓ/∂θ² = J'(∂²ℓ/∂g²)J + Σ_a ∂ℓ/∂g_a ∂²g_a/∂θ².
        """
        s, n, a = theta.shape[0], self.n, self.where.entries
        value, J, bend = np.zeros((s, a)), np.zeros((s, a, n)), np.zeros((s, a, n, n))
        row = column = 0
        for c, part in zip(self.covariances, self._split(theta), strict=True):
            own = c.entries(part)
            rows, columns = slice(row, row + own.value.shape[1]), slice(column, column + c.n)
            value[:, rows], J[:, rows, columns] = own.value, own.first
            bend[:, rows, columns, columns] = own.second
            row, column = rows.stop, columns.stop
        found = slope(self.where, sets, value, restricted=self.restricted)
        first = (found.first[:, None, :] @ J)[:, 0]
        second = J.swapaxes(1, 2) @ found.second @ J + np.einsum("sa,samn->smn", found.first, bend)
        return Slope(found.value, first, second)

    def value(self, sets: Given, theta: Array) -> Array:
        """Log-likelihood, (s,)."""
        return solve(self.where, sets, self.entries(theta)).value(restricted=self.restricted)

    def start(self, psis: Sequence[Array]) -> Array:
        """Parameters near given Ψ, (n,)."""
        parts = [c.start(psi) for c, psi in zip(self.covariances, psis, strict=True)]
        return np.concatenate([np.zeros(0), *parts])

    def _split(self, theta: Array) -> list[Array]:
        ends = np.cumsum([0, *(c.n for c in self.covariances)])
        return [theta[:, ends[t] : ends[t + 1]] for t in range(len(self.covariances))]


class Peak(NamedTuple):
    """Maxima: parameters (s, n), value (s,), expected gain of one more step (s,), steps taken (s,)."""

    theta: Array
    value: Array
    gain: Array
    steps: Ints

    @property
    def converged(self) -> Flags:
        """Whether one more step would gain nothing."""
        reached: Flags = np.isfinite(self.value) & (self.gain <= CONVERGED * (1.0 + np.abs(self.value)))
        return reached


def chunks(n: int, where: Layout) -> list[slice]:
    """Sets in parts small enough for the memory of one evaluation."""
    c = where.p + where.q
    one = sum(stack.V.size + stack.E.size + stack.N.size * (1 + len(stack.E)) for stack in where.stacks)
    one += c * c * (where.entries + 4)
    step = max(1, int(CHUNK // max(one, 1)))
    return [slice(i, i + step) for i in range(0, n, step)]


def maximise(model: Model, sets: Given, start: Array) -> Peak:
    """Climb from a start, every set by itself.

    Parameters
    ----------
    model
        Likelihood.
    sets
        s sets of effects.
    start
        Parameters, (s, n).
    """
    if model.n == 0:
        value = model.value(sets, start)
        return Peak(start, value, np.zeros(len(value)), np.zeros(len(value), dtype=np.intp))
    sets_of = [np.arange(len(start))[part] for part in chunks(len(start), model.where)]
    parts = [_over_saddles(model, sets.pick(own), start[own]) for own in sets_of]
    return Peak(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _over_saddles(model: Model, sets: Given, start: Array) -> Peak:
    """Climb, and climb on from any point that is level but not a maximum."""
    peak = _climb(model, sets, start)
    for _ in range(SADDLES):
        curvature = model.slope(sets, peak.theta).second
        values, vectors = np.linalg.eigh(-np.where(np.isfinite(curvature), curvature, 0.0))
        stuck = np.flatnonzero(values[:, 0] < -UPWARD * np.abs(values).max(axis=1))
        if not stuck.size:
            break
        again = _climb(model, sets.pick(stuck), peak.theta[stuck] + ASIDE * vectors[stuck, :, 0])
        for mine, new in zip(peak, again, strict=True):
            mine[stuck] = new
    return peak


def _climb(model: Model, sets: Given, start: Array) -> Peak:
    """Newton's method for sets that fit in memory together."""
    s = start.shape[0]
    theta, radius = start.copy(), np.full(s, 1.0)
    here = model.slope(sets, theta)
    here = Slope(*(part.copy() for part in here))
    taken = np.zeros(s, dtype=np.intp)
    gain = np.full(s, np.inf)
    active = np.arange(s)
    for _ in range(STEPS):
        step, expected = _step(here.first[active], here.second[active], radius[active])
        fresh = np.isinf(gain[active])
        gain[active] = np.where(fresh, expected, gain[active])
        tried = model.slope(sets.pick(active), theta[active] + step)
        after = _step(tried.first, tried.second, np.full(active.size, np.inf))[1]
        now = _step(here.first[active], here.second[active], np.full(active.size, np.inf))[1]
        fine = now <= RESOLVED * (1.0 + np.abs(here.value[active]))
        rise = tried.value - here.value[active]
        better = ((rise >= 0.1 * expected) | (fine & (after < now))) & np.isfinite(tried.value)
        won = active[better]
        theta[won] += step[better]
        for mine, new in zip(here, tried, strict=True):
            mine[won] = new[better]
        gain[active] = np.where(better, after, now)
        length = np.sqrt(np.einsum("sn,sn->s", step, step))
        radius[active] = np.where(better, np.maximum(radius[active], 2.0 * length), 0.25 * length)
        taken[active] += 1
        size = 1.0 + np.abs(here.value[active])
        done = (gain[active] <= EXACT) | (fine & ~better & (gain[active] <= CONVERGED * size))
        done |= radius[active] < 1e-12
        active = active[~done]
        if not active.size:
            break
    return Peak(theta, here.value, gain, taken)


def _step(gradient: Array, curvature: Array, radius: Array) -> tuple[Array, Array]:
    """Newton's step, uphill in every direction and within the radius, and the gain it promises."""
    values, vectors = np.linalg.eigh(-np.where(np.isfinite(curvature), curvature, 0.0))
    along = np.einsum("sni,sn->si", vectors, np.where(np.isfinite(gradient), gradient, 0.0))
    largest = np.abs(values).max(axis=1, keepdims=True)
    depth = np.maximum(np.abs(values), FLAT * largest + 1e-300)
    move = along / depth
    length = np.sqrt(np.einsum("si,si->s", move, move))
    with np.errstate(divide="ignore", invalid="ignore"):
        shrink = np.where(length > radius, radius / length, 1.0)
    promised = np.einsum("si,si->s", along, move) * shrink * (1.0 - 0.5 * shrink)
    return np.einsum("sni,si->sn", vectors, move * shrink[:, None]), promised
