"""The record of one published experiment: what was done, in phases, and what was found, as contrasts."""

from __future__ import annotations

import itertools
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from dualtrace.errors import InputError
from dualtrace.experiments.contrast import Contrast, parse_contrast, parse_term
from dualtrace.frozen import Frozen, Text, Url

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_+.-]*$")]
"""Name of a phase, level or experiment: letters, digits and ``_ + . -``."""

Count = Annotated[int, Field(ge=0, le=1000)]
Hours = Annotated[float, Field(ge=0, le=1_000_000)]
Minutes = Annotated[float, Field(gt=0, le=1000)]
Share = Annotated[float, Field(ge=0, le=1)]
Cues = Annotated[str, Field(pattern=r"^[A-Z]*$")]
Context = Annotated[str, Field(pattern=r"^[A-Z]$")]


class Kind(StrEnum):
    """What a phase is for; it picks the defaults of what the source does not state."""

    ONSET = "onset"
    ACQUISITION = "acquisition"
    PREEXPOSURE = "preexposure"
    EXTINCTION = "extinction"
    EXPOSURE = "exposure"
    REACTIVATION = "reactivation"
    REINSTATEMENT = "reinstatement"
    STRESS = "stress"
    REST = "rest"
    TEST = "test"


class Paradigm(StrEnum):
    """What is feared, or wanted."""

    CUED = "cued"
    CONTEXT = "context"
    APPETITIVE = "appetitive"
    DRUG_CUE = "drug_cue"
    CLINICAL = "clinical"


class Strength(StrEnum):
    """How well established a finding is, and with it its weight on the scoreboard."""

    CORE = "core"
    SUPPORTING = "supporting"
    CONTESTED = "contested"

    @property
    def weight(self) -> float:
        """1, 1/2 and 1/4."""
        return {"core": 1.0, "supporting": 0.5, "contested": 0.25}[self.value]


class Given(Frozen):
    """A drug given with a phase: how much, and when.

    Animal doses enter as a low, medium or high gain, for want of animal pharmacokinetics; human doses in mg go
    through the chain from plasma to consolidation. ``before_h`` counts back from the start of the phase,
    ``after_h`` on from its end.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    gain: Literal["low", "medium", "high"] | None = None
    dose_mg: Annotated[float, Field(ge=0)] | None = None
    before_h: Hours | None = None
    after_h: Hours | None = None
    only_if_end_fear_below: Share | None = None
    assumed: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _has_time_and_amount(self) -> Given:
        if (self.before_h is None) == (self.after_h is None):
            raise ValueError(
                f"a drug needs exactly one time, before_h or after_h (hours); {self.name} has {self._times}"
            )
        if (self.gain is None) == (self.dose_mg is None):
            raise ValueError(f"{self.name} needs exactly one amount: gain (low, medium, high) or dose_mg")
        if self.only_if_end_fear_below is not None and self.after_h is None:
            raise ValueError(f"{self.name} is given by how the session ended, so it needs after_h, not before_h")
        return self

    @property
    def _times(self) -> str:
        return "none" if self.before_h is None else "both"


class Phase(Frozen):
    """One stretch of the procedure. What is left out was not stated; its default is marked as assumed.

    Attributes
    ----------
    after_h
        Hours from the end of the phase before; 0 continues the same session.
    cs
        Letters of the cues presented together; empty for the context alone.
    cs_s
        Length of a cue in seconds; an unreinforced cue of less than the paradigm's unit counts as part of a trial.
    us
        Strength of the US on each presentation.
    us_on
        Presentations (counted from 1) that are reinforced; without it all are, when ``us`` is above 0.
    n
        Presentations, of cues or of the unsignalled US.
    minutes
        Length of a context exposure.
    every_min
        Minutes from one presentation to the next.
    quality
        Share of the exposure that is taken in.
    sessions, every_h
        Repetitions of the whole phase, and hours between them.
    skip
        Whether the group goes without this phase; its time passes all the same.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
    kind: Kind
    after_h: Hours | None = None
    context: Context = "A"
    cs: Cues | None = None
    cs_s: Annotated[float, Field(gt=0, le=3600)] | None = None
    us: Annotated[float, Field(ge=0, le=2)] | None = None
    us_on: tuple[Annotated[int, Field(ge=1)], ...] | None = None
    n: Count | None = None
    minutes: Minutes | None = None
    every_min: Minutes | None = None
    quality: Share = 1.0
    sessions: Annotated[int, Field(ge=1, le=60)] = 1
    every_h: Hours | None = None
    drug: tuple[Given, ...] = ()
    skip: bool = False

    @field_validator("cs")
    @classmethod
    def _each_cue_once(cls, given: str | None) -> str | None:
        if given is not None and len(set(given)) < len(given):
            raise ValueError(f"cs names each cue of the compound once; given {given!r}")
        return given

    @field_validator("drug", mode="before")
    @classmethod
    def _one_or_more(cls, given: object) -> object:
        return (given,) if isinstance(given, dict | Given) else given


