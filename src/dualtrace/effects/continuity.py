"""What is added to empty cells before a ratio is taken: a choice that is stated, never silent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from dualtrace.effects.binary import TwoByTwo

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Continuity = Literal["only0", "all", "if0all", "none", "opposite_arm", "empirical"]
"""Which tables are corrected, and by how much.

``only0``         ``add`` to every cell of the tables with an empty cell
``all``           ``add`` to every cell of every table
``if0all``        ``add`` to every cell of every table if any table has an empty cell
``none``          nothing; a ratio with an empty cell is undefined
``opposite_arm``  as only0, but in proportion to the reciprocal of the other arm's size
``empirical``     as opposite_arm, in proportion also to the odds ratio pooled from the tables without empty cells
"""


def added(table: TwoByTwo, *, add: float = 0.5, to: Continuity = "only0") -> tuple[Floats, Floats]:
    """Amount added to the events, and to the non-events, of arm 1 and of arm 2.

    Parameters
    ----------
    table
        Events and sizes; the last axis runs over the tables of one meta-analysis.
    add
        Amount per cell; the two amounts of ``opposite_arm`` and ``empirical`` sum to ``2·add``.
    to
        Which tables.

    Notes
    -----
    With R = n2/n1: opposite arm 2·add·(1/(R+1), R/(R+1)); empirical 2·add·(Ω/(Ω+R), R/(Ω+R)), Ω the odds ratio
    pooled by inverse variance over the tables without empty cells (1 when there is none).

    Sources: Sweeting, Sutton & Lambert 2004, doi:10.1002/sim.1761.
    """
    zero = table.has_zero
    if to in {"opposite_arm", "empirical"}:
        ratio = table.n2 / table.n1
        omega = _pooled_odds_ratio(table)[..., None] if to == "empirical" else np.ones(1)
        one, two = omega / (omega + ratio), ratio / (omega + ratio)
        return np.where(zero, 2 * add * one, 0.0), np.where(zero, 2 * add * two, 0.0)
    which = {
        "only0": zero,
        "all": np.ones_like(zero),
        "if0all": np.broadcast_to(zero.any(axis=-1, keepdims=True), zero.shape),
        "none": np.zeros_like(zero),
    }[to]
    amount = np.where(which, add, 0.0)
    return amount, amount


def corrected(table: TwoByTwo, *, add: float = 0.5, to: Continuity = "only0") -> TwoByTwo:
    """Return the table with :func:`added` added to its cells."""
    one, two = added(table, add=add, to=to)
    return TwoByTwo(table.events1 + one, table.n1 + 2 * one, table.events2 + two, table.n2 + 2 * two)


def corrected_events(*events: Floats, add: float = 0.5, to: Continuity = "only0") -> tuple[Floats, ...]:
    """Return event counts of one or two arms with ``add`` added where one of a row's arms has none.

    For rates and single proportions, whose correction knows no arm sizes: only0, all, if0all and none.
    """
    zero: NDArray[np.bool_] = np.logical_or.reduce([x == 0 for x in events])
    if to == "none":
        return events
    if to == "all":
        zero = np.ones_like(zero)
    elif to == "if0all":
        zero = np.broadcast_to(zero.any(axis=-1, keepdims=True), zero.shape)
    amount = np.where(zero, add, 0.0)
    return tuple(x + amount for x in events)


def _pooled_odds_ratio(table: TwoByTwo) -> Floats:
    """Odds ratio pooled by inverse variance over the last axis, tables without empty cells only."""
    full = ~table.has_zero
    cells = (table.events1, table.n1 - table.events1, table.events2, table.n2 - table.events2)
    a, b, c, d = (np.where(full, cell, 1.0) for cell in cells)
    weight = np.where(full, 1.0 / (1.0 / a + 1.0 / b + 1.0 / c + 1.0 / d), 0.0)
    total = weight.sum(axis=-1)
    mean = (weight * np.log(a * d / (b * c))).sum(axis=-1) / np.where(total > 0.0, total, 1.0)
    return np.asarray(np.exp(mean))
