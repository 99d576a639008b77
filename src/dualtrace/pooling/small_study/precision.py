"""Measures of how precise a row is, from its standard error or its sample size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from dualtrace.errors import InputError, row_name
from dualtrace.pooling import check
from dualtrace.pooling.contract import require_choice

if TYPE_CHECKING:
    from dualtrace.pooling.likelihood import Array
    from dualtrace.pooling.univariate import Problem

Precision = Literal["sei", "vi", "ni", "ninv", "sqrtni", "sqrtninv"]
"""Standard error, sampling variance, sample size, its inverse, its square root, inverse of its square root."""

Imprecision = Literal["sei", "vi", "ninv", "sqrtninv"]
"""Those of them that grow as a row becomes less precise."""


def measure(name: Precision, given: Problem, ni: Any | None) -> Array:  # noqa: ANN401
    """Return the measure for each row.

    Raises
    ------
    InputError
        If it is made of sample sizes and none, or not one positive number per row, are given.
    """
    require_choice("predictor", name, get_args(Precision))
    if name in ("sei", "vi"):
        return np.sqrt(given.v) if name == "sei" else given.v
    if ni is None:
        raise InputError(f"{name} is made of sample sizes: give ni, one per row.")
    n = check.column("ni", ni, given.slab)
    if n.shape != given.y.shape:
        raise InputError(f"ni must have one sample size per row; given {n.size} for {given.y.size} rows.")
    bad = ~((n > 0.0) & np.isfinite(n))
    if bad.any():
        i = int(np.argmax(bad))
        raise InputError(f"ni, a sample size, must be positive; given {n[i]:g} in {row_name(given.slab[i])}.")
    if name == "ni":
        return n
    if name == "ninv":
        return np.asarray(1.0 / n)
    return np.asarray(np.sqrt(n) if name == "sqrtni" else 1.0 / np.sqrt(n))


def imprecision(name: Imprecision, given: Problem, ni: Any | None) -> Array:  # noqa: ANN401
    """Return the measure divided by its largest value.

    Raises
    ------
    InputError
        As ``measure``, and for a measure that grows with precision.
    """
    require_choice("prec", name, get_args(Imprecision))
    values = measure(name, given, ni)
    return np.asarray(values / values.max())
