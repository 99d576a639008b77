"""Units at the boundary: a quantity written as text becomes a float in the unit the code works in."""

from __future__ import annotations

from functools import cache
from typing import Any

from dualtrace.errors import InputError


@cache
def _registry() -> Any:  # noqa: ANN401  (pint has no public type for a registry built at run time)
    import pint

    registry: Any = pint.UnitRegistry()
    registry.define("uM = 1e-6 * mole / liter")
    return registry


def is_unit(text: str) -> bool:
    """Whether ``text`` names a unit (``1`` is the dimensionless unit)."""
    try:
        _registry()(text)
    except Exception:  # pint raises several unrelated types for unreadable text
        return False
    return True


def quantity(given: float | str, *, unit: str, what: str) -> float:
    """Return ``given`` in ``unit``; a bare number is taken to be in ``unit`` already.

    Raises
    ------
    InputError
        The text is no quantity, or has another dimension than ``unit``.
    """
    if isinstance(given, int | float) and not isinstance(given, bool):
        return float(given)
    try:
        ratio = _registry().Quantity(given) / _registry().Quantity(1, _registry()(unit).units if unit != "1" else "")
        return float(ratio.to("").magnitude)
    except Exception as error:
        raise InputError(f"{what} must be a quantity convertible to {unit}; given {given!r}") from error
