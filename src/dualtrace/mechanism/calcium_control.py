"""The alternative plasticity rule: calcium sets the weight a synapse drifts to, and how fast (Shouval 2002).

It takes the same spikes and the same drug factor as the calcium rule of ``plasticity`` and gives the same kind
of answer, strength after over strength before. Calcium amplitudes are assumptions: the published model derives
them from voltage and receptor kinetics, of which a multiplier of the receptor current knows nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp

from dualtrace.mechanism.arrays import compiled
from dualtrace.mechanism.plasticity import drug_on_calcium

if TYPE_CHECKING:
    from jax import Array
    from jax.typing import ArrayLike

    from dualtrace.mechanism.parameters import Lookup
    from dualtrace.mechanism.plasticity import Spikes

_PARTS = 32
"""Pieces into which the decay between two spikes is cut, even in the logarithm of calcium."""

_MOST_DECAYS = 8.0
"""Decay constants after which calcium is taken for gone: the learning rate has fallen to that of rest."""


class ControlRule(NamedTuple):
    """Constants of the rule: calcium in uM, times in s, slopes in 1/uM."""

    tau_calcium: ArrayLike
    pulse: ArrayLike
    spike: ArrayLike
    alpha1: ArrayLike
    alpha2: ArrayLike
    beta1: ArrayLike
    beta2: ArrayLike
    base: ArrayLike
    p1: ArrayLike
    p2: ArrayLike
    p3: ArrayLike
    p4: ArrayLike

    @property
    def delay(self) -> float:
        """Delay of presynaptic calcium (s): none in this rule."""
        return 0.0


_UNITS = {
    "tau_calcium": "s", "pulse": "uM", "spike": "uM", "alpha1": "uM", "alpha2": "uM",
    "beta1": "1/uM", "beta2": "1/uM", "p1": "s", "p4": "s",
}  # fmt: skip


def control_rule(lookup: Lookup) -> ControlRule:
    """Return the constants of ``parameters.yaml``."""
    return ControlRule(*(lookup(f"plasticity.shouval.{name}", _UNITS.get(name, "1")) for name in ControlRule._fields))


def target(rule: ControlRule, calcium_um: ArrayLike) -> Array:
    r"""Weight towards which calcium drives.

    .. math:: \Omega = w_0 + \mathrm{sig}(Ca - \alpha_2; \beta_2) - w_0\,\mathrm{sig}(Ca - \alpha_1; \beta_1)

    Shouval, Bear & Cooper 2002, as re-implemented by others (see ``parameters.yaml``).
    """
    calcium = jnp.asarray(calcium_um)
    high = jax.nn.sigmoid(rule.beta2 * (calcium - rule.alpha2))
    low = jax.nn.sigmoid(rule.beta1 * (calcium - rule.alpha1))
    return jnp.asarray(rule.base + high - rule.base * low)


def rate(rule: ControlRule, calcium_um: ArrayLike) -> Array:
    """Learning rate (1/s): ``1/eta = p1 / (p2 + Ca^p3) + p4``."""
    return jnp.asarray(1 / (rule.p1 / (rule.p2 + jnp.asarray(calcium_um) ** rule.p3) + rule.p4))


def weight_after(rule: ControlRule, spikes: Spikes, factor: ArrayLike, amplitude: ArrayLike = 1.0) -> Array:
    r"""Weight at the end of a stimulation that starts from rest.

    .. math:: \dot w = \eta(Ca)\,[\Omega(Ca) - w],\qquad \dot{Ca} = -Ca/\tau_{Ca} + \text{jumps}

    Calcium decays exactly between spikes; the weight relaxes exactly on each of ``_PARTS`` pieces of a decay,
    with calcium at the middle of the piece. The last spike's calcium decays for ``_MOST_DECAYS`` constants.
    """
    jumps = (jnp.asarray(factor) * rule.pulse * spikes.pre + rule.spike * spikes.post) * amplitude
    gaps = jnp.diff(spikes.time_s, append=spikes.time_s[-1:] + _MOST_DECAYS * rule.tau_calcium)
    middles = (jnp.arange(_PARTS) + 0.5) / _PARTS

    def event(state: tuple[Array, Array], now: tuple[Array, Array]) -> tuple[tuple[Array, Array], None]:
        calcium, weight = state[0] + now[0], state[1]
        active = jnp.minimum(now[1], _MOST_DECAYS * rule.tau_calcium)
        along = calcium * jnp.exp(-middles * active / rule.tau_calcium)
        eta, omega = rate(rule, along), target(rule, along)
        kept = jnp.exp(-eta * active / _PARTS)
        after = jnp.cumprod(kept[::-1])[::-1]
        later = jnp.append(after[1:], 1.0)
        weight = after[0] * weight + jnp.sum((1 - kept) * omega * later)
        rest = jnp.exp(-rate(rule, 0.0) * (now[1] - active))
        weight = target(rule, 0.0) + (weight - target(rule, 0.0)) * rest
        return (calcium * jnp.exp(-now[1] / rule.tau_calcium), weight), None

    start = jnp.zeros_like(jumps[0]), jnp.asarray(target(rule, 0.0)) + 0 * jumps[0]
    return jax.lax.scan(event, start, (jumps, gaps))[0][1]


@compiled()
def control_change(
    rule: ControlRule, spikes: Spikes, gain: ArrayLike, nmda_share: ArrayLike, amplitudes: ArrayLike
) -> Array:
    """Mean strength ratio of a slice; arguments as of :func:`dualtrace.mechanism.plasticity.slice_change`."""
    factor = drug_on_calcium(gain, nmda_share)
    ends = jax.vmap(lambda amplitude: weight_after(rule, spikes, factor, amplitude))(jnp.asarray(amplitudes))
    return jnp.mean(ends) / target(rule, 0.0)
