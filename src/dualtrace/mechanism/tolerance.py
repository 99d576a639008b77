"""Fourth link: earlier doses blunt the response to the next one, and it recovers over days."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dualtrace.mechanism.arrays import scan, xp

if TYPE_CHECKING:
    from dualtrace.mechanism.arrays import Array, ArrayLike
    from dualtrace.mechanism.linear import Doses
    from dualtrace.mechanism.parameters import Lookup

_HOURS_PER_DAY = 24.0


class Tolerance(NamedTuple):
    """Share ``q`` of the remaining response lost per dose, and time constant of recovery (h)."""

    jump: ArrayLike
    recovery_h: ArrayLike


OFF = Tolerance(0.0, 1.0)
"""No tolerance."""


def default_tolerance(lookup: Lookup) -> Tolerance:
    """Constants of ``parameters.yaml`` (Parnas 2005: gone after 1 dose, not back at 2 d, back at 28 d)."""
    return Tolerance(lookup("tolerance.jump", "1"), xp.asarray(lookup("tolerance.recovery", "day")) * _HOURS_PER_DAY)


def lost_before(doses: Doses, tolerance: Tolerance) -> Array:
    r"""Share of the response already lost when each dose is swallowed.

    .. math:: \dot S = -S/\tau_S + \sum_j \delta(t - t_j)\, q\,(1 - S),\qquad S(t_1^-) = 0

    Returns ``S(t_j^-)`` for every dose: a dose is not blunted by itself. Doses of 0 mg leave no trace.
    """
    waits = xp.diff(doses.time_h, prepend=doses.time_h[..., :1])

    def swallow(after: Array, dose: tuple[Array, Array]) -> tuple[Array, Array]:
        wait, amount = dose
        before = after * xp.exp(-wait / tolerance.recovery_h)
        jump = xp.where(amount > 0, xp.asarray(tolerance.jump), 0)
        return before + jump * (1 - before), before

    start = xp.zeros_like(xp.asarray(tolerance.jump) * doses.time_h[..., 0] * tolerance.recovery_h)
    rows = xp.moveaxis(waits, -1, 0), xp.moveaxis(doses.amount_mg, -1, 0)
    return xp.moveaxis(scan(swallow, start, rows), 0, -1)


def lost_at(times_h: ArrayLike, doses: Doses, tolerance: Tolerance) -> Array:
    """Lost share in force at any time: that of the latest dose (above 0 mg), recovering; 0 before the first."""
    times = xp.asarray(times_h)[..., None]
    recovery = xp.asarray(tolerance.recovery_h)[..., None]
    swallowed = (times >= doses.time_h) & (doses.amount_mg > 0)
    since = xp.cumsum(swallowed[..., ::-1], axis=-1)[..., ::-1]  # doses from each one on
    remaining = lost_before(doses, tolerance) * xp.exp(-xp.maximum(times - doses.time_h, 0) / recovery)
    return xp.sum(xp.where(swallowed & (since == 1), remaining, 0), axis=-1)


def effective_gain(gain: ArrayLike, lost: ArrayLike) -> Array:
    """``G_eff = 1 + (1 - S)(G - 1)``."""
    return 1 + (1 - xp.asarray(lost)) * (xp.asarray(gain) - 1)
