"""A trial protocol as data: arms, sessions, assessments, randomisation, people, and what of it is assumed."""

from __future__ import annotations

import difflib
import math
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, Literal, final

from pydantic import BeforeValidator, Field, model_validator

from dualtrace.evidence.load import instruments
from dualtrace.evidence.record import Disorder, Timepoint
from dualtrace.frozen import FieldError, Frozen, Key, Text
from dualtrace.simulation.arm import ProtocolArm
from dualtrace.simulation.schedule import Assessment, Session, Therapy
from dualtrace.simulation.show import show_protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_PATIENTS = 1_000_000
Share = Annotated[float, Field(ge=0, le=1)]


def _one_or_more(given: Any) -> Any:  # noqa: ANN401
    return (given,) if isinstance(given, int | str) else given


@final
class Spread(Frozen):
    """Mean and standard deviation of a quantity between people."""

    mean: float
    sd: Annotated[float, Field(gt=0)]


@final
class People(Frozen):
    """Who takes part, where it differs from the defaults of the disorder.

    Attributes
    ----------
    baseline
        Mean and SD of instruments at baseline, by key.
    antidepressants
        Share of patients on an antidepressant.
    dropout
        Share of patients who leave between randomisation and the end of treatment.
    age_years, weight_kg
        Mean and SD.
    """

    baseline: dict[Text, Spread] = Field(default_factory=dict)
    antidepressants: Share | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    age_years: Spread | None = None
    weight_kg: Spread | None = None


@final
class Randomisation(Frozen):
    """How patients are allotted.

    Attributes
    ----------
    ratio
        Whole number per arm; without it all arms get the same.
    blocks
        Sizes of permuted blocks, drawn at random when there are several; without them every patient is allotted
        by chance alone.
    strata
        Blocks are kept apart by antidepressants (on or off), or by severity (above or below the median of the
        primary instrument at baseline).
    """

    ratio: dict[Key, Annotated[int, Field(ge=1, le=MOST_PATIENTS)]] = Field(default_factory=dict)
    blocks: Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(_one_or_more)] = ()
    strata: Annotated[tuple[Literal["antidepressants", "severity"], ...], BeforeValidator(_one_or_more)] = ()

    @model_validator(mode="after")
    def _strata_need_blocks(self) -> Randomisation:
        if self.strata and not self.blocks:
            raise FieldError(("strata",), "strata do nothing without blocks; add blocks, or leave strata out")
        if len(set(self.strata)) < len(self.strata):
            raise FieldError(("strata",), f"each stratum is named once; given {', '.join(self.strata)}")
        return self


@final
class Assumed(Frozen):
    """One value that the protocol's own source does not give.

    Attributes
    ----------
    field
        Where it stands in the protocol, such as ``therapy.sessions[0].minutes``.
    value
        What was assumed.
    why
        The rule by which it was chosen, or what could not be modelled.
    source
        Key of ``references.yaml``, id of a trial record, or ``assumption``.
    """

    field: Text
    value: Text
    why: Text
    source: Text = "assumption"


