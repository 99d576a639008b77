"""Selection functions bound to the rows of a data set, with what is estimated and where the search starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from dualtrace.errors import FitError, InputError
from dualtrace.pooling.small_study.smooth import SmoothKind, p_value, smooth
from dualtrace.pooling.small_study.weighting import Steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.pooling.likelihood import Array, Flags
    from dualtrace.pooling.small_study.weighting import Weighting

LEAST, MOST = 1e-5, 1e5
"""Range of the parameters of a selection function; one that ends at the upper bound has no estimate."""


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A selection function bound to rows.

    Attributes
    ----------
    weighting
        The function.
    starts
        Values of η to search from, (S, r).
    free
        Which of the r parameters are estimated.
    delta
        All δ, those not estimated at their value, (c,); a step function has one more than r.
    names
        Names of all δ.
    counts, steps
        As in ``Selection``.
    logged
        Whether η = log δ; else η = δ.
    """

    weighting: Weighting
    starts: Array
    free: Flags
    delta: Array
    names: tuple[str, ...]
    counts: tuple[int, ...]
    steps: tuple[float, ...]
    logged: bool


def step_model(z: Array, steps: Sequence[float], *, delta: Sequence[float | None] | None, two_sided: bool) -> Model:
    """Bind a step function to z statistics (n, k).

    Raises
    ------
    FitError
        If an interval holds no p value and its weight is to be estimated.
    InputError
        If steps or delta cannot be used.
    """
    cuts = _cutpoints(steps)
    c = len(cuts)
    p = p_value(z, two_sided=two_sided)
    category = np.searchsorted(cuts, p, side="left")
    values, free = _held(delta, c, fixed_first=True)
    counts = tuple(int(count) for count in np.bincount(category[0], minlength=c))
    lows = (0.0, *cuts[:-1])
    labels = tuple(f"{low:g} < p <= {high:g}" for low, high in zip(lows, cuts, strict=True))
    for j in np.flatnonzero(free | (np.arange(c) == 0) & free.any()):
        if counts[j] == 0:
            given = ", ".join(f"{label}: {count}" for label, count in zip(labels, counts, strict=True))
            raise FitError(
                "Every interval of the p value needs at least one result, or how often its results are reported "
                f"cannot be estimated; given {given}. Choose other steps."
            )
    inner = -special.ndtri(np.array(cuts[:-1]) / (2.0 if two_sided else 1.0))  # descending
    order = np.arange(c)
    edges, segments = inner[::-1], order[::-1]
    if two_sided:
        edges, segments = np.concatenate([-inner, inner[::-1]]), np.concatenate([order, order[-2::-1]])
    weighting = Steps(edges, np.eye(c)[segments], category)
    fallen = np.log(np.where(free, 0.3, values))[1:]
    starts = np.unique(np.stack([np.log(values)[1:], fallen]), axis=0)
    return Model(weighting, starts, free[1:], values, labels, counts, cuts, logged=True)


def smooth_model(
    kind: SmoothKind,
    z: Array,
    steps: Sequence[float] | None,
    *,
    delta: Sequence[float | None] | None,
    two_sided: bool,
    scale: Array | None,
) -> Model:
    """Bind one of the smooth functions to z statistics (n, k).

    Raises
    ------
    FitError
        If all p values are on one side of the step.
    InputError
        If steps, delta or scale cannot be used.
    """
    if kind == "beta" and (steps or scale is not None):
        raise InputError("A beta selection model takes no steps and no prec; leave them out.")
    cuts = _cutpoints(steps)[:-1] if steps else ()
    if len(cuts) > 1:
        raise InputError(f"kind {kind!r} takes one step, the p value up to which w = 1; given {len(cuts)}.")
    threshold = cuts[0] if cuts else 0.0
    values, free = _held(delta, 2 if kind == "beta" else 1, fixed_first=False, null=float(kind == "beta"))
    weighting = smooth(kind, z, two_sided=two_sided, threshold=threshold, scale=scale)
    below = p_value(z[0], two_sided=two_sided) <= threshold
    if cuts and (below.all() or not below.any()):
        raise FitError(f"There must be p values on both sides of the step {threshold:g}; given all on one side.")
    if kind == "beta":
        others = (np.where(free, start, values) for start in ([0.5, 3.0], [0.03, 1.5]))
        starts = np.log(np.stack([values, *others]))
        names: tuple[str, ...] = ("delta.1", "delta.2")
    else:
        starts = np.array([[0.3], [4.0]]) if free[0] else values[None]
        names = ("delta",)
    return Model(weighting, starts, free, values, names, (), tuple(cuts), logged=kind == "beta")


def _cutpoints(steps: Sequence[float]) -> tuple[float, ...]:
    """Ascending cutpoints that end in 1."""
    cuts = sorted({float(step) for step in steps} | {1.0})
    if not all(0.0 < cut <= 1.0 for cut in cuts) or len(cuts) < 2:
        given = ", ".join(f"{step:g}" for step in steps)
        raise InputError(f"steps must be p values between 0 and 1, for example 0.025; given {given}.")
    return tuple(cuts)


def _held(
    delta: Sequence[float | None] | None, c: int, *, fixed_first: bool, null: float = 1.0
) -> tuple[Array, Flags]:
    """Values of all δ (no selection where estimated) and which are estimated."""
    free = np.ones(c, dtype=bool)
    values = np.full(c, null)
    if fixed_first:
        free[0] = False
    if delta is None:
        return values, free
    if len(delta) != c:
        raise InputError(f"delta must have one value per parameter, {c}; given {len(delta)}.")
    for j, value in enumerate(delta):
        if value is None or not np.isfinite(value):
            continue
        if not (value > 0.0 or (value == 0.0 and null == 0.0)):
            raise InputError(f"delta must be positive; given {value:g} for parameter {j + 1}.")
        if j == 0 and fixed_first and value != 1.0:
            raise InputError(
                f"The first delta of a step function is 1, the others are relative to it; given {value:g}."
            )
        values[j], free[j] = value, False
    return values, free


def limits(model: Model) -> tuple[Array, Array]:
    """Bounds of η, equal for parameters that are held."""
    r = model.free.size
    low, high = (np.log(LEAST), np.log(MOST)) if model.logged else (0.0, MOST)
    held = model.delta[-r:]
    value = np.log(held) if model.logged else held
    return np.where(model.free, low, value), np.where(model.free, high, value)
