"""What every result can do: turn into a dictionary or a table, and say which publications its method comes from."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar

from dualtrace.printed import plain

if TYPE_CHECKING:
    from pandas import DataFrame


COEFFICIENTS = ("beta", "se", "zval", "pval", "ci_lb", "ci_ub")
"""Columns of a table of coefficients, under metafor's names."""


class Result:
    """Base of the frozen dataclasses that analyses return (abstract).

    Attributes
    ----------
    SOURCES
        Keys of ``references.yaml``: the publications of the method; empty where it is our own or textbook algebra.
    LEFT_OUT
        Fields that ``to_dict`` leaves out: matrices and inner states.
    INDEX, COLUMNS
        Fields that label and fill the rows of ``to_frame``; none: one row of all single numbers and words.
    """

    __slots__ = ()
    SOURCES: ClassVar[tuple[str, ...]] = ()
    LEFT_OUT: ClassVar[frozenset[str]] = frozenset()
    INDEX: ClassVar[str] = ""
    COLUMNS: ClassVar[tuple[str, ...]] = ()

    @property
    def citations(self) -> tuple[str, ...]:
        """Keys of ``references.yaml`` for the method that was used, most general first."""
        return self.SOURCES

    def to_dict(self) -> dict[str, Any]:
        """Fields under their names, for JSON: lists, numbers, strings; None where undefined or infinite."""
        kept = (field.name for field in fields(self) if field.name not in self.LEFT_OUT)  # type: ignore[arg-type]
        return {name: _plain(getattr(self, name)) for name in kept}

    def to_frame(self) -> DataFrame:
        """Return the result as a table: coefficients or rows of the data, else one row of numbers and words."""
        from pandas import DataFrame

        if self.COLUMNS:
            return DataFrame(
                {name: getattr(self, name) for name in self.COLUMNS}, index=list(getattr(self, self.INDEX))
            )
        return DataFrame([{key: x for key, x in self.to_dict().items() if not isinstance(x, list | dict)}])


def _plain(value: Any) -> Any:  # noqa: ANN401
    return value.to_dict() if isinstance(value, Result) else plain(value)