class Level(Frozen):
    """One level of a factor, or one kind of people: which fields of which phases it sets."""

    change: dict[str, Any]
    share: Annotated[float, Field(gt=0, le=1)] = 1.0


class Where(Frozen):
    """Where a finding was read."""

    url: Url | None = None
    text: Text
    """The source in words: file, mirror, document."""

    place: Text
    """Abstract, results, figure, raw data."""


class Measured(Frozen):
    """A reported size: one quantity of the contrast language with its mean and spread on the scale of the model."""

    term: Text
    mean: float
    sd: Annotated[float, Field(gt=0)] | None = None
    n: Annotated[int, Field(ge=1)] | None = None


class Finding(Frozen):
    """One reported result.

    Attributes
    ----------
    says
        The result in words.
    contrast
        What must hold for the model to show it; ``None`` when ``not_simulated`` says why not.
    margin
        Smallest difference that counts, in place of the catalogue's.
    values
        Reported sizes.
    """

    says: Text
    contrast: Text | None = None
    not_simulated: Text | None = None
    margin: Annotated[float, Field(ge=0)] | None = None
    strength: Strength | None = None
    where: Where | None = None
    values: tuple[Measured, ...] = ()

    @model_validator(mode="after")
    def _contrast_or_reason(self) -> Finding:
        if (self.contrast is None) == (self.not_simulated is None):
            raise ValueError("a finding needs a contrast, or not_simulated with the reason; exactly one of them")
        try:
            if self.contrast is not None:
                parse_contrast(self.contrast)
            for value in self.values:
                parse_term(value.term)
        except InputError as error:
            raise ValueError(str(error)) from None
        return self

    @property
    def parsed(self) -> Contrast:
        """The contrast as a tree."""
        if self.contrast is None:
            raise ValueError("a finding that is not simulated has no contrast")
        return parse_contrast(self.contrast)


