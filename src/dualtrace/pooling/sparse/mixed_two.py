"""Maximum likelihood of mixed models of counts with two independent random effects per row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dualtrace.errors import FitError
from dualtrace.pooling.sparse import mixed
from dualtrace.pooling.sparse.mixed import Found, Model, Peak, State, climb, origin, polish

if TYPE_CHECKING:
    from dualtrace.pooling.likelihood import Array

STARTS = (0.15, 0.5, 1.5)
"""Standard deviations of each random effect from which the search starts, every pair of them."""

FEW = 9
"""Nodes per random effect while comparing starts."""

STARTING = 13
"""Nodes per random effect from which they are doubled until the answer is stable."""

VANISHED = 1e-4
"""A standard deviation below this share of its standard error has run to the boundary, which is tried by itself."""


def random_two(model: Model, first_only: Found) -> Found:
    """Global maximum over β and both standard deviations.

    The best of: either random effect alone (each a global search), and the interior maxima reached from the best
    of nine starts.

    Parameters
    ----------
    model
        With loads (J, 2).
    first_only
        Its fit with the second variance 0.

    Raises
    ------
    FitError
        If no candidate reaches a maximum.
    """
    candidates = [_widen(first_only, 0)]
    second = model._replace(loads=model.loads[:, 1:])
    problems: list[FitError] = []
    try:
        candidates.append(_widen(mixed.random(second, mixed.fixed(second)), 1))
    except FitError as problem:
        problems.append(problem)
    sigma = np.array([(a, b) for a in STARTS for b in STARTS])
    rough = climb(model, origin(model, sigma), nodes=FEW, free=False, tolerance=1e-8)
    start = State(*(part[[int(np.argmax(rough.value))]] for part in rough.state))
    try:
        inner = polish(model, start, nodes=STARTING)
        se = 1.0 / np.sqrt(np.abs(np.diag(inner.peak.information[0])))[-2:]
        if np.all(inner.peak.state.sigma[0] > VANISHED * se):
            candidates.append(inner)
    except FitError as problem:
        problems.append(problem)
    best = max(candidates, key=lambda found: float(found.peak.value[0]))
    if problems and np.any((best.peak.state.sigma[0] == 0.0) & (_rise(model, best) > 0.0)):
        raise problems[0]
    return best


def _widen(found: Found, place: int) -> Found:
    """Fit of a model with one random effect as a fit of the model with two, the other variance 0."""
    peak = found.peak
    p, k = peak.state.beta.shape[1], peak.state.level.shape[1]
    sigma, mode = np.zeros((1, 2)), np.zeros((1, k, 2))
    sigma[:, place], mode[:, :, place] = peak.state.sigma[:, 0], peak.state.mode[:, :, 0]
    information = np.zeros((1, p + 2, p + 2))
    kept = [*range(p), p + place]
    information[np.ix_([0], kept, kept)] = peak.information
    rise = np.zeros((1, 2))
    rise[:, place] = peak.rise[:, 0]
    return Found(Peak(peak.state._replace(sigma=sigma, mode=mode), peak.value, information, rise), found.nodes)


def _rise(model: Model, found: Found) -> Array:
    """Derivative of the log-likelihood in both variances."""
    return np.asarray(mixed.evaluate(model, found.peak.state, max(found.nodes, 2 * mixed.COARSE)).rise.sum(1)[0])
