"""The scales trials report on."""

from __future__ import annotations

from typing import Annotated, Literal, final

from pydantic import Field, model_validator

from dualtrace.frozen import FieldError, Frozen, Key, Text


@final
class Criterion(Frozen):
    """When a score counts as a response or a remission; every mark given must be met.

    Attributes
    ----------
    relative_fall
        Share of the baseline by which the score must have improved.
    fall
        Points by which it must have improved.
    at_most, at_least
        The score itself: at most on a scale where lower is better, at least where higher is.
    source
        Entry of ``references.yaml``, id of a trial record, or ``assumption``.
    """

    relative_fall: Annotated[float, Field(gt=0, le=1)] | None = None
    fall: Annotated[float, Field(gt=0)] | None = None
    at_most: float | None = None
    at_least: float | None = None
    source: Key
    note: Text | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Criterion:
        if all(mark is None for mark in (self.relative_fall, self.fall, self.at_most, self.at_least)):
            raise ValueError("a rule needs relative_fall, fall, at_most or at_least; given none")
        return self

    @property
    def needs_baseline(self) -> bool:
        """Whether it compares with the baseline."""
        return self.relative_fall is not None or self.fall is not None


@final
class Retest(Frozen):
    """How closely a scale repeats itself in people whose state has not changed.

    Attributes
    ----------
    reliability
        Correlation of two assessments, or their intraclass correlation.
    weeks
        Time between them, where the source says it.
    source
        Entry of ``references.yaml``, or id of a trial record.
    """

    reliability: Annotated[float, Field(gt=0, lt=1)]
    weeks: Annotated[float, Field(ge=0)] | None = None
    source: Key
    note: Text | None = None


class Instrument(Frozen):
    """One scale: what it measures, its range, and which way is better.

    ``minimum``/``maximum`` are absent where no source could be opened; so are ``response``, ``remission`` and
    ``retest``.
    """

    name: Text
    measures: Text
    rater: Literal["clinician", "self", "parent", "observer", "device"]
    better: Literal["lower", "higher"]
    minimum: float | None = None
    maximum: float | None = None
    disorders: tuple[Text, ...] = ()
    source: Key | None = None  # entry of references.yaml for the range
    response: Criterion | None = None
    remission: Criterion | None = None
    retest: Retest | None = None
    note: Text | None = None

    @model_validator(mode="after")
    def _range_has_source(self) -> Instrument:
        if self.minimum is not None and self.source is None:
            raise ValueError(f"the range of {self.name} needs a source")
        if self.minimum is not None and self.maximum is not None and self.minimum >= self.maximum:
            raise ValueError(f"minimum ({self.minimum:g}) must be below maximum ({self.maximum:g})")
        return self

    @model_validator(mode="after")
    def _marks_fit_direction(self) -> Instrument:
        wrong = "at_least" if self.better == "lower" else "at_most"
        for name in ("response", "remission"):
            rule = getattr(self, name)
            if rule is not None and getattr(rule, wrong) is not None:
                raise FieldError((name, wrong), f"on a scale where {self.better} is better a rule cannot say {wrong}")
        if self.remission is not None and self.remission.needs_baseline:
            raise FieldError(("remission",), "remission is a state: give at_most or at_least, not a fall")
        return self
