"""Fifth link: a stronger NMDA current shifts when a synapse strengthens or weakens.

Calcium rule of Graupner & Brunel (2012, doi 10.1073/pnas.1109359109): efficacy rises while calcium is above
``theta_p`` and falls while it is above ``theta_d``. The drug scales the share of presynaptic calcium that
enters through NMDA receptors. Between spikes calcium decays exponentially, so the times above a threshold are
exact sums, and the outcome is analytic; no differential equation is solved here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import erf

from dualtrace.mechanism.arrays import compiled

if TYPE_CHECKING:
    from jax.typing import ArrayLike

    from dualtrace.mechanism.parameters import Lookup


class RuleSet(StrEnum):
    """Published parameter sets of the calcium rule."""

    HIPPOCAMPAL_SLICES = "hippocampal_slices"
    HIPPOCAMPAL_CULTURES = "hippocampal_cultures"
    CORTICAL_SLICES = "cortical_slices"
    DP_CURVE = "dp_curve"


class CalciumRule(NamedTuple):
    """Constants of the rule; times in s, calcium in units of ``theta_d``."""

    tau_calcium: ArrayLike
    c_pre: ArrayLike
    c_post: ArrayLike
    theta_d: ArrayLike
    theta_p: ArrayLike
    gamma_d: ArrayLike
    gamma_p: ArrayLike
    sigma: ArrayLike
    tau: ArrayLike
    rho_star: ArrayLike
    delay: ArrayLike
    beta: ArrayLike
    b: ArrayLike


_UNITS = {"tau_calcium": "s", "tau": "s", "delay": "s"}


def calcium_rule(rule_set: RuleSet, lookup: Lookup) -> CalciumRule:
    """Return the constants of a published set."""
    return CalciumRule(
        *(lookup(f"plasticity.{rule_set}.{name}", _UNITS.get(name, "1")) for name in CalciumRule._fields)
    )


class Spikes(NamedTuple):
    """Calcium events in order of time (s); amplitude ``pre`` or ``post`` in multiples of the rule's own."""

    time_s: Array
    pre: Array
    post: Array


class TimeAbove(NamedTuple):
    """Seconds above the depression and the potentiation threshold."""

    depression: Array
    potentiation: Array


class Outcome(NamedTuple):
    """Result of a stimulation.

    Attributes
    ----------
    rho_bar
        Efficacy towards which the stimulation drives; 0 to 1.
    up, down
        Chance that a low synapse ends high, that a high one ends low.
    change
        Strength after over strength before, averaged over synapses; 1 is no change.
    """

    rho_bar: Array
    up: Array
    down: Array
    change: Array


def drug_on_calcium(gain: ArrayLike, nmda_share: ArrayLike) -> Array:
    """``(1 - f_N) + f_N G``: factor on presynaptic calcium."""
    share = jnp.asarray(nmda_share)
    return 1 - share + share * jnp.asarray(gain)


def time_above(rule: CalciumRule, spikes: Spikes, factor: ArrayLike) -> TimeAbove:
    r"""Seconds that calcium spends above each threshold.

    .. math:: \dot c = -c/\tau_{Ca} + f\,C_{pre}\sum\delta(t - t_{pre} - D) + C_{post}\sum\delta(t - t_{post})

    After an event calcium is ``c`` and decays until the next one ``d`` later, so it stays above ``theta`` for
    ``min(tau_Ca ln(c/theta), d)``. The last event decays for ever.
    """
    jumps = jnp.asarray(factor) * rule.c_pre * spikes.pre + rule.c_post * spikes.post
    gaps = jnp.diff(spikes.time_s, append=jnp.inf)

    def event(calcium: Array, now: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array]]:
        jump, gap = now
        high = calcium + jump
        above = tuple(
            jnp.clip(rule.tau_calcium * jnp.log(jnp.maximum(high, 1e-30) / theta), 0, gap)
            for theta in (rule.theta_d, rule.theta_p)
        )
        return high * jnp.exp(-gap / rule.tau_calcium), (above[0], above[1])

    start = jnp.zeros_like(jumps[0])
    depression, potentiation = jax.lax.scan(event, start, (jumps, gaps))[1]
    return TimeAbove(jnp.sum(depression), jnp.sum(potentiation))


