"""What all analyses return: read-only arrays, a dictionary for JSON, numbers printed as in a paper."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dualtrace.printed import in_digits, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Result:
    """Base of the frozen dataclasses that analyses return (abstract).

    Attributes
    ----------
    LEFT_OUT
        Fields that ``to_dict`` leaves out: matrices and inner states.
    """

    __slots__ = ()
    LEFT_OUT: ClassVar[frozenset[str]] = frozenset()

    def to_dict(self) -> dict[str, Any]:
        """Fields under their names, for JSON: lists, numbers, strings; None where undefined or infinite."""
        kept = (field.name for field in fields(self) if field.name not in self.LEFT_OUT)  # type: ignore[arg-type]
        return {name: _plain(getattr(self, name)) for name in kept}


def freeze(record: object) -> None:
    """Make the arrays of a record read-only."""
    for field in fields(record):  # type: ignore[arg-type]  # every caller is a dataclass
        value = getattr(record, field.name)
        if isinstance(value, np.ndarray):
            value.flags.writeable = False


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, Result):
        return value.to_dict()
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return plain(value)


def number(value: float, digits: int = 3) -> str:
    """A number as tables of analyses print it."""
    return in_digits(value, digits)


def p_value(value: float) -> str:
    """``<.001`` or ``.034``."""
    if math.isnan(value):
        return "-"
    return "<.001" if value < 0.001 else f"{value:.3f}".removeprefix("0")


def interval(low: float, high: float) -> str:
    """``0.12 to 1.11``."""
    return f"{number(low)} to {number(high)}"


def tested(name: str, values: Sequence[Any]) -> tuple[str, ...]:
    """One row of a table of estimates: estimate, SE, df, t, p, interval from its lower and upper end."""
    estimate, se, df, t, p, low, high = (float(value) for value in values)
    return name, number(estimate), number(se), number(df, 1), number(t, 2), p_value(p), interval(low, high)


def tested_header(title: str, level: float) -> tuple[str, ...]:
    """Heads of the columns that :func:`tested` fills."""
    return title, "estimate", "SE", "df", "t", "p", f"{100.0 * level:g}% CI"


def mean(values: Array | Ints, *, axes: int = 1) -> Array:
    """Mean over data sets, all axes but the last ``axes``; those that determine no answer are left out."""
    over = tuple(range(values.ndim - axes))
    return np.asarray(np.nanmean(values, axis=over) if over else values, dtype=np.float64)


def replicates(given: Array) -> str:
    """First line of the text of a batch: how many data sets, and how many of them determine no answer."""
    lost = int(np.isnan(given).sum())
    note = f"; {lost} of them determine no answer (NaN)" if lost else ""
    return f"{given.size} data sets{note}; means over data sets:"


def rejected(names: Sequence[str], p: Array, level: float) -> list[str]:
    """How often p of each row lies below 1 - level, one line each."""
    counts = mean(np.where(np.isnan(p), np.nan, (p < 1.0 - level).astype(np.float64)))
    return [f"p < {1.0 - level:.3g} in {100.0 * counts[j]:.1f}% ({name})" for j, name in enumerate(names)]
