"""The one numerical kernel of linear kinetics: the response of a chain of first-order steps.

Every linear model here (absorption, one or two compartments, transit stages, effect compartment) is a
product of poles ``1/(s + r)``; its response to a unit dose is a divided difference of ``exp(-r t)``.
Written naively that is a difference of nearly equal numbers whenever two rates are close; here it is
computed so that rates may coincide, in double and in single precision.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from dualtrace.mechanism.arrays import compiled, xp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.mechanism.arrays import Array, ArrayLike

_SERIES_TERMS = 14
"""Terms of the series; with rates spread over less than 1/t its remainder is below 1e-16."""


@compiled()
def chain_response(rates: Sequence[ArrayLike], time: ArrayLike) -> Array:
    r"""Amount in the last of ``n`` first-order steps after a unit dose into the first.

    .. math:: h(t) = \mathcal{L}^{-1}\Big\{\prod_{i=1}^{n} \frac{1}{s + r_i}\Big\}(t)

    Parameters
    ----------
    rates
        The ``n`` loss rates ``r_i`` (1/h), any order, equal ones allowed; broadcast against ``time``.
    time
        Time since the dose (h), 0 or more.

    Returns
    -------
    Array
        ``h(t)`` in h^(n-1); the flow from step to step (a factor of the rates) is the caller's.

    Notes
    -----
    Divided differences of the exponential (Opitz; McCurdy, Ng & Parlett 1984, doi 10.2307/2008278).
    Rates are sorted; a difference over a spread times t of less than one is replaced by its series.
    """
    time = xp.asarray(time)
    count = len(rates)
    ordered = _ascending(rates)
    spare = max(time.ndim - (ordered.ndim - 1), 0)
    ordered = ordered.reshape(count, *(1,) * spare, *ordered.shape[1:])
    row = xp.exp(-ordered * time)
    for order in range(1, count):
        window = [ordered[k : count - order + k] for k in range(order + 1)]
        row = _merged(window, time=time, faster=row[1:], slower=row[:-1])
    return row[0]


def _ascending(rates: Sequence[ArrayLike]) -> Array:
    """Sort elementwise so that differences are taken over the widest spread.

    By exchanges: a handful of minima and maxima stay in the vector registers, a sort of every column does not.
    """
    rows = list(xp.broadcast_arrays(*(xp.asarray(rate) for rate in rates)))
    for last in range(len(rows) - 1, 0, -1):
        for k in range(last):
            rows[k], rows[k + 1] = xp.minimum(rows[k], rows[k + 1]), xp.maximum(rows[k], rows[k + 1])
    return xp.stack(rows)


def _merged(rates: Sequence[Array], *, time: Array, faster: Array, slower: Array) -> Array:
    """Response of ``rates`` from the responses without the fastest and without the slowest."""
    gap = rates[-1] - rates[0]
    if len(rates) == 2:
        return time * slower * _mean_decay(gap * time)
    near = gap * time < 1
    difference = (slower - faster) / xp.where(gap > 0, gap, 1)
    return xp.where(near, _series(rates, xp.where(near, time, 0)), difference)


def _mean_decay(x: Array) -> Array:
    """``(1 - exp(-x)) / x``, 1 at ``x = 0``, with a gradient there."""
    small = xp.abs(x) < 1e-4
    safe = xp.where(small, 1, x)
    return xp.where(small, 1 - x / 2 + x**2 / 6 - x**3 / 24, -xp.expm1(-safe) / safe)


def _series(rates: Sequence[Array], time: Array) -> Array:
    """Taylor series of the divided difference about the middle rate (complete homogeneous sums)."""
    middle = (rates[0] + rates[-1]) / 2
    steps = [-(rate - middle) * time for rate in rates]
    sums = [xp.ones_like(time * middle)] + [xp.zeros_like(time * middle)] * _SERIES_TERMS
    for step in steps:
        for k in range(1, _SERIES_TERMS + 1):
            sums[k] = sums[k] + step * sums[k - 1]
    lift = len(rates) - 1
    total = sum(value * (1.0 / math.factorial(k + lift)) for k, value in enumerate(sums))
    return xp.exp(-middle * time) * time**lift * total
