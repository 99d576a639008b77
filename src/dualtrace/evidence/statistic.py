"""What a source reported about one outcome: one small type per form of report.

The printed number is kept as printed. Which side it favours is kept apart (``favours``), because papers
disagree on what a negative sign means.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, model_serializer, model_validator

from dualtrace.frozen import Frozen, Key, Span, Text


class Favours(StrEnum):
    """The side a statement or a signed number favours."""

    TREATMENT = "treatment"
    REFERENCE = "reference"
    NEITHER = "neither"


class Obtained(StrEnum):
    """How the number came into the record."""

    READ = "read"  # printed in the trial's own report or registry entry
    DERIVED = "derived"  # arithmetic on printed numbers; `where` says which
    SECONDARY = "secondary"  # printed in someone else's review of the trial


class Significance(StrEnum):
    """What the source said where it printed no p-value."""

    SIGNIFICANT = "significant"
    NOT_SIGNIFICANT = "not_significant"
    UNSTATED = "unstated"


class P(Frozen):
    """A two-sided p-value, exact (``0.03``) or bounded (``"<0.05"``, ``">0.1"``)."""

    value: Annotated[float, Field(ge=0, le=1)]
    relation: Literal["=", "<", ">"] = "="

    @model_validator(mode="before")
    @classmethod
    def _from_scalar(cls, given: Any) -> Any:  # noqa: ANN401
        if isinstance(given, bool):
            return given
        if isinstance(given, int | float):
            return {"value": given}
        if isinstance(given, str):
            text = given.strip().replace("≤", "<").replace("≥", ">").replace("<=", "<").replace(">=", ">")
            relation = text[0] if text[:1] in "<>" and text else "="
            number = text.lstrip("<>").strip()
            try:
                return {"value": float(number), "relation": relation}
            except ValueError:
                raise ValueError(f"a p-value is a number, '<number' or '>number'; given {given!r}") from None
        return given

    @model_serializer
    def _as_scalar(self) -> float | str:
        return self.value if self.relation == "=" else f"{self.relation}{self.value:g}"

    def __str__(self) -> str:
        """``p = 0.03`` or ``p < 0.05``."""
        return f"p {self.relation} {self.value:g}"


Interval = Annotated[tuple[float, float], Field(description="lower and upper bound, in that order")]


class ArmMean(Frozen):
    """Mean of one arm with whatever spread was reported."""

    n: Annotated[int, Field(ge=1)] | None = None
    mean: float
    sd: Annotated[float, Field(gt=0)] | None = None
    se: Annotated[float, Field(gt=0)] | None = None
    ci: Interval | None = None

    @model_validator(mode="after")
    def _interval_holds_mean(self) -> ArmMean:
        if self.ci is not None and not self.ci[0] <= self.mean <= self.ci[1]:
            low, high = self.ci
            raise ValueError(f"the interval must hold the mean; given mean {self.mean:g}, ci {low:g} to {high:g}")
        return self


class ArmCount(Frozen):
    """Participants with an event in one arm, as a count or a percentage of ``n``."""

    n: Annotated[int, Field(ge=1)] | None = None
    events: Annotated[int, Field(ge=0)] | None = None
    percent: Annotated[float, Field(ge=0, le=100)] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> ArmCount:
        if self.events is None and self.percent is None:
            raise ValueError("give events or percent")
        if self.events is not None and self.n is not None and self.events > self.n:
            raise ValueError(f"events ({self.events}) must not exceed n ({self.n})")
        return self


class Reported(Frozen):
    """What every report carries: where it stands, how it was obtained, what it was said to mean."""

    source: Key
    where: Text
    obtained: Obtained
    favours: Favours | None = None
    significance: Significance | None = None
    significance_level: Annotated[float, Field(gt=0, lt=1)] | None = None  # the level the source judged at
    p: P | None = None
    note: Text | None = None


class Means(Reported):
    """Mean of each arm at the time point."""

    kind: Literal["means"]
    treatment: ArmMean
    reference: ArmMean


class Changes(Reported):
    """Mean change from baseline of each arm (negative when the score fell)."""

    kind: Literal["changes"]
    treatment: ArmMean
    reference: ArmMean


class Slopes(Reported):
    """Mean slope of each arm over assessments."""

    kind: Literal["slopes"]
    treatment: ArmMean
    reference: ArmMean


class Events(Reported):
    """Participants with an event in each arm."""

    kind: Literal["events"]
    treatment: ArmCount
    reference: ArmCount


class SampleEvents(Reported):
    """Participants with an event, the arms together or one arm alone; gives no between-arm effect."""

    kind: Literal["sample_events"]
    count: ArmCount
    arms: tuple[Key, ...] = ()


class StandardizedDifference(Reported):
    """A printed d or g, as printed (``favours`` carries the sign), or the range printed."""

    kind: Literal["smd"]
    metric: Literal["d", "g"] = "d"
    value: Span
    ci: Interval | None = None

    @model_validator(mode="after")
    def _signed(self) -> StandardizedDifference:
        if self.value.low != 0 and self.favours not in (Favours.TREATMENT, Favours.REFERENCE):
            raise ValueError(f"say which side d = {self.value} favours (favours: treatment or reference)")
        return self


class RiskRatio(Reported):
    """A printed risk ratio, odds ratio or risk difference, treatment over reference."""

    kind: Literal["ratio"]
    metric: Literal["RR", "OR"]
    value: Annotated[float, Field(gt=0)]
    ci: Interval | None = None

    @model_validator(mode="after")
    def _interval_holds_value(self) -> RiskRatio:
        _require_inside(self.value, self.ci)
        return self


class Difference(Reported):
    """Difference between arms in the instrument's points (treatment minus reference, as printed)."""

    kind: Literal["difference"]
    value: float
    ci: Interval | None = None
    se: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _interval_holds_value(self) -> Difference:
        _require_inside(self.value, self.ci)
        return self