def outcome(rule: CalciumRule, above: TimeAbove) -> Outcome:
    r"""Analytic outcome of a stimulation.

    .. math:: \Gamma_x = \gamma_x t_x,\quad \bar\rho = \frac{\Gamma_p}{\Gamma_p + \Gamma_d},\quad
              \rho(T) = \bar\rho - (\bar\rho - \rho_0) e^{-(\Gamma_p + \Gamma_d)/\tau}

    The noise ``sigma sqrt(tau) sqrt(H_p + H_d)`` in ``tau d rho`` gives ``rho`` the variance
    ``sigma^2 (t_p + t_d) / (2 (Gamma_p + Gamma_d)) (1 - exp(-2 (Gamma_p + Gamma_d)/tau))``. Here ``t_x`` are
    seconds above a threshold, so the duration of the stimulation does not enter. One that never crosses a
    threshold changes nothing.
    """
    pull_p, pull_d = rule.gamma_p * above.potentiation, rule.gamma_d * above.depression
    pull = pull_p + pull_d
    silent = pull <= 0
    safe = jnp.where(silent, 1, pull)
    rho_bar = jnp.where(silent, rule.rho_star, pull_p / safe)
    left = jnp.exp(-safe / rule.tau)
    seconds = above.potentiation + above.depression
    spread = jnp.sqrt(rule.sigma**2 * seconds / safe * (1 - left**2))
    spread = jnp.where(silent, 1, spread)
    from_low, from_high = rho_bar * (1 - left), rho_bar + (1 - rho_bar) * left
    up = jnp.where(silent, 0, (1 - erf((rule.rho_star - from_low) / spread)) / 2)
    down = jnp.where(silent, 0, (1 + erf((rule.rho_star - from_high) / spread)) / 2)
    return Outcome(rho_bar, up, down, strength_ratio(rule, up, down))


def strength_ratio(rule: CalciumRule, up: ArrayLike, down: ArrayLike) -> Array:
    r"""Mean strength after over before.

    .. math:: \frac{(1 - U)\beta + D(1 - \beta) + b\,[U\beta + (1 - D)(1 - \beta)]}{\beta + (1 - \beta) b}
    """
    low, up, down = jnp.asarray(rule.beta), jnp.asarray(up), jnp.asarray(down)
    ends_low = (1 - up) * low + down * (1 - low)
    return (ends_low + rule.b * (1 - ends_low)) / (low + (1 - low) * rule.b)


@compiled()
def slice_change(
    rule: CalciumRule, spikes: Spikes, gain: ArrayLike, nmda_share: ArrayLike, amplitudes: ArrayLike
) -> Array:
    """Mean strength ratio of a slice whose synapses differ in calcium amplitude.

    Parameters
    ----------
    gain
        Receptor gain ``G`` during the stimulation.
    nmda_share
        ``f_N`` of :func:`drug_on_calcium`.
    amplitudes
        Factors on all calcium of one synapse each, shape ``(n_synapses,)``, equally weighted.
    """
    factor = drug_on_calcium(gain, nmda_share)

    def synapse(amplitude: Array) -> Array:
        own = rule._replace(c_pre=rule.c_pre * amplitude, c_post=rule.c_post * amplitude)
        return outcome(own, time_above(own, spikes, factor)).change

    return jnp.mean(jax.vmap(synapse)(jnp.asarray(amplitudes)))


def population_change(drive: ArrayLike, lookup: Lookup) -> Array:
    r"""Shortcut for the trial simulator: weight change at a calcium drive ``x`` (``x = x_0 G``).

    .. math:: \Delta W(x) = A_p \frac{x^n}{x^n + \theta_p^n} - A_d \frac{x^m}{x^m + \theta_d^m}
    """

    def constant(name: str) -> ArrayLike:
        return jnp.asarray(lookup(f"plasticity.population.{name}", "1"))

    x = jnp.asarray(drive)
    rise = 1 / (1 + (constant("theta_p") / jnp.maximum(x, 1e-30)) ** constant("n"))
    fall = 1 / (1 + (constant("theta_d") / jnp.maximum(x, 1e-30)) ** constant("m"))
    return jnp.asarray(constant("potentiation") * rise - constant("depression") * fall)
