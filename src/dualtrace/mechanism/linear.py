"""Linear kinetics in general: poles, one optional zero, a lag; doses add up.

The models of ``plasma`` and ``brain`` are instances of :class:`LinearKinetics`. Two ways to evaluate them:
:func:`concentration` at any times (closed form, superposition), :func:`on_grid` on an even grid (an exact
recursion, the fast way to many points).
"""

from __future__ import annotations

from functools import reduce
from operator import add, mul
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from dualtrace.mechanism.arrays import compiled, marked, otherwise, scan, xp
from dualtrace.mechanism.numerics import chain_response

if TYPE_CHECKING:
    from dualtrace.mechanism.arrays import Array, ArrayLike


class LinearKinetics(NamedTuple):
    r"""Transfer from a dose to a concentration.

    .. math:: H(s) = K \, e^{-s T_{lag}} \, (s + z)^{0\,\text{or}\,1} \prod_i \frac{1}{s + r_i}

    Attributes
    ----------
    poles
        Loss rates ``r_i`` (1/h). Each is one number, or one number per dose.
    scale
        ``K``: concentration per mg, times the product of the flow rates.
    lag
        Absorption lag (h).
    zero
        ``z`` (1/h) of a two-compartment model; ``None`` without one.
    """

    poles: tuple[Array, ...]
    scale: Array
    lag: Array
    zero: Array | None = None


class Doses(NamedTuple):
    """When (h) and how much (mg); both of shape ``(n_doses,)``. An amount of 0 is no dose."""

    time_h: Array
    amount_mg: Array


def unit_response(kinetics: LinearKinetics, since_dose: ArrayLike) -> Array:
    """Concentration per mg at a time since the dose was swallowed (h); 0 before the lag is over."""
    elapsed = xp.asarray(since_dose) - kinetics.lag
    time = xp.maximum(elapsed, 0)
    return xp.where(elapsed >= 0, kinetics.scale * _shape(kinetics, time), 0)


def _shape(kinetics: LinearKinetics, time: Array) -> Array:
    whole = chain_response(kinetics.poles, time)
    if kinetics.zero is None:
        return whole
    last = kinetics.poles[-1]
    return chain_response(kinetics.poles[:-1], time) + (kinetics.zero - last) * whole


@compiled()
def concentration(kinetics: LinearKinetics, doses: Doses, times_h: ArrayLike) -> Array:
    r"""Concentration at ``times_h`` by superposition.

    .. math:: C(t) = \sum_j D_j \, h(t - t_j - T_{lag})

    Returns
    -------
    Array
        Shape of ``times_h``.
    """
    times = xp.asarray(times_h)
    since = times[..., None] - doses.time_h
    return xp.sum(doses.amount_mg * unit_response(kinetics, since), axis=-1)


def area_to_infinity(kinetics: LinearKinetics, doses: Doses) -> Array:
    """Area under the concentration from the first dose on: ``H(0)`` times the total dose (mg h/L)."""
    gain = kinetics.scale
    for pole in kinetics.poles:
        gain = gain / pole
    if kinetics.zero is not None:
        gain = gain * kinetics.zero
    return xp.sum(gain * doses.amount_mg)


def area(kinetics: LinearKinetics, doses: Doses, times_h: ArrayLike) -> Array:
    """Area under the concentration up to ``times_h``: integration adds a pole at zero."""
    nil = xp.zeros_like(xp.asarray(kinetics.poles[0]))
    grown = kinetics._replace(poles=(nil, *kinetics.poles))
    return concentration(grown, doses, times_h)


@compiled("count")
def on_grid(kinetics: LinearKinetics, doses: Doses, *, step_h: float, count: int, start_h: float = 0.0) -> Array:
    """Concentration at ``start + k step`` for ``k = 0 .. count - 1``, exactly, by recursion.

    Between doses the chain obeys ``x(t + step) = T x(t)`` with a triangular ``T``; a dose enters at the first
    grid point at or after its arrival, with the amounts it has reached by then. Costs a few multiplications
    a point, where :func:`concentration` needs exponentials for every dose.

    Parameters
    ----------
    kinetics
        One set of rates for all doses: each leaf a scalar, or one value per patient, shape ``(n_patients,)``.
        For rates that differ by dose use :func:`concentration`.
    doses
        Times and amounts of shape ``(n_doses,)``, the same for all patients.

    Returns
    -------
    Array
        Shape ``(count,)`` or ``(count, n_patients)``. For many patients pass leaves with a patient axis
        rather than ``vmap``: the time axis then stays first and memory is read in order (five times faster).
    """
    leaves = (*kinetics.poles, kinetics.scale, kinetics.lag, 0.0 if kinetics.zero is None else kinetics.zero)
    shape = np.broadcast_shapes(*(np.shape(leaf) for leaf in leaves))
    index, entering = _entering(kinetics, doses, step_h=step_h, start_h=start_h, patients=shape)
    busy = marked(index, count)
    steps = range(len(kinetics.poles))
    carry_over = [[chain_response(kinetics.poles[i : j + 1], step_h) for i in range(j + 1)] for j in steps]

    def admit(state: tuple[Array, ...], now: Array) -> tuple[Array, ...]:
        here = index == now
        return tuple(state[j] + xp.sum(xp.where(here, entering[j], 0), axis=0) for j in steps)

    def advance(state: tuple[Any, ...], tick: tuple[Array, Array]) -> tuple[tuple[Any, ...], Array]:
        now, arrives = tick
        state = tuple(reduce(add, map(mul, carry_over[j], state)) for j in steps)
        state = otherwise(arrives, admit, state, now)
        return state, _read_out(kinetics, state)

    empty = tuple(np.zeros(shape, amount.dtype) for amount in entering)
    return cast("Array", scan(advance, empty, (np.arange(count, dtype=index.dtype), busy)))


def _entering(
    kinetics: LinearKinetics, doses: Doses, *, step_h: float, start_h: float, patients: tuple[int, ...]
) -> tuple[Array, tuple[Array, ...]]:
    """First grid index at or after each dose's arrival, and what each step of the chain holds by then."""
    per_dose = (-1,) + (1,) * len(patients)
    arrival = xp.broadcast_to(doses.time_h.reshape(per_dose) + kinetics.lag, (doses.time_h.size, *patients))
    index = xp.maximum(xp.ceil((arrival - start_h) / step_h), 0).astype(np.int32)
    after = xp.maximum(start_h + index * step_h - arrival, 0)
    amount = doses.amount_mg.reshape(per_dose)
    return index, tuple(amount * chain_response(kinetics.poles[: j + 1], after) for j in range(len(kinetics.poles)))


def _read_out(kinetics: LinearKinetics, chain: tuple[Array, ...]) -> Array:
    if kinetics.zero is None:
        return kinetics.scale * chain[-1]
    return kinetics.scale * (chain[-2] + (kinetics.zero - kinetics.poles[-1]) * chain[-1])
