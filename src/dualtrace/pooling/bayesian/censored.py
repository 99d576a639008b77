"""Rows known only as intervals or directions: the mean given τ is no longer normal, so both are integrated.

The likelihood of such a row is the probability of its interval. Given τ the density of the mean is then a product
of log-concave functions: it has one mode and tails at least as thin as the normal distribution's. Its support is
found from the mode outwards and cut into panels of 16 Gauss-Legendre nodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dualtrace.errors import FitError
from dualtrace.pooling.bayesian.exact import Given, given, loglik_at
from dualtrace.pooling.bayesian.quadrature import AGREE, NEGLIGIBLE, Rule, place, rule
from dualtrace.pooling.interval import log_mass
from dualtrace.pooling.likelihood import LOG_2PI

if TYPE_CHECKING:
    from dualtrace.pooling.bayesian.priors import MeanPrior, TauPrior
    from dualtrace.pooling.likelihood import Array, Flags

NARROW = 0.02
"""Width of an interval (times its distance from 0, where that exceeds 1) below which its probability is a series."""

ROUGH = 1e-3
"""How well the mode is found, in standard deviations of a row: it only places the support."""

PANELS = (2, 4, 8, 16, 32, 64)

AT_ONCE = 1 << 16
"""Probabilities computed in one go: many, to spare calls, yet few enough to stay in the processor's cache."""


class Known(NamedTuple):
    """One data set: exact rows (y, v), and rows between lo and hi with variance u."""

    y: Array
    v: Array
    lo: Array
    hi: Array
    u: Array

    @property
    def typical(self) -> Array:
        """Log standard deviation of a typical row, (1,)."""
        return np.array([0.5 * np.log(np.median(np.concatenate([self.v, self.u])))])


class Inner(NamedTuple):
    """The mean given each of J values of τ.

    Attributes
    ----------
    edges
        Ends of the panels of its support, (J, P + 1).
    density
        Normalised density at the nodes, (J, 16 P).
    log_total
        Log of its integral, the likelihood of τ, (J,).
    """

    edges: Array
    density: Array
    log_total: Array


