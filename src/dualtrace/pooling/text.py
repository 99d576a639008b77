"""Numbers, p-values and tables of coefficients as pooling prints them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from dualtrace.printed import in_digits, table

if TYPE_CHECKING:
    from collections.abc import Sequence


def number(value: float, digits: int = 4) -> str:
    """A number as tables of pooling print it."""
    return in_digits(value, digits)


def p_value(value: float) -> str:
    """``< .001`` or ``.0342`` with its sign of equality: ``= .0342``."""
    if math.isnan(value):
        return "undefined"
    return "< .001" if value < 0.001 else "= " + f"{value:.4f}".removeprefix("0")


def interval(low: float, high: float) -> str:
    """``0.12 to 1.11``."""
    return f"{number(low)} to {number(high)}"


def coefficient_table(
    title: str, names: Sequence[str], columns: Sequence[Any], *, statistic: str = "z", ends: str = "95% CI"
) -> str:
    """Table of coefficients: estimate, standard error, test statistic, p, interval.

    Parameters
    ----------
    title
        Head of the column of names.
    names
        One name per coefficient.
    columns
        Estimates, standard errors, statistics, p values, lower and upper ends, (p,) each.
    statistic, ends
        Heads of the columns of statistics and intervals.
    """
    rows = (
        (name, number(b), number(se), number(z), p_value(p).removeprefix("= "), interval(low, high))
        for name, b, se, z, p, low, high in zip(names, *columns, strict=True)
    )
    return table((title, "estimate", "se", statistic, "p", ends), rows)
