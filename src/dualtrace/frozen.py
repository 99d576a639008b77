"""The base of every record read from a file."""

from __future__ import annotations

from typing import Annotated, Any, final

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator


class Frozen(BaseModel):
    """Immutable record: unknown fields, NaN and infinities are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, str_strip_whitespace=True)


@final
class FieldError(ValueError):
    """What a whole record finds wrong with one of its fields; ``where`` leads there, such as ``("arms", 1)``."""

    def __init__(self, where: tuple[str | int, ...], message: str) -> None:
        self.where = where
        super().__init__(message)


Text = Annotated[str, StringConstraints(min_length=1)]
"""A string that says something."""

Url = Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]
"""An address that a reader can open."""

Key = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_]*$")]
"""Identifier: lower-case letters, digits and underscores."""


class Span(Frozen):
    """A quantity reported as one number or as a range.

    In YAML a plain number ``60`` and ``{low: 60, high: 60}`` are the same.
    """

    low: float
    high: float

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, given: Any) -> Any:  # noqa: ANN401
        if isinstance(given, int | float) and not isinstance(given, bool):
            return {"low": given, "high": given}
        return given

    @model_validator(mode="after")
    def _ordered(self) -> Span:
        if self.low > self.high:
            raise ValueError(f"low ({self.low:g}) must not exceed high ({self.high:g})")
        return self

    @property
    def is_exact(self) -> bool:
        """Whether one number was reported."""
        return self.low == self.high

    @property
    def middle(self) -> float:
        """Midpoint of the range."""
        return (self.low + self.high) / 2

    def __str__(self) -> str:
        """``60`` or ``60–180``."""
        return f"{self.low:g}" if self.is_exact else f"{self.low:g}–{self.high:g}"
