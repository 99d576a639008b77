"""Refusal of patient-level data that cannot be analysed, in one sentence; arms as codes, columns in one shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dualtrace.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from dualtrace.analysis.result import Array, Flags, Ints

BIGGEST = 1e50
"""Values beyond this would overflow when squared and summed."""

FEW_LABELS = 1000
"""Whole-number labels within this range are counted; others are sorted, which takes longer."""


class Arms(NamedTuple):
    """Arms of a trial.

    Attributes
    ----------
    labels
        Label of each arm as text, (A,); the reference comes first.
    codes
        Number of each patient's arm, 0 for the reference, (..., n).
    """

    labels: tuple[str, ...]
    codes: Ints


def numbers(name: str, values: Any, *, missing: bool = False) -> Array:  # noqa: ANN401
    """Values as a float array with at least one axis; absent values are NaN where they may be missing.

    Raises
    ------
    InputError
        If a value is not a number, is infinite or is missing where it must not be.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(
            f"{name} must be numbers in a rectangular array, NaN where missing; given {_shown(values)}."
        ) from None
    if array.ndim == 0 or array.size == 0:
        raise InputError(f"{name} must have one value per patient; given an array of shape {array.shape}.")
    least, most = np.fmin.reduce(array, axis=None), np.fmax.reduce(array, axis=None)
    if least < -BIGGEST or most > BIGGEST:
        wrong = least if least < -BIGGEST else most
        raise InputError(f"{name} must be finite numbers of ordinary size; given {wrong:g}. Correct it or use NaN.")
    if not missing and np.isnan(array).any():
        where = tuple(int(i) for i in np.argwhere(np.isnan(array))[0])
        raise InputError(
            f"{name} must be known for every patient; it is missing at index {_index(where)}. "
            "Leave the patient out or impute the value."
        )
    return array


def arms(arm: Any, reference: Any = None, *, name: str = "arm", row: str = "patient") -> Arms:  # noqa: ANN401
    """Codes and labels of arms, in the order of the labels with the reference first (the first label by default).

    Parameters
    ----------
    arm
        Label of each patient's arm: whole numbers or text, (..., n).
    reference
        Label of the arm the others are compared with; the first in order when None.
    name, row
        What messages call the column and what has one label.

    Raises
    ------
    InputError
        If a label is missing, there is one arm only, or the reference is none of them.
    """
    given = np.asarray(arm)
    if given.ndim == 0 or given.size == 0:
        raise InputError(f"{name} must have one label per {row}; given an array of shape {given.shape}.")
    if given.dtype.kind == "O":
        _require_labels(given, name, row)
        given = np.array([_label(label) for label in given.ravel()]).reshape(given.shape)
    if given.dtype.kind == "f" and np.isnan(given).any():
        raise InputError(f"{name} must be known for every {row}; a label is missing (NaN). Leave the {row} out.")
    values, codes = _coded(given)
    labels = [_label(value) for value in values]
    if len(labels) < 2:
        raise InputError(f"Two labels of {name} at least are needed; every {row} has {labels[0]!r}.")
    first = 0
    if reference is not None:
        if _label(reference) not in labels:
            raise InputError(f"reference must be a label of {name}, one of {', '.join(labels)}; given {reference!r}.")
        first = labels.index(_label(reference))
    order = [first, *(j for j in range(len(labels)) if j != first)]
    return Arms(tuple(labels[j] for j in order), np.argsort(order)[codes])


def covariate_columns(covariates: Any, n: int) -> Array:  # noqa: ANN401
    """Covariates with one column each on the last axis, (..., n, c); one axis is one column; None is no column.

    Raises
    ------
    InputError
        If the patients do not number n.
    """
    if covariates is None:
        return np.empty((n, 0))
    columns = numbers("covariates", covariates)
    columns = columns[:, None] if columns.ndim == 1 else columns
    if columns.shape[-2] != n:
        raise InputError(
            f"covariates must have one row per patient, shape (..., {n}, columns); given shape {columns.shape}."
        )
    return columns


def common_shape(**columns: Array | Ints) -> tuple[int, ...]:
    """Shape (..., n) that columns of patients have together; leading axes broadcast, patients must agree.

    Raises
    ------
    InputError
        If they do not fit.
    """
    shapes = {name: column.shape for name, column in columns.items()}
    given = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
    if len({shape[-1] for shape in shapes.values()}) > 1:
        raise InputError(f"Every column must have one value per patient on its last axis; given shapes: {given}.")
    try:
        return np.broadcast_shapes(*shapes.values())
    except ValueError:
        raise InputError(f"Leading axes (replicates) must agree or be 1; given shapes: {given}.") from None


def require_known(name: str, values: Array, needed: Flags) -> None:
    """Refuse a column that is missing for a patient who is analysed.

    Raises
    ------
    InputError
        Naming the first such patient.
    """
    absent = np.isnan(values) & needed
    if absent.any():
        where = tuple(int(i) for i in np.argwhere(absent)[0])
        raise InputError(
            f"{name} must be known for every patient with an outcome; it is missing at index {_index(where)}. "
            "Leave the patient out or impute the value."
        )


def require_choice(name: str, given: str, allowed: Iterable[str]) -> None:
    """Refuse a word that is not among those allowed.

    Raises
    ------
    InputError
        Naming what was given and what may be given.
    """
    allowed = tuple(allowed)
    if given not in allowed:
        raise InputError(f"{name} must be one of {', '.join(allowed)}; given {given!r}.")


def require_level(level: float) -> None:
    """Refuse a confidence level outside (0, 1).

    Raises
    ------
    InputError
        Naming the level given.
    """
    if not 0.0 < level < 1.0:
        raise InputError(f"level must lie between 0 and 1, for example 0.95; given {level:g}.")


def _coded(given: NDArray[Any]) -> tuple[Sequence[Any], Ints]:
    """Distinct labels in order, and the place of each patient's among them."""
    if given.dtype.kind in "biu":
        whole = given.astype(np.int64)
        low = int(whole.min())
        if int(whole.max()) - low < FEW_LABELS:
            present = np.bincount((whole - low).ravel()) > 0
            return [int(v) + low for v in np.flatnonzero(present)], (np.cumsum(present) - 1)[whole - low]
    values, codes = np.unique(given, return_inverse=True)
    return values.tolist(), codes.reshape(given.shape).astype(np.int64)


def _require_labels(given: NDArray[Any], name: str, row: str) -> None:
    if any(label is None or label != label for label in given.ravel()):
        raise InputError(f"{name} must be known for every {row}; a label is missing (None). Leave the {row} out.")


def _label(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    return f"{value:g}" if isinstance(value, float | np.floating) else str(value)


def _index(where: tuple[int, ...]) -> str:
    return str(where[0]) if len(where) == 1 else str(where)


def _shown(values: Any) -> str:  # noqa: ANN401
    text = repr(values)
    return text if len(text) <= 60 else f"{text[:57]}..."
