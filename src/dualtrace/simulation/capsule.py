"""Capsules to boosts: ``M`` of every session of a course, with what earlier capsules left in plasma and tolerance.

The chain is linear up to the brain, so what is left of earlier capsules is a handful of compartment amounts that
move from one capsule to the next. Whether a capsule is taken may depend on the session, so nothing is summed
beforehand; the tables here are what stays the same for a person: the response to one milligram at the times of
the consolidation window, and the matrices that carry the rest.

The patients are the last axis of every array.
"""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dualtrace.mechanism.arrays import xp
from dualtrace.mechanism.consolidation import Kernel, exponential_window, step_window
from dualtrace.mechanism.numerics import chain_response
from dualtrace.mechanism.plasma import micromolar
from dualtrace.mechanism.receptor import unblocked

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dualtrace.mechanism.arrays import Array, ArrayLike
    from dualtrace.mechanism.chain import Chain
    from dualtrace.mechanism.linear import LinearKinetics

_NODES = 12
"""Nodes of the window on each side of a capsule; 32 change the boost by less than 1e-7 (before) or 1e-4 (after)."""

_LATEST_LAG_H = 1.5
"""A capsule swallowed earlier than this before the session's end is taken to have started being absorbed by then."""


class Window(NamedTuple):
    """The consolidation window of one kind of session.

    Attributes
    ----------
    own
        Brain concentration (uM) per mg of the session's own capsule, shape ``(nodes, n)``.
    rest
        Brain concentration (uM) per amount left in each compartment at the reference time,
        ``(compartments, nodes, n)``.
    weight
        Weights of the nodes; they sum to one.
    recovered
        Share of the tolerance at the reference time that is left at each node.
    swallowed
        1 at nodes after the time of the session's own capsule, 0 before.
    """

    own: Array
    rest: Array
    weight: Array
    recovered: Array
    swallowed: Array


class Carry(NamedTuple):
    """From one reference time to the next.

    Attributes
    ----------
    matrix, enters
        What is left of the compartments (lower triangle), and what a new capsule adds per mg.
    until, after
        Share of the tolerance that is left from the reference time to the capsule, and from there to the next.
    """

    matrix: tuple[tuple[Array, ...], ...]
    enters: tuple[Array, ...]
    until: Array
    after: Array


class Body(NamedTuple):
    """What the drug finds, at the reference time of a session (capsule or session's end, whichever comes first).

    Attributes
    ----------
    amounts
        What is left of earlier capsules in the chain's compartments.
    lost
        Share of the response that the next capsule finds lost to tolerance.
    lost_last
        The same as the latest capsule found it, recovering since.
    """

    amounts: tuple[Array, ...]
    lost: Array
    lost_last: Array


def fresh_body(chain: Chain, like: Array) -> Body:
    """Return the body before any capsule."""
    none = xp.zeros_like(like)
    return Body((none,) * len(chain.brain.poles), none, none)


def corners_of(end_h: float, swallowed_h: float) -> int:
    """Number of corners of a session's window: where its capsule is swallowed, where absorption starts."""
    return int(swallowed_h > end_h - _LATEST_LAG_H) + int(swallowed_h > end_h)


def window(
    chain: Chain,
    *,
    end_h: float,
    swallowed_h: float,
    kernel: Kernel = Kernel.EXPONENTIAL,
    like: Array,
    most_corners: int | None = None,
) -> Window:
    """Tables of a session that ends at ``end_h`` and whose capsule is swallowed at ``swallowed_h``.

    ``most_corners`` gives the tables of all sessions of a course the same number of nodes: a corner that lies before
    the window costs nodes and changes nothing.
    """
    none = xp.zeros_like(like)
    corners = xp.stack([swallowed_h + chain.brain.lag + none, swallowed_h + none], axis=-1)
    corners = corners[..., : corners_of(end_h, swallowed_h) if most_corners is None else most_corners]
    if kernel is Kernel.EXPONENTIAL:
        nodes = exponential_window(session_end_h=end_h, tau_h=chain.window_h, arrivals_h=corners, nodes=_NODES)
    else:
        nodes = step_window(session_end_h=end_h, width_h=chain.window_h, arrivals_h=corners, nodes=_NODES)
    times, weight = (xp.moveaxis(xp.broadcast_to(part, (*like.shape, part.shape[-1])), -1, 0) for part in nodes)
    brain, elapsed, since = chain.brain, times - swallowed_h - chain.brain.lag, times - min(swallowed_h, end_h)
    own = xp.where(elapsed >= 0, _response(brain, 0, xp.maximum(elapsed, 0)), 0)
    rest = xp.stack([_response(brain, first, since) for first in range(len(brain.poles))])
    return Window(
        own=micromolar(own, chain.molar_mass),
        rest=micromolar(rest, chain.molar_mass),
        weight=weight,
        recovered=xp.exp(-since / chain.tolerance.recovery_h),
        swallowed=xp.where(times >= swallowed_h, 1.0, 0.0).astype(like.dtype),
    )