class Experiment(Frozen):
    """One published experiment."""

    id: Name
    title: Text
    family: Text
    paradigm: Paradigm
    species: Text
    strength: Strength
    split: Literal["training", "held_out"]
    citation: Text
    doi: Annotated[str, Field(pattern=r"^10\.\d{4,}/\S+$")] | None = None
    pmid: Annotated[str, Field(pattern=r"^\d+(; \d+)*$")] | None = None
    where: Where | None = None
    """Where its findings were read, unless a finding says otherwise."""

    regime: Name | None = None
    """The experiment that found the opposite: the two are scored as regimes."""

    phases: tuple[Phase, ...] = ()
    design: dict[Name, Text] = Field(default_factory=dict)
    factors: dict[Name, dict[Name, dict[str, Any]]] = Field(default_factory=dict)
    people: dict[Name, Level] = Field(default_factory=dict)
    findings: Annotated[tuple[Finding, ...], Field(min_length=1)]
    note: Text | None = None

    @model_validator(mode="after")
    def _hangs_together(self) -> Experiment:
        if self.phases and self.design:
            raise ValueError("give the procedure as phases or as a design in one line per group, not as both")
        if self.people and abs(sum(level.share for level in self.people.values()) - 1) > 1e-6:
            raise ValueError(
                f"shares of people must add up to 1; given {sum(p.share for p in self.people.values()):g}"
            )
        levels = [level for names in self.factors.values() for level in names] + list(self.people)
        if twice := next((level for level in levels if levels.count(level) > 1), None):
            raise ValueError(f"levels must have different names, also of different factors; {twice!r} stands twice")
        names = [phase.name for phase in self.phases]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"phases must have different names; {twice!r} stands twice")
        for group in self.groups:
            self.procedure(group)
        for number, finding in enumerate(self.findings):
            if finding.where is None and self.where is None:
                raise ValueError(
                    f"findings[{number}] does not say where it was read; give it, or the experiment, a where"
                )
            self._require_known(finding, number)
        return self

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """Every group as its levels: the product of the factors, or the keys of the design, with the people."""
        sides = [tuple(self.design)] if self.design else [tuple(levels) for levels in self.factors.values()]
        return tuple(itertools.product(*sides, *([tuple(self.people)] if self.people else [])))

    def share(self, group: tuple[str, ...]) -> float:
        """Share of its people in a group."""
        return self.people[group[-1]].share if self.people else 1.0

    def procedure(self, group: tuple[str, ...]) -> tuple[Phase, ...]:
        """Phases as one group went through them.

        Raises
        ------
        ValueError
            A level changes a phase or a field that does not exist, or sets a value that is refused.
        """
        if self.design:
            from dualtrace.experiments.notation import parse_design

            try:
                phases = {phase.name: phase.model_dump() for phase in parse_design(self.design[group[0]])}
            except InputError as error:
                raise ValueError(f"design.{group[0]}: {error}") from None
        else:
            phases = {phase.name: phase.model_dump() for phase in self.phases}
        for place, changes in self._changes(group):
            for key, value in changes.items():
                name, _, field = key.rpartition(".")
                if name not in phases or field not in Phase.model_fields:
                    raise ValueError(
                        f"{place} sets {key!r}, but there is no such phase and field; phases: {', '.join(phases)}"
                    )
                phases[name] = {**phases[name], field: value}
        try:
            return tuple(Phase.model_validate(phase) for phase in phases.values())
        except ValidationError as error:
            detail = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in detail["loc"])
            raise ValueError(
                f"group {','.join(group)}: {where}: {detail['msg'].removeprefix('Value error, ')}"
            ) from None

    def _changes(self, group: tuple[str, ...]) -> list[tuple[str, dict[str, Any]]]:
        changes = [
            (f"factors.{factor}.{level}", self.factors[factor][level])
            for factor, level in zip(self.factors, group, strict=False)
        ]
        if self.people:
            changes.append((f"people.{group[-1]}", self.people[group[-1]].change))
        return changes

    def matching(self, levels: frozenset[str]) -> tuple[int, ...]:
        """Indices of the groups that have all of some levels."""
        return tuple(i for i, group in enumerate(self.groups) if levels <= set(group))

    def strength_of(self, finding: Finding) -> Strength:
        """Strength of a finding: its own, or that of the experiment."""
        return finding.strength or self.strength

    def _require_known(self, finding: Finding, number: int) -> None:
        terms = [] if finding.contrast is None else list(finding.parsed.terms)
        terms += [parse_term(value.term) for value in finding.values]
        known = sorted({level for group in self.groups for level in group})
        phases = {name for group in self.groups for phase in self.procedure(group) for name in names_of(phase)}
        for term in terms:
            for level in term.levels:
                if level not in known:
                    raise ValueError(
                        f"findings[{number}] names the group {level!r}, which does not exist; "
                        f"groups: {', '.join(known) or 'one'}"
                    )
            if not self.matching(term.levels):
                raise ValueError(
                    f"findings[{number}] asks for {','.join(sorted(term.levels))}: no group has all of these"
                )
            if term.phase not in phases:
                raise ValueError(
                    f"findings[{number}] names the phase {term.phase!r}, which does not exist; "
                    f"phases: {', '.join(sorted(phases))}"
                )


def names_of(phase: Phase) -> tuple[str, ...]:
    """Names under which findings may speak of a phase: its own, and those of its sessions."""
    return (phase.name, *(f"{phase.name}{i + 1}" for i in range(phase.sessions) if phase.sessions > 1))
