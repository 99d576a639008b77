"""Fourth link: earlier doses blunt the response to the next one, and it recovers over days."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

if TYPE_CHECKING:
    from jax.typing import ArrayLike

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
    return Tolerance(lookup("tolerance.jump", "1"), jnp.asarray(lookup("tolerance.recovery", "day")) * _HOURS_PER_DAY)


def lost_before(doses: Doses, tolerance: Tolerance) -> Array:
    r"""Share of the response already lost when each dose is swallowed.

    .. math:: \dot S = -S/\tau_S + \sum_j \delta(t - t_j)\, q\,(1 - S),\qquad S(t_1^-) = 0

    Returns ``S(t_j^-)`` for every dose: a dose is not blunted by itself. Doses of 0 mg leave no trace.
    """
    first = doses.time_h[:1]
    waits = jnp.diff(doses.time_h, prepend=first)

    def swallow(after: Array, dose: tuple[Array, Array]) -> tuple[Array, Array]:
        wait, amount = dose
        before = after * jnp.exp(-wait / tolerance.recovery_h)
        jump = jnp.where(amount > 0, jnp.asarray(tolerance.jump), 0)
        return before + jump * (1 - before), before

    start = jnp.zeros_like(jnp.asarray(tolerance.jump) * doses.time_h[0])
    return jax.lax.scan(swallow, start, (waits, doses.amount_mg))[1]


def lost_at(times_h: ArrayLike, doses: Doses, tolerance: Tolerance) -> Array:
    """Lost share in force at any time: that of the latest dose, recovering; 0 before the first dose."""
    times = jnp.asarray(times_h)[..., None]
    swallowed = times >= doses.time_h
    superseded = jnp.concatenate([swallowed[..., 1:], jnp.zeros_like(swallowed[..., :1])], axis=-1)
    remaining = lost_before(doses, tolerance) * jnp.exp(-jnp.maximum(times - doses.time_h, 0) / tolerance.recovery_h)
    return jnp.sum(jnp.where(swallowed & ~superseded, remaining, 0), axis=-1)


def effective_gain(gain: ArrayLike, lost: ArrayLike) -> Array:
    """``G_eff = 1 + (1 - S)(G - 1)``."""
    return 1 + (1 - jnp.asarray(lost)) * (jnp.asarray(gain) - 1)
