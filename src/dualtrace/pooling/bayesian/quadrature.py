"""Integrals over τ: where the posterior has its mass, and a rule of nodes and weights there.

With log τ = c + sinh(t), c the mode of log τ, both kinds of tail fall at least exponentially in t: the
polynomial tails of heavy priors, and the logarithmic ones of log-t priors. The part of the line that carries
mass is cut into equal panels with 16 Gauss-Legendre nodes each; panels are doubled until nothing moves. Every
function is batched over n data sets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.polynomial import legendre

from dualtrace.errors import FitError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualtrace.pooling.likelihood import Array

NODES, WEIGHTS = legendre.leggauss(16)

TO_LEGENDRE = (np.arange(NODES.size) + 0.5)[:, None] * legendre.legvander(NODES, NODES.size - 1).T * WEIGHTS
"""Values at the nodes of a panel to coefficients of the Legendre polynomials through them."""

REACH = 9.0
"""Half-width of the search in t: log τ up to 4,000 away from its mode."""

NEGLIGIBLE = 46.0
"""Fall of the log-integrand beyond which the rest carries no mass in double precision."""

LARGEST = 300.0
"""log τ is held below this, so that τ² does not overflow."""

AGREE = 1e-12
"""Relative change of the integrals at which doubling stops."""

PANELS = (8, 16, 32, 64, 128, 256)


class Rule(NamedTuple):
    """Nodes for integrals over τ of n data sets.

    Attributes
    ----------
    log_tau
        Nodes, (n, J).
    weight
        Posterior probability that each node stands for, (n, J), each row summing to 1.
    log_total
        Logarithm of the integral of the unnormalised posterior, (n,).
    centre
        c of the substitution, (n,).
    edges
        Ends of the panels in t, (n, J / 16 + 1).
    """

    log_tau: Array
    weight: Array
    log_total: Array
    centre: Array
    edges: Array


def place(edges: Array) -> tuple[Array, Array]:
    """Gauss-Legendre nodes and weights of the panels between edges (..., P + 1), as (..., 16 P)."""
    low, width = edges[..., :-1, None], np.diff(edges)[..., None]
    nodes = low + 0.5 * width * (1.0 + NODES)
    weights = np.broadcast_to(0.5 * width * WEIGHTS, nodes.shape)
    shape = (*edges.shape[:-1], -1)
    return nodes.reshape(shape), weights.reshape(shape)


def log_tau_at(centre: Array, t: Array) -> Array:
    """Log τ at t, (n, J)."""
    return np.minimum(centre[:, None] + np.sinh(t), LARGEST)


def rule(log_posterior: Callable[[Array], Array], start: Array) -> Rule:
    """Find the mass of a posterior of τ and place nodes on it.

    Parameters
    ----------
    log_posterior
        Log of the unnormalised posterior density of τ as a function of log τ, (n, J) to (n, J).
    start
        log τ near which to look, (n,).

    Raises
    ------
    FitError
        If the integral does not settle.
    """

    def integrand(centre: Array, t: Array) -> Array:
        log_tau = log_tau_at(centre, t)
        return log_posterior(log_tau) + log_tau + np.log(np.cosh(t))

    centre = start
    for count in (61, 121, 181):  # the mode, better each time; then the mass around it
        t = np.broadcast_to(np.linspace(-REACH, REACH, count), (start.size, count))
        height = integrand(centre, t)
        low, high = _mass(t, height)
        if count != 181:
            best = np.argmax(height - np.log(np.cosh(t)), axis=-1)
            centre = log_tau_at(centre, t)[np.arange(start.size), best]
    before: Rule | None = None
    for panels in PANELS:
        edges = np.linspace(low, high, panels + 1, axis=-1)
        t, share = place(edges)
        height = integrand(centre, t)
        peak = height.max(axis=-1)
        weight = share * np.exp(height - peak[:, None])
        total = weight.sum(axis=-1)
        now = Rule(log_tau_at(centre, t), weight / total[:, None], peak + np.log(total), centre, edges)
        if before is not None and _settled(before, now):
            return now
        before = now
    raise FitError(
        "The posterior of τ is too narrow or has too many separate parts for the quadrature to settle; "
        "check the scale of the prior against that of the effects."
    )


def _mass(t: Array, height: Array) -> tuple[Array, Array]:
    """Ends in t between which the integrand carries mass, one grid step beyond them, (n,) each."""
    counts = height > height.max(axis=-1, keepdims=True) - NEGLIGIBLE
    last = t.shape[-1] - 1
    first_high = np.maximum(np.argmax(counts, axis=-1) - 1, 0)
    last_high = np.minimum(last - np.argmax(counts[:, ::-1], axis=-1) + 1, last)
    return t[0][first_high], t[0][last_high]


def _settled(before: Rule, now: Rule) -> bool:
    """Whether the total and a smooth bounded function of τ no longer change."""

    def probe(found: Rule) -> Array:
        average: Array = (found.weight * np.tanh(found.log_tau - found.centre[:, None])).sum(axis=-1)
        return average

    moved = np.maximum(np.abs(before.log_total - now.log_total), np.abs(probe(before) - probe(now)))
    return bool((moved < AGREE * (1.0 + np.abs(now.log_total))).all())
