"""The record of one trial, published or simulated.

A virtual trial returns this same type, so effects, pooling, figures and checks are written once.
Everything a source did not report is absent (``None`` or an empty tuple), never guessed.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from dualtrace.evidence.statistic import AnyReport, P
from dualtrace.frozen import Frozen, Key, Span, Text, Url

if TYPE_CHECKING:
    from collections.abc import Iterable


class Disorder(StrEnum):
    """What the participants were treated for."""

    SAD = "SAD"
    PD = "PD"
    OCD = "OCD"
    PTSD = "PTSD"
    SPECIFIC_PHOBIA = "specific_phobia"
    MIXED_ANXIETY = "mixed_anxiety"
    BDD = "BDD"
    ANOREXIA_NERVOSA = "anorexia_nervosa"
    FEEDING_DISORDER = "feeding_disorder"
    COCAINE_USE = "cocaine_use"
    NICOTINE_DEPENDENCE = "nicotine_dependence"
    ALCOHOL_USE = "alcohol_use"


class Estimand(StrEnum):
    """What kind of quantity an outcome compares; only like is pooled with like."""

    POST_DIFFERENCE = "post_difference"  # scores at one time point
    CHANGE = "change"  # change from baseline
    SLOPE = "slope"  # rate of change over assessments
    GROWTH_MODEL = "growth_model"  # model-implied difference of a growth curve
    INTERACTION = "interaction"  # group x time test of a repeated-measures analysis
    RESPONSE = "response"
    REMISSION = "remission"
    WITHIN_SESSION = "within_session"  # fear or speed inside an exposure session
    ADVERSE_EVENT = "adverse_event"
    DROPOUT = "dropout"
    MARKER = "marker"  # physiology, imaging, cognition, weight, intake


class Timepoint(StrEnum):
    """When, relative to the course of treatment."""

    BASELINE = "baseline"
    MID = "mid"
    POST = "post"
    FOLLOWUP = "followup"


class Source(Frozen):
    """A document a number was taken from."""

    kind: Literal[
        "abstract",
        "full_text",
        "registry",
        "review",
        "thesis",
        "news",
        "conference",
        "grant",
        "page",
        "simulated",
    ]
    url: Url | None = None
    document: Key | None = None  # entry of references.yaml, for a review that serves many trials
    note: Text | None = None

    @model_validator(mode="after")
    def _can_be_opened(self) -> Source:
        if self.url is None and self.document is None and self.kind != "simulated":
            raise ValueError("a source needs a url or a document of references.yaml")
        return self


class Timing(Frozen):
    """When the capsule was taken: minutes before the session started or after it ended."""

    given: Literal["before", "after", "daily"]
    minutes: Span | None = None
    note: Text | None = None

    @model_validator(mode="after")
    def _not_negative(self) -> Timing:
        if self.minutes is not None and self.minutes.low < 0:
            raise ValueError(f"minutes must be 0 or more (use given: before/after); given {self.minutes}")
        return self

    def __str__(self) -> str:
        """``60 min before``, ``after (minutes not reported)``, ``daily``."""
        if self.given == "daily":
            return "daily"
        if self.minutes is None:
            return f"{self.given} (minutes not reported)"
        if self.minutes.high == 0:
            return "immediately before" if self.given == "before" else "immediately after"
        return f"{self.minutes} min {self.given}"


class Arm(Frozen):
    """One arm: what was given, how much, when, to how many."""

    id: Key
    label: Text
    agent: Text  # "d-cycloserine", "placebo", ...
    dose_mg: Span | None = None
    dose_mg_per_kg: Annotated[float, Field(gt=0)] | None = None
    dose_rule: Text | None = None
    timing: Timing | None = None
    n_doses: Annotated[int, Field(ge=0)] | None = None
    contingency: Text | None = None  # the rule under which a dose was given or withheld
    n_randomized: Annotated[int, Field(ge=0)] | None = None
    n_analyzed: Annotated[int, Field(ge=0)] | None = None
    note: Text | None = None

    @model_validator(mode="after")
    def _plausible(self) -> Arm:
        if self.dose_mg is not None and self.dose_mg.low < 0:
            raise ValueError(f"a dose must be 0 mg or more; given {self.dose_mg} mg")
        if self.n_randomized is not None and self.n_analyzed is not None and self.n_analyzed > self.n_randomized:
            raise ValueError(f"n_analyzed ({self.n_analyzed}) must not exceed n_randomized ({self.n_randomized})")
        return self

    @property
    def is_placebo(self) -> bool:
        """Whether this is the placebo arm."""
        return self.agent == "placebo"

    @property
    def n(self) -> int | None:
        """Participants analysed, else randomised, else unknown."""
        return self.n_analyzed if self.n_analyzed is not None else self.n_randomized


class Sessions(Frozen):
    """The therapy the drug was added to."""

    therapy: Text | None = None
    total: Annotated[int, Field(ge=0)] | None = None
    augmented: Annotated[int, Field(ge=0)] | None = None
    minutes: Span | None = None
    interval_days: Span | None = None
    note: Text | None = None

    @model_validator(mode="after")
    def _augmented_within_total(self) -> Sessions:
        if self.total is not None and self.augmented is not None and self.augmented > self.total:
            raise ValueError(f"augmented sessions ({self.augmented}) must not exceed sessions ({self.total})")
        return self


class Place(Frozen):
    """Where one design number stands."""

    field: Text
    source: Key
    where: Text


class Design(Frozen):
    """Arms, sessions, co-medication and follow-up."""

    arms: tuple[Arm, ...] = ()
    sessions: Sessions = Sessions()
    exposure: Literal["therapy", "laboratory", "none"]  # what the drug was added to
    crossover: bool = False
    n_enrolled: Annotated[int, Field(ge=0)] | None = None
    n_randomized: Annotated[int, Field(ge=0)] | None = None
    n_analyzed: Annotated[int, Field(ge=0)] | None = None
    antidepressants: Literal["allowed", "excluded"] | None = None
    comedication: Text | None = None
    followups_weeks: tuple[Annotated[float, Field(ge=0)], ...] = ()
    registered_primary: tuple[Text, ...] = ()  # instrument keys or words of the registration
    attrition: Text | None = None
    places: tuple[Place, ...] = ()
    notes: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _arms_differ(self) -> Design:
        _require_unique("arm id", (arm.id for arm in self.arms))
        known = [arm.n_randomized for arm in self.arms if arm.n_randomized is not None]
        if self.n_randomized is not None and not self.crossover and sum(known) > self.n_randomized:
            raise ValueError(f"arms hold {sum(known)} randomised, more than the trial's {self.n_randomized}")
        return self


class Contrast(Frozen):
    """Which arms are compared; several arms on a side are taken together."""

    treatment: Annotated[tuple[Key, ...], Field(min_length=1)]
    reference: Annotated[tuple[Key, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _sides_differ(self) -> Contrast:
        shared = set(self.treatment) & set(self.reference)
        if shared:
            raise ValueError(f"an arm cannot stand on both sides; given {', '.join(sorted(shared))}")
        return self


class Outcome(Frozen):
    """One outcome at one time point, with everything that was reported about it."""

    id: Key
    measure: Text
    estimand: Estimand
    instruments: tuple[Text, ...] = ()  # keys of instruments.yaml; several when the report lumps them
    timepoint: Timepoint
    weeks: Annotated[float, Field(ge=0)] | None = None
    contrast: Contrast | None = None  # absent: not a comparison of arms
    subgroup: Text | None = None  # absent: all participants
    post_hoc: bool = False
    reported: Annotated[tuple[AnyReport, ...], Field(min_length=1)]
    note: Text | None = None


class ModeratorStatistic(Frozen):
    """One printed coefficient or test of a moderator."""

    term: Text
    b: float | None = None
    se: Annotated[float, Field(gt=0)] | None = None
    t: float | None = None
    df: float | None = None
    p: P | None = None


class Moderator(Frozen):
    """What a trial found about when the drug helps."""

    moderator: Key
    finding: Text
    dual_effect: Literal["supports", "against", "mixed", "silent"]
    source: Key
    where: Text
    statistics: tuple[ModeratorStatistic, ...] = ()


class Claim(Frozen):
    """What one source says about a disputed point."""

    value: Text
    source: Key


class Conflict(Frozen):
    """A point on which sources, or parts of one source, disagree."""

    about: Text
    outcome: Key | None = None  # the outcome it concerns, where it concerns one
    claims: Annotated[tuple[Claim, ...], Field(min_length=2)]
    resolution: Text | None = None  # absent: unresolved


class BiasJudgement(Frozen):
    """A risk-of-bias judgement somebody published."""

    domain: Text
    judgement: Literal["low", "unclear", "high"]
    source: Key


class Trial(Frozen):
    """One trial: design, outcomes, moderators, sources, and what the sources disagree on."""

    id: Key
    label: Text
    citation: Text
    year: Annotated[int, Field(ge=1900, le=2100)] | None = None
    doi: Annotated[str, Field(pattern=r"^10\.\d{4,}/\S+$")] | None = None
    pmid: Annotated[str, Field(pattern=r"^\d{5,9}$")] | None = None
    registries: tuple[Text, ...] = ()
    status: Literal["results", "registry_only"]
    disorder: Disorder
    subtype: Text | None = None
    population: Literal["adult", "pediatric"] | None = None
    sample: Literal["clinical", "analogue"]
    setting: Text | None = None
    design: Design
    outcomes: tuple[Outcome, ...] = ()
    moderators: tuple[Moderator, ...] = ()
    risk_of_bias: tuple[BiasJudgement, ...] = ()
    limitations: tuple[Text, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    corrections: tuple[Text, ...] = ()  # what was changed against the collected data, and why
    sources: dict[Key, Source]

    @model_validator(mode="after")
    def _keys_resolve(self) -> Trial:
        _require_unique("outcome id", (outcome.id for outcome in self.outcomes))
        if not self.sources:
            raise ValueError("a trial needs at least one source")
        for field, key in self._source_keys():
            if key not in self.sources:
                known = ", ".join(sorted(self.sources))
                raise ValueError(f"{field} names the source {key!r}; sources holds {known}")
        arms = {arm.id for arm in self.design.arms}
        for outcome in self.outcomes:
            sides = outcome.contrast
            for arm in (*sides.treatment, *sides.reference) if sides else ():
                if arm not in arms:
                    raise ValueError(f"outcome {outcome.id!r} compares the arm {arm!r}; arms are {sorted(arms)}")
        return self

    def _source_keys(self) -> Iterable[tuple[str, str]]:
        for outcome in self.outcomes:
            for report in outcome.reported:
                yield f"outcome {outcome.id!r}", report.source
        for moderator in self.moderators:
            yield f"moderator {moderator.moderator!r}", moderator.source
        for place in self.design.places:
            yield f"place of {place.field!r}", place.source
        for judgement in self.risk_of_bias:
            yield f"risk of bias {judgement.domain!r}", judgement.source
        for conflict in self.conflicts:
            for claim in conflict.claims:
                yield f"conflict about {conflict.about!r}", claim.source

    def arm(self, arm_id: str) -> Arm:
        """Return the arm of that id; ``KeyError`` when there is none."""
        for arm in self.design.arms:
            if arm.id == arm_id:
                return arm
        raise KeyError(arm_id)


def _require_unique(what: str, keys: Iterable[str]) -> None:
    repeated = sorted(key for key, count in Counter(keys).items() if count > 1)
    if repeated:
        raise ValueError(f"every {what} must be unique; repeated: {', '.join(repeated)}")
