"""From stacked blocks back to rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dualtrace.pooling.likelihood import Array
    from dualtrace.pooling.multilevel.layout import Layout, Term
    from dualtrace.pooling.multilevel.likelihood import Solved


def unstacked(where: Layout, parts: Iterable[Array]) -> Array:
    """Values of stacks (n, b, m, ...) in the order of the rows, (n, k, ...)."""
    gathered: Array | None = None
    for stack, part in zip(where.stacks, parts, strict=True):
        if gathered is None:
            gathered = np.zeros((part.shape[0], where.k + 1, *part.shape[3:]))
        gathered[:, stack.rows] = part
    if gathered is None:
        return np.zeros((1, where.k))
    return gathered[:, : where.k]


def effect_sums(term: Term, values: Array) -> Array:
    """Z'values: rows (k, ...) summed by random effect, (groups, J, ...)."""
    sums = np.zeros((term.groups * term.shape.size, *values.shape[1:]))
    np.add.at(sums, term.effects, values)
    return sums.reshape(term.groups, term.shape.size, *values.shape[1:])


def effect_weights(where: Layout, term: Term, now: Solved) -> Array:
    """Diagonal blocks of Z'PZ, one for each group of the term, (groups, J, J), at one set."""
    size = term.shape.size
    total = np.zeros((term.groups, size, size))
    for stack, W in zip(where.stacks, now.weights, strict=True):
        outer = np.append(term.outer, -1)[stack.rows]
        inner = np.append(term.inner, 0)[stack.rows]
        b, i, j = np.nonzero((outer[:, :, None] == outer[:, None, :]) & (outer[:, :, None] >= 0))
        np.add.at(total, (outer[b, i], inner[b, i], inner[b, j]), W[0, b, i, j])
    ZU = effect_sums(term, unstacked(where, now.U)[0])
    weights: Array = total - ZU @ now.K[0] @ ZU.swapaxes(1, 2)
    return weights
