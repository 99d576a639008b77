"""Virtual slice experiments: the classical stimulation patterns as spike trains, and synapses that differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from dualtrace.errors import InputError
from dualtrace.mechanism.calcium_control import ControlRule, control_change
from dualtrace.mechanism.plasticity import CalciumRule, Spikes, slice_change

if TYPE_CHECKING:
    from jax import Array
    from jax.typing import ArrayLike
    from numpy.typing import NDArray

    from dualtrace.mechanism.parameters import Lookup

_SYNAPSES = 101


def pulses(times_s: NDArray[np.float64], rule: CalciumRule | ControlRule, *, firing: float) -> Spikes:
    """Presynaptic pulses, each followed by postsynaptic calcium of ``firing`` times one spike.

    ``firing`` is the share of pulses that fire the postsynaptic cell (0: none, 1: all). The postsynaptic
    spike coincides with the pulse; presynaptic calcium comes one delay later.
    """
    if not 0 <= firing <= 1:
        raise InputError(f"the share of pulses that fire the cell lies between 0 and 1; given {firing:g}")
    count = times_s.size
    time = np.concatenate([times_s + np.asarray(rule.delay), times_s])
    pre = np.concatenate([np.ones(count), np.zeros(count)])
    order = np.argsort(time, kind="stable")
    post = firing * (1 - pre)
    return Spikes(jnp.asarray(time[order]), jnp.asarray(pre[order]), jnp.asarray(post[order]))


def theta_burst(bursts: int) -> NDArray[np.float64]:
    """Four pulses at 100 Hz, bursts at 5 Hz (s)."""
    return np.ravel(np.arange(bursts)[:, None] / 5 + np.arange(4) / 100)


def high_frequency() -> NDArray[np.float64]:
    """100 Hz for 1 s."""
    return np.arange(100) / 100


def low_frequency(*, hertz: float = 1.0, pulses: int = 900) -> NDArray[np.float64]:
    """``pulses`` at ``hertz``; the default is 1 Hz for 15 min."""
    return np.arange(pulses) / hertz


def amplitudes(lookup: Lookup) -> NDArray[np.float64]:
    """Calcium amplitudes of the synapses of a slice: equal-probability points of a log-normal of median 1."""
    from scipy.special import ndtri

    points = (np.arange(_SYNAPSES) + 0.5) / _SYNAPSES
    return np.asarray(np.exp(lookup("plasticity.spread", "1") * ndtri(points)))


def slice_experiment(
    rule: CalciumRule | ControlRule, times_s: NDArray[np.float64], *, gain: ArrayLike, firing: float, lookup: Lookup
) -> Array:
    """Strength after over before for one stimulation at a receptor gain, by either rule."""
    share = lookup("plasticity.nmda_share", "1")
    spikes = pulses(times_s, rule, firing=firing)
    if isinstance(rule, ControlRule):
        return control_change(rule, spikes, gain, share, amplitudes(lookup))
    return slice_change(rule, spikes, gain, share, amplitudes(lookup))