def log_probability(a: Array, b: Array, width: Array) -> Array:
    """log[Φ(b) - Φ(a)], elementwise, a < b; their distance is given too, as b - a would lose its digits far out.

    A narrow interval around m of width d: log φ(m) + log d + log[1 + (m²-1)d²/24 + (m⁴-6m²+3)d⁴/1920].
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        value = log_mass(a, b)
        m, d = 0.5 * (a + b), np.broadcast_to(width, a.shape)
        narrow = d * np.maximum(np.abs(m), 1.0) < NARROW
    if narrow.any():
        m2, d2 = m[narrow] ** 2, d[narrow] ** 2
        series = (m2 - 1.0) * d2 / 24.0 + (m2 * m2 - 6.0 * m2 + 3.0) * d2 * d2 / 1920.0
        value[narrow] = -0.5 * (m2 + LOG_2PI) + 0.5 * np.log(d2) + np.log1p(series)
    return value


def censored_loglik(rows: Known, log_tau: Array, mu: Array) -> Array:
    """Log-likelihood of the interval rows at means mu, (J, M), with τ given as log_tau, (J,)."""
    total = np.zeros(mu.shape)
    step = max(1, AT_ONCE // mu.size)
    for start in range(0, rows.u.size, step):
        lo, hi, u = (part[start : start + step, None, None] for part in (rows.lo, rows.hi, rows.u))
        sd = np.sqrt(u + np.exp(2.0 * log_tau)[:, None])
        total += log_probability((lo - mu) / sd, (hi - mu) / sd, (hi - lo) / sd).sum(axis=0)
    return total


class Joint(NamedTuple):
    """The unnormalised joint posterior of one data set, up to the prior of τ."""

    rows: Known
    prior: MeanPrior

    def normal_part(self, log_tau: Array) -> Given | None:
        """Exact rows and prior: a normal factor of the mean; None where there is neither."""
        if self.rows.y.size == 0 and self.prior.is_flat:
            return None
        return given(self.rows.y[None], self.rows.v[None], log_tau[None], self.prior)

    def log_height(self, log_tau: Array, mu: Array) -> Array:
        """Log of likelihood times prior of the mean, (J, M)."""
        value = censored_loglik(self.rows, log_tau, mu)
        normal = self.normal_part(log_tau)
        if normal is None:
            return value
        variance = normal.variance[0][:, None]
        z2 = (mu - normal.mean[0][:, None]) ** 2 / variance
        value += normal.loglik[0][:, None] - 0.5 * (LOG_2PI + np.log(variance) + z2)
        return value

    def support(self, log_tau: Array) -> tuple[Array, Array]:
        """Ends between which the mean has its mass given τ, (J,) each."""
        sd = np.sqrt(np.exp(2.0 * log_tau) + max(self.rows.v.max(initial=0.0), self.rows.u.max(initial=0.0)))
        ends = np.concatenate(
            [self.rows.y, self.rows.lo, self.rows.hi, [] if self.prior.is_flat else [self.prior.mean]]
        )
        ends = ends[np.isfinite(ends)]
        low, high = ends.min() - 10.0 * sd, ends.max() + 10.0 * sd
        step = 1e-5 * sd
        halvings = int(np.log2(((high - low) / sd).max() / ROUGH)) + 1
        for _ in range(halvings):  # the slope of a concave function changes sign once
            mode = 0.5 * (low + high)
            pair = self.log_height(log_tau, np.stack([mode - step, mode + step], axis=-1))
            rising = pair[:, 1] > pair[:, 0]
            low, high = np.where(rising, mode, low), np.where(rising, high, mode)
        mode = 0.5 * (low + high)
        floor = self.log_height(log_tau, mode[:, None])[:, 0] - NEGLIGIBLE
        return mode - self._reach(log_tau, mode, floor, -sd), mode + self._reach(log_tau, mode, floor, sd)

    def _reach(self, log_tau: Array, mode: Array, floor: Array, unit: Array) -> Array:
        """Distance from the mode, in the direction of ``unit``, at which the height falls to the floor."""

        def above(far: Array) -> Flags:
            at = mode + np.sign(unit) * far
            inside: Flags = self.log_height(log_tau, at[:, None])[:, 0] > floor
            return inside

        near, far = np.zeros(mode.shape), np.abs(unit)
        while (still := above(far)).any():
            far = np.where(still, 2.0 * far, far)
        for _ in range(8):
            middle = 0.5 * (near + far)
            inside = above(middle)
            near, far = np.where(inside, middle, near), np.where(inside, far, middle)
        return far

    def inner(self, log_tau: Array, panels: int) -> Inner:
        """Integrate the mean out at each τ."""
        edges = np.linspace(*self.support(log_tau), panels + 1, axis=-1)
        mu, share = place(edges)
        height = self.log_height(log_tau, mu)
        peak = height.max(axis=-1)
        mass = np.exp(height - peak[:, None])
        total = (share * mass).sum(axis=-1)
        return Inner(edges, mass / total[:, None], peak + np.log(total))

    def panels(self) -> int:
        """Panels that settle the inner integral from far below to far above a typical τ.

        Raises
        ------
        FitError
            If none of those tried does.
        """
        probe = self.rows.typical + np.array([-20.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 5.0])
        before = self.inner(probe, PANELS[0]).log_total
        for count in PANELS[1:]:
            now = self.inner(probe, count).log_total
            if (np.abs(now - before) < AGREE * (1.0 + np.abs(now))).all():
                return count
            before = now
        raise FitError(
            "An interval is too wide for the variances of the rows to be integrated; "
            "ends far beyond every other row may be given as infinite."
        )

    def rule_of(self, tau: TauPrior, panels: int) -> Rule:
        """Nodes for the posterior of τ, (1, J)."""
        return rule(lambda x: tau.log_density(x) + self.inner(x[0], panels).log_total, self.rows.typical)

    def rule_at(self, tau: TauPrior, mean: float) -> Rule:
        """Nodes for the posterior of τ when the mean is fixed, (1, J)."""

        def loglik(x: Array) -> Array:
            at = np.full((x.shape[-1], 1), mean)
            return (
                loglik_at(self.rows.y[None], self.rows.v[None], x, mean) + censored_loglik(self.rows, x[0], at)[:, 0]
            )

        return rule(lambda x: tau.log_density(x) + loglik(x), self.rows.typical)
