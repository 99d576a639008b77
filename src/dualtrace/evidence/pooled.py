"""Pooled analyses that others published, shown beside ours and reproduced where their inputs are known."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dualtrace.evidence.statistic import ArmCount, Interval, P
from dualtrace.frozen import Frozen, Key, Text, Url


class PooledResult(Frozen):
    """One pooled number, as printed, with the side its sign favours."""

    outcome: Text
    timepoint: Text
    subgroup: Text = "all"
    metric: Text
    estimate: float | None = None  # absent: named but not printed where it was read
    ci: Interval | None = None
    p: P | None = None
    positive_favours: Literal["treatment", "reference"] | None = None  # absent: no signed number
    k: Annotated[int, Field(ge=1)] | None = None
    n: Annotated[int, Field(ge=1)] | None = None
    tau: Annotated[float, Field(ge=0)] | None = None
    tau_ci: Interval | None = None
    i2_percent: Annotated[float, Field(ge=0, le=100)] | None = None
    q: float | None = None
    q_df: int | None = None
    q_p: float | None = None
    z: float | None = None
    d: float | None = None
    grade: Text | None = None
    url: Url
    note: Text | None = None


class TrialValue(Frozen):
    """What a pooled analysis printed for one trial."""

    trial: Key | None = None  # id of our record; absent when we hold none
    named: Text  # as the analysis names it
    outcome: Text
    timepoint: Text | None = None
    treatment: ArmCount | None = None
    reference: ArmCount | None = None
    metric: Text | None = None
    value: float | None = None
    ci: Interval | None = None
    positive_favours: Literal["treatment", "reference"] | None = None
    url: Url
    note: Text | None = None


class PooledModerator(Frozen):
    """What a pooled analysis found about when the drug helps."""

    moderator: Key
    finding: Text
    url: Url


class PublishedPooling(Frozen):
    """One published pooled analysis."""

    id: Key
    label: Text
    citation: Text
    year: int | None = None
    doi: Text | None = None
    pmid: Text | None = None
    method: Text
    k: int | None = None
    n: int | None = None
    results: tuple[PooledResult, ...] = ()
    trials: tuple[TrialValue, ...] = ()
    moderators: tuple[PooledModerator, ...] = ()
    notes: tuple[Text, ...] = ()
