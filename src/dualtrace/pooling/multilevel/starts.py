"""Where to begin: a coarse scan of the whole space, and several of its best places far from each other.

Likelihoods of several variances can have more than one maximum. Standard deviations are scanned from well below
the smallest standard error to well above the spread of the effects, correlations at a few values, and levels of a
term also one by one; the search then climbs from the best places at once and the highest peak wins.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from dualtrace.pooling.multilevel.search import Model, Peak, chunks, maximise

if TYPE_CHECKING:
    from dualtrace.pooling.likelihood import Array, Ints
    from dualtrace.pooling.multilevel.likelihood import Given
    from dualtrace.pooling.multilevel.structures import Covariance

RATIO = 4.0
"""Largest ratio between neighbouring standard deviations of the scan, unless there would be too many."""

MOST = 100
"""Places scanned, about."""

CLIMBS = 4
"""Places to climb from, and again as many for each term with a variance for every inner level."""

DEAR = 200
"""Rows of a block beyond which only two climbs are paid for, and a tenth of the places scanned."""

APART = 2
"""Least number of grid steps between places to climb from."""

WORTHWHILE = 25.0
"""Places whose log-likelihood lies further below the best are not climbed from."""

CORRELATIONS = (0.0, 0.8, -0.8)
"""Correlations scanned, inside their limits."""


def best_peak(model: Model, sets: Given) -> Peak:
    """Highest peak reached from the best places of the scan, for one set."""
    if model.n == 0:
        return maximise(model, sets, np.zeros((1, 0)))
    starts = _starts(model, sets)
    peaks = maximise(model, sets.pick(np.zeros(len(starts), dtype=np.intp)), starts)
    value = np.where(np.isfinite(peaks.value), peaks.value, -np.inf)
    # of peaks of one height, the one known best
    best = max(range(len(starts)), key=lambda i: (round(float(value[i]), 8), -float(peaks.gain[i])))
    own = slice(best, best + 1)
    return Peak(peaks.theta[own], peaks.value[own], peaks.gain[own], peaks.steps[own])


def _starts(model: Model, sets: Given) -> Array:
    """Best places of the grid that are apart from each other, (climbs, n)."""
    forms = [_forms(c) for c in model.covariances]
    sizes = _sizes(model, sets, places=int(np.prod([len(form) for form in forms])))
    index = np.array(list(product(*(product(range(len(sizes)), range(len(form))) for form in forms))))
    grid = np.array(
        [model.start([sizes[i] ** 2 * form[j] for (i, j), form in zip(place, forms, strict=True)]) for place in index]
    )
    first = np.zeros(len(grid), dtype=np.intp)
    parts = chunks(len(grid), model.where)
    value = np.concatenate([model.value(sets.pick(first[part]), grid[part]) for part in parts])
    several = sum(len(form) > len(CORRELATIONS) for form in forms)
    dear = max(stack.V.shape[-1] for stack in model.where.stacks) > DEAR
    climbs = 2 if dear else CLIMBS * (1 + several)
    return grid[_apart(index, np.where(np.isfinite(value), value, -np.inf), climbs)]


def _apart(index: Ints, value: Array, climbs: int) -> list[int]:
    """Places by value, each at least APART steps from those before it."""
    chosen: list[int] = []
    for i in np.argsort(-value, kind="stable"):
        if chosen and (len(chosen) == climbs or value[i] < value[chosen[0]] - WORTHWHILE):
            break
        gap = [
            np.abs(index[i, :, 0] - index[j, :, 0]).sum() + APART * (index[i, :, 1] != index[j, :, 1]).sum()
            for j in chosen
        ]
        if all(g >= APART for g in gap):
            chosen.append(int(i))
    return chosen


def _forms(covariance: Covariance) -> list[Array]:
    """Matrices Ψ of unit size: equal variances with several correlations, then each level apart from the others."""
    shape = covariance.shape
    size = shape.size
    unit = np.eye(size)
    correlations = [r for r in CORRELATIONS if shape.low <= r] if _correlated(covariance) else [0.0]
    forms = [_signed(r, shape.matrix(shape.distance), unit) for r in correlations]
    if size > 1 and shape.struct in {"DIAG", "UN", "HCS", "HAR"}:
        forms += [np.diag(np.where(np.arange(size) == j, 1.0, 1.0 / RATIO**2)) for j in range(size)]
        forms += [np.diag(np.where(np.arange(size) == j, 1.0 / RATIO**2, 1.0)) for j in range(size) if size > 2]
    return forms


def _correlated(covariance: Covariance) -> bool:
    return covariance.shape.struct not in {"ID", "DIAG"} and covariance.shape.size > 1


def _signed(r: float, distance: Array, unit: Array) -> Array:
    """Correlation matrix with r at distance 1; an unstructured one, whose distances are 0, with r everywhere."""
    if r < 0.0 and (distance == 0.0).all():
        r = r / (len(unit) - 1)
    away = np.where(distance > 0.0, distance, 1.0)
    psi: Array = np.where(unit == 1.0, 1.0, np.sign(r) ** np.round(away) * np.abs(r) ** away)
    return psi


def _sizes(model: Model, sets: Given, *, places: int) -> Array:
    """Standard deviations of the scan, in units of a typical standard error."""
    spread = float(np.sqrt((sets.y**2).sum() / max(model.where.k - model.where.p, 1)))
    least = min(float(np.einsum("bmm->bm", stack.V).min()) for stack in model.where.stacks)
    low = 0.5 * min(np.sqrt(least), 1.0)
    high = max(1.5 * spread, 2.0)
    terms = len(model.covariances)
    dear = max(stack.V.shape[-1] for stack in model.where.stacks) > DEAR
    most = max(2, int((MOST / (10.0 if dear else 1.0) / places) ** (1.0 / terms)))
    count = min(most, 1 + int(np.ceil(np.log(high / low) / np.log(RATIO))))
    return np.geomspace(low, high, max(count, 2))