class Regression(Reported):
    """Coefficient of the drug term in a regression or growth model, as printed."""

    kind: Literal["regression"]
    b: float
    ci: Interval | None = None
    se: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _interval_holds_value(self) -> Regression:
        _require_inside(self.b, self.ci)
        return self


class Test(Reported):
    """A test statistic of the between-arm comparison."""

    __test__ = False  # not a pytest class

    kind: Literal["test"]
    statistic: Literal["t", "F", "chi2", "z", "r"]
    value: float
    df: tuple[float, ...] = ()


class EtaSquared(Reported):
    """(Partial) eta squared of the between-arm effect, or the range printed."""

    kind: Literal["eta_squared"]
    partial: bool
    value: Span


class SlopeRatio(Reported):
    """Slope of the treated arm over slope of the reference arm."""

    kind: Literal["slope_ratio"]
    value: Annotated[float, Field(gt=0)]
    approximate: bool = False


class PValue(Reported):
    """Only a p-value was printed."""

    kind: Literal["p_value"]

    @model_validator(mode="after")
    def _has_p(self) -> PValue:
        if self.p is None:
            raise ValueError("a report of kind p_value needs p")
        return self


class Verbal(Reported):
    """Only words: a direction, a significance, or both."""

    kind: Literal["verbal"]

    @model_validator(mode="after")
    def _says_something(self) -> Verbal:
        if self.favours is None and self.significance is None:
            raise ValueError("a report of kind verbal needs favours or significance")
        return self


AnyReport = Annotated[
    Means
    | Changes
    | Slopes
    | Events
    | SampleEvents
    | StandardizedDifference
    | RiskRatio
    | Difference
    | Regression
    | Test
    | EtaSquared
    | SlopeRatio
    | PValue
    | Verbal,
    Field(discriminator="kind"),
]


def _require_inside(value: float, ci: tuple[float, float] | None) -> None:
    if ci is not None and not ci[0] <= value <= ci[1]:
        raise ValueError(f"the interval must hold the estimate; given {value:g} and {ci[0]:g} to {ci[1]:g}")
