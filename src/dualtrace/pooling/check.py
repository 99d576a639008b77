"""Refusal of input that has no answer, in one sentence that names the row and the value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.errors import FitError, row_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.pooling.likelihood import Array

BIGGEST = 1e50
"""Effects and variances beyond this (or variances below its inverse) would overflow."""

WIDEST = 1e14
"""Ratio of largest to smallest variance beyond which double precision cannot weigh one row against another."""

COLLINEAR = 1e-10
"""A design column whose part outside the others is smaller than this share of it adds nothing."""


def labels(slab: Sequence[Any] | None, k: int) -> tuple[str, ...]:
    """Labels of the rows; 1, 2, ... when none are given.

    Raises
    ------
    FitError
        If their number differs from the number of rows.
    """
    if slab is None:
        return tuple(str(i + 1) for i in range(k))
    if len(slab) != k:
        raise FitError(f"slab must have one label per row; given {len(slab)} labels for {k} rows.")
    return tuple(str(label) for label in slab)


def column(name: str, values: Any, slab: Sequence[Any] | None) -> Array:  # noqa: ANN401
    """One number per row as a float array; absent values become NaN.

    Raises
    ------
    FitError
        If a value is not a number, or the values are not one-dimensional.
    """
    try:
        array = np.array(values, dtype=float)
    except (TypeError, ValueError):
        array = np.array([_number(name, value, i, slab) for i, value in enumerate(values)], dtype=float)
    if array.ndim != 1:
        raise FitError(f"{name} must be a list of numbers, one per row; given an array of shape {array.shape}.")
    return array


def _number(name: str, value: Any, i: int, slab: Sequence[Any] | None) -> float:  # noqa: ANN401
    try:
        return float("nan") if value is None else float(value)
    except (TypeError, ValueError):
        if type(value).__name__ == "NAType":  # pandas' missing value refuses float()
            return float("nan")
        label = str(slab[i]) if slab is not None and i < len(slab) else str(i + 1)
        raise FitError(f"{name} must be a number; given {value!r} in {row_name(label)}.") from None


def require_same_length(columns: dict[str, Array]) -> int:
    """Number of rows, the same in every column and at least one.

    Raises
    ------
    FitError
        If the lengths differ or are 0.
    """
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        given = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise FitError(f"Every column must have one value per row; given lengths: {given}.")
    k = next(iter(lengths.values()))
    if k == 0:
        raise FitError("There is nothing to pool: k = 0 rows were given. At least one effect is needed.")
    return k


def require_effects(y: Array, slab: tuple[str, ...], *, name: str = "yi") -> None:
    """Finite effects of ordinary size.

    Raises
    ------
    FitError
        Naming the first row that is not.
    """
    bad = ~(np.abs(y) <= BIGGEST)
    if bad.any():
        i = int(np.argmax(bad))
        raise FitError(
            f"{name} must be a finite number; given {y[i]:g} in {row_name(slab[i])}. Leave the row out or correct it."
        )


def require_variances(v: Array, slab: tuple[str, ...]) -> None:
    """Positive finite sampling variances of comparable size.

    Raises
    ------
    FitError
        Naming the first row that is not.
    """
    bad = ~((v >= 1.0 / BIGGEST) & (v <= BIGGEST))
    if bad.any():
        i = int(np.argmax(bad))
        raise FitError(
            f"vi, a sampling variance (squared standard error), must be positive and finite; given {v[i]:g} "
            f"in {row_name(slab[i])}. Leave the row out or correct it."
        )
    if v.max() > WIDEST * v.min():
        least, most = int(np.argmin(v)), int(np.argmax(v))
        raise FitError(
            f"Sampling variances must be in one unit; they range from {v[least]:g} in {row_name(slab[least])} to "
            f"{v[most]:g} in {row_name(slab[most])}, too far apart to weigh against each other."
        )


def require_weights(weights: Array, slab: tuple[str, ...]) -> None:
    """Positive finite weights of ordinary size.

    Raises
    ------
    FitError
        Naming the first row whose weight is not.
    """
    bad = ~((weights >= 1.0 / BIGGEST) & (weights <= BIGGEST))
    if bad.any():
        i = int(np.argmax(bad))
        raise FitError(
            f"weights must be positive and finite; given {weights[i]:g} in {row_name(slab[i])}. "
            "Leave the row out or correct it."
        )


def design(X: Any | None, names: Sequence[str] | None, k: int) -> tuple[Array, tuple[str, ...]]:  # noqa: ANN401
    """Design matrix (k, p) and names of its columns; one intercept when none is given.

    Raises
    ------
    FitError
        If its shape, its names or a value cannot be used.
    """
    matrix = np.ones((k, 1)) if X is None else np.array(X, dtype=float)
    if matrix.ndim == 1:
        matrix = matrix[:, None]
    if matrix.ndim != 2 or matrix.shape[0] != k or matrix.shape[1] == 0:
        raise FitError(
            f"X must have one row per effect and a column per coefficient; given shape {matrix.shape} for k = {k}."
        )
    p = matrix.shape[1]
    if names is None:
        names = ["intercept"] if X is None else [f"x{j + 1}" for j in range(p)]
    if len(names) != p:
        raise FitError(f"names must have one name per column of X; given {len(names)} names for {p} columns.")
    bad = ~(np.abs(matrix) <= BIGGEST)
    if bad.any():
        i, j = (int(part) for part in np.argwhere(bad)[0])
        raise FitError(f"Moderator {names[j]} must be a finite number; given {matrix[i, j]:g} in row {i + 1}.")
    return matrix, tuple(str(name) for name in names)


def basis(X: Array, names: tuple[str, ...]) -> tuple[Array, Array]:
    """Orthonormal basis Q of the columns of X, (k, p), and T, (p, p), with X = Q T⁻¹, so that β = T·coef.

    Raises
    ------
    FitError
        If a column is a combination of those before it, or there are too few rows.
    """
    k, p = X.shape
    if k < p:
        raise FitError(f"k = {k} rows cannot determine p = {p} coefficients; use fewer moderators or more rows.")
    norm = np.sqrt(np.einsum("kp,kp->p", X, X))
    q, r = np.linalg.qr(X / np.where(norm > 0.0, norm, 1.0))
    redundant = (np.abs(np.diag(r)) < COLLINEAR) | (norm == 0.0)
    if redundant.any():
        j = int(np.argmax(redundant))
        reason = "is zero in every row" if norm[j] == 0.0 else f"is a combination of {', '.join(names[:j])}"
        raise FitError(f"Moderator {names[j]} {reason}, so its coefficient cannot be determined; remove it.")
    return q, np.linalg.inv(r * norm)


def require_more_rows(k: int, p: int) -> None:
    """More rows than coefficients, or one row and an intercept.

    Raises
    ------
    FitError
        Giving k and p.
    """
    if k <= p and not k == p == 1:
        raise FitError(
            f"k = {k} rows cannot determine p = {p} coefficients and the heterogeneity around them; "
            f"at least {p + 1} rows are needed. Use fewer moderators."
        )