def carry(chain: Chain, hours: float, *, swallowed_h: float, reference_h: float, like: Array) -> Carry:
    """Tables from one reference time to the next, ``hours`` later."""
    wait, recovery = swallowed_h - reference_h, xp.asarray(chain.tolerance.recovery_h)
    poles, lag = chain.brain.poles, chain.brain.lag + wait
    steps = range(len(poles))
    none = xp.zeros_like(like)
    return Carry(
        tuple(tuple(chain_response(poles[i : j + 1], none + hours) for i in range(j + 1)) for j in steps),
        tuple(chain_response(poles[: j + 1], none + hours - lag) for j in steps),
        none + xp.exp(-wait / recovery),
        none + xp.exp(-(hours - wait) / recovery),
    )


def boost(chain: Chain, table: Window, body: Body, dose_mg: Array) -> Array:
    """``M`` of a session: the extra gain of its own capsule (0 mg when none is taken) and of what is left.

    Added up node by node, which costs less on a CPU than one sum over an array.
    """
    nodes = (Window(*(leaf[..., at, :] for leaf in table)) for at in range(table.own.shape[0]))
    return reduce(add, (_share_of(chain, node, body, dose_mg) for node in nodes))


def _share_of(chain: Chain, node: Window, body: Body, dose_mg: Array) -> Array:
    """What one node of the window adds."""
    left = reduce(add, (node.rest[j] * amount for j, amount in enumerate(body.amounts)))
    brain_um = node.own * dose_mg + left
    taken = node.swallowed * (dose_mg > 0)
    lost = (body.lost_last + (body.lost - body.lost_last) * taken) * node.recovered
    return node.weight * extra_gain(chain, brain_um) * (1 - lost)


def swallow(chain: Chain, step: Carry, body: Body, dose_mg: Array) -> Body:
    """Return the body at the next reference time, after ``dose_mg`` now (0: none)."""
    moved = tuple(
        reduce(add, (row[i] * body.amounts[i] for i in range(len(row)))) + dose_mg * enters
        for row, enters in zip(step.matrix, step.enters, strict=True)
    )
    taken = dose_mg > 0
    found = body.lost * step.until
    lost = found + xp.where(taken, chain.tolerance.jump, 0.0) * (1 - found)
    last = xp.where(taken, body.lost, body.lost_last) * step.until
    return Body(moved, lost * step.after, last * step.after)


def extra_gain(chain: Chain, brain_um: Array) -> Array:
    r"""``G - 1`` as :func:`dualtrace.mechanism.receptor.gain` gives it, with one division instead of ten.

    .. math:: \sum_s w_s R_s(B) = \sum_s w_s R_s(0) + B \sum_s \frac{g_s}{r_s + B},\quad
              r_s = (1 + e_s + b) K_s,\quad g_s = w_s (\varepsilon_s - e_s K_s / r_s)

    The classes' fractions are brought over one denominator, two by two.
    """
    site, drug, around = chain.site, chain.drug, chain.around
    parts, alone, without = [], [], []
    for e, w, k, efficacy in zip(*map(_split, (*site, *drug)), strict=True):
        half = (1 + e + around.competitor) * k
        open_now = e * k / half
        parts.append((w * (efficacy - open_now), half + brain_um))
        alone.append(w * open_now)
        without.append(w * e / (1 + e))
    over, under = reduce(lambda a, b: (a[0] * b[1] + b[0] * a[1], a[1] * b[1]), parts)
    left = around.channel * around.glutamate / _total(without)
    first, slope = left * _total(alone), brain_um * over / under
    ratio = (first - 1) + left * slope
    if not _is_infinite(chain.channel_ic50_um):
        ratio = (1 + ratio) * unblocked(brain_um, chain.channel_ic50_um) - 1
    return xp.asarray((1 - chain.sites_lost) * ratio)


def _is_infinite(value: ArrayLike) -> bool:
    """Whether a value is known to be infinite before anything runs: no channel blocker."""
    return isinstance(value, np.ndarray) and bool(np.isinf(value).all())


def _response(kinetics: LinearKinetics, first: int, time: Array) -> Array:
    """Concentration at ``time`` after one unit in compartment ``first``."""
    poles = kinetics.poles[first:]
    whole = chain_response(poles, time)
    if kinetics.zero is not None:
        whole = (chain_response(poles[:-1], time) if poles[:-1] else 0) + (kinetics.zero - poles[-1]) * whole
    return kinetics.scale * whole


def _split(values: ArrayLike) -> Sequence[Any]:
    """Values of each class of subunits."""
    array = xp.asarray(values)
    return [array[..., s] for s in range(array.shape[-1])]


def _total(parts: Iterable[Array]) -> Array:
    return reduce(add, parts)