@final
class Protocol(Frozen):
    """A trial that can be run.

    Attributes
    ----------
    patients
        Number randomised.
    therapy
        The sessions in blocks; :attr:`sessions` has each with its day.
    assessments
        In order of time; the first is the baseline, and its first instrument is the primary one.
    assumed
        What the source of the protocol does not say.
    """

    id: Key
    title: Text
    disorder: Disorder
    population: Literal["adult", "pediatric"] = "adult"
    patients: Annotated[int, Field(ge=1, le=MOST_PATIENTS)]
    arms: Annotated[tuple[ProtocolArm, ...], Field(min_length=1)]
    therapy: Therapy
    assessments: Annotated[tuple[Assessment, ...], Field(min_length=1)]
    randomisation: Randomisation = Randomisation()
    people: People = People()
    assumed: tuple[Assumed, ...] = ()
    note: Text | None = None

    @model_validator(mode="after")
    def _arms_differ(self) -> Protocol:
        _require_unique("arms", [arm.id for arm in self.arms])
        if len(self.arms) < 2:
            raise FieldError(("arms",), "a trial compares at least two arms; given one")
        if self.patients < len(self.arms):
            message = f"there must be a patient for each of the {len(self.arms)} arms; given {self.patients}"
            raise FieldError(("patients",), message)
        return self

    @model_validator(mode="after")
    def _doses_find_sessions(self) -> Protocol:
        sessions = self.sessions
        for place, arm in enumerate(self.arms):
            dosed = arm.dosed_sessions(sessions)
            if not dosed:
                message = "no session has exposures, so exposures names none; give numbers or all"
                raise FieldError(("arms", place, "sessions"), message)
            if dosed[-1] > len(sessions):
                message = f"there are {len(sessions)} sessions; the arm {arm.id!r} is dosed at session {dosed[-1]}"
                raise FieldError(("arms", place, "sessions"), message)
        return self

    @model_validator(mode="after")
    def _ratio_fits_arms(self) -> Protocol:
        named, arms = self.randomisation.ratio, [arm.id for arm in self.arms]
        for arm in named:
            if arm not in arms:
                message = f"the ratio names the arm {arm!r}; arms are {', '.join(arms)}"
                raise FieldError(("randomisation", "ratio", arm), message)
        missing = [arm for arm in arms if named and arm not in named]
        if missing:
            raise FieldError(("randomisation", "ratio"), f"the ratio must name every arm; {missing[0]!r} is missing")
        for place, size in enumerate(self.randomisation.blocks):
            if size % sum(self.ratio):
                written = ":".join(str(share) for share in self.ratio)
                message = (
                    f"a block must be a multiple of {sum(self.ratio)}, the sum of the ratio {written}; given {size}"
                )
                raise FieldError(("randomisation", "blocks", place), message)
        return self

    @model_validator(mode="after")
    def _assessments_follow(self) -> Protocol:
        _require_unique("assessments", [one.id for one in self.assessments])
        if [one.timepoint for one in self.assessments].count(Timepoint.BASELINE) != 1:
            raise FieldError(("assessments",), "there must be exactly one assessment with the timepoint baseline")
        sessions, before = self.sessions, (-math.inf, False)
        for place, one in enumerate(self.assessments):
            if one.after_session is not None and one.after_session >= len(sessions):
                given = f"the number of sessions; given {one.after_session}; after the last use days_after_last"
                message = f"after_session must be below {len(sessions)}, {given}"
                raise FieldError(("assessments", place, "after_session"), message)
            now = (one.day(sessions), one.is_after_therapy)
            if now <= before:
                message = f"assessments must be in order of time; {one.id!r} is on day {now[0]:g}"
                raise FieldError(("assessments", place), f"{message}, the one before on day {before[0]:g}")
            before = now
        return self

    @model_validator(mode="after")
    def _instruments_known(self) -> Protocol:
        known = instruments()
        for place, one in enumerate(self.assessments):
            for i, name in enumerate(one.instruments):
                if name not in known:
                    raise FieldError(("assessments", place, "instruments", i), _unknown_instrument(name, known))
            _require_unique(f"instruments of {one.id}", list(one.instruments), ("assessments", place, "instruments"))
        if all(self.primary not in one.instruments for one in self.assessments[1:]):
            message = f"the primary instrument, {self.primary}, must be assessed again after the baseline"
            raise FieldError(("assessments",), message)
        for name in self.people.baseline:
            if name not in self.instruments:
                message = f"the instrument {name} is assessed nowhere; assessed are {', '.join(self.instruments)}"
                raise FieldError(("people", "baseline", name), message)
        return self

    @model_validator(mode="after")
    def _rules_can_be_decided(self) -> Protocol:
        for place, arm in enumerate(self.arms):
            rule = arm.parsed_rule
            if rule is not None and "response" in rule.names and instruments()[self.primary].response is None:
                message = f"the rule asks for the response, but {self.primary} has no response rule"
                raise FieldError(("arms", place, "if"), f"{message} in instruments.yaml; use score and baseline")
        return self

    def __str__(self) -> str:
        """The protocol in words, as :func:`dualtrace.simulation.show.show_protocol` writes it."""
        return show_protocol(self)

    @property
    def sessions(self) -> tuple[Session, ...]:
        """Every session with its day."""
        return self.therapy.resolved()

    @property
    def ratio(self) -> tuple[int, ...]:
        """Share of each arm, in the order of the arms."""
        return tuple(self.randomisation.ratio.get(arm.id, 1) for arm in self.arms)

    @property
    def primary(self) -> str:
        """Key of the primary instrument."""
        return self.assessments[0].instruments[0]

    @property
    def instruments(self) -> tuple[str, ...]:
        """Every instrument assessed, the primary one first."""
        return tuple(dict.fromkeys(name for one in self.assessments for name in one.instruments))

    def arm(self, arm_id: str) -> ProtocolArm:
        """Return the arm of that id; ``KeyError`` when there is none."""
        for arm in self.arms:
            if arm.id == arm_id:
                return arm
        raise KeyError(arm_id)


def _unknown_instrument(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(known)}"
    return f"an instrument is a key of instruments.yaml; given {name!r}; {hint}"


def _require_unique(what: str, names: list[str], where: tuple[str | int, ...] | None = None) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise FieldError(where or (what,), f"every one of the {what} is named once; repeated: {', '.join(repeated)}")
