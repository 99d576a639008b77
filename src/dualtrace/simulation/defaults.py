"""What is assumed of a trial that does not say otherwise: the usual design and people, from one checked file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, final

from pydantic import Field, model_validator

from dualtrace.errors import EvidenceError, InputError, Problem
from dualtrace.evidence.load import DATA, TRIALS, instruments, references
from dualtrace.evidence.record import Disorder
from dualtrace.frozen import Frozen, Text
from dualtrace.simulation.protocol import Assumed, Protocol, Spread
from dualtrace.source_map import FieldPath, SourceMap, read_yaml, validate

if TYPE_CHECKING:
    from collections.abc import Iterator

Population = Literal["adult", "pediatric"]
FILE = DATA / "clinical_defaults.yaml"
RECORDS = "records"
ASSUMPTION = "assumption"
CHANGE_SCALES = ("CGI-I",)
"""Scales that are themselves a judgement of change and have no baseline."""

_FAR = 0.6
_WIDE = 0.12


@final
class Default(Frozen):
    """One assumed value.

    Attributes
    ----------
    value
        What is taken.
    low, high
        What it may lie between; needed where the value is an assumption.
    source
        Key of ``references.yaml``, id of a trial record, ``records`` (middle of the records), or ``assumption``.
    """

    value: float
    low: float | None = None
    high: float | None = None
    source: Text
    note: Text | None = None

    @model_validator(mode="after")
    def _range_holds_value(self) -> Default:
        if self.source == ASSUMPTION and (self.low is None or self.high is None):
            raise ValueError("an assumption needs low and high")
        low = self.value if self.low is None else self.low
        high = self.value if self.high is None else self.high
        if not low <= self.value <= high:
            raise ValueError(f"the value must lie between low and high; given {self.value:g}, {low:g} and {high:g}")
        return self

    @property
    def why(self) -> str:
        """Where the value comes from, in words."""
        words = {
            RECORDS: "the middle of the published records of the disorder",
            ASSUMPTION: f"assumed, between {self.low:g} and {self.high:g}" if self.low is not None else "",
        }.get(self.source, "usual value of the disorder")
        return f"{words}; {self.note}" if self.note else words


@final
class ScoreDefault(Frozen):
    """Mean and SD of an instrument before treatment."""

    mean: Default
    sd: Default


@final
class Block(Frozen):
    """What one block of the file gives; the rest is looked up further on."""

    sessions: Default | None = None
    introduction: Default | None = None
    minutes: Default | None = None
    every_days: Default | None = None
    exposure_share: Default | None = None
    exposure_minutes: Default | None = None
    dose_mg: Default | None = None
    minutes_before: Default | None = None
    post_weeks: Default | None = None
    dropout: Default | None = None
    antidepressants: Default | None = None
    age_mean: Default | None = None
    age_sd: Default | None = None
    weight_mean: Default | None = None
    weight_sd: Default | None = None
    instruments: tuple[Text, ...] = ()
    baseline: dict[Text, ScoreDefault] = Field(default_factory=dict)
    pediatric: Block | None = None


VALUES = tuple(name for name in Block.model_fields if name not in ("instruments", "baseline", "pediatric"))
"""Names of the single values of a block."""


@final
@dataclass(frozen=True, slots=True)
class ClinicalDefaults:
    """The usual trial of one disorder and population.

    Attributes
    ----------
    disorder, population
        Whom it is for.
    blocks
        The blocks it is looked up in, the most particular first.
    """

    disorder: Disorder
    population: Population
    blocks: tuple[Block, ...]

    def find(self, name: str) -> Default:
        """The assumed value of a name, with its source.

        Raises
        ------
        InputError
            There is no value of that name.
        """
        if name not in VALUES:
            raise InputError(f"a clinical default is one of {', '.join(VALUES)}; given {name!r}")
        found: Default = next(one for block in self.blocks if (one := getattr(block, name)) is not None)
        return found

    def general(self, name: str) -> Default:
        """The assumed value of a name whatever the disorder."""
        found: Default = getattr(self.blocks[-1], name)
        return found

    def number(self, name: str) -> float:
        """The assumed value alone. Raises as :meth:`find`."""
        return self.find(name).value

    @property
    def instruments(self) -> tuple[str, ...]:
        """Instruments that are usually assessed, the primary one first."""
        return next(block.instruments for block in self.blocks if block.instruments)

    def baseline(self, instrument: str) -> ScoreDefault:
        """Mean and SD of an instrument before treatment.

        Where the file has none and the scale has a range, the mean is taken at 60 % of the way to its worse end
        and the SD as 12 % of the range.

        Raises
        ------
        InputError
            The file has none and the scale has no known range.
        """
        for block in self.blocks:
            if instrument in block.baseline:
                return block.baseline[instrument]
        return _from_range(instrument)


def _from_range(instrument: str) -> ScoreDefault:
    scale = instruments().get(instrument)
    if scale is None or scale.minimum is None or scale.maximum is None:
        raise InputError(
            f"nothing is known of {instrument} before treatment; give people.baseline.{instrument} with mean and sd"
        )
    width = scale.maximum - scale.minimum
    worst, best = (scale.maximum, scale.minimum) if scale.better == "lower" else (scale.minimum, scale.maximum)
    at = [best + share * (worst - best) for share in (0.4, _FAR, 0.8)]
    note = "60 % of the way to the worse end of the scale, with an SD of 12 % of its range"
    return ScoreDefault(
        mean=Default(value=at[1], low=min(at), high=max(at), source=ASSUMPTION, note=note),
        sd=Default(value=_WIDE * width, low=0.08 * width, high=0.2 * width, source=ASSUMPTION, note=note),
    )


def clinical_defaults(disorder: Disorder, population: Population = "adult") -> ClinicalDefaults:
    """The usual trial of a disorder; disorders without a block of their own take the general one.

    Parameters
    ----------
    disorder, population
        Whom it is for.

    Returns
    -------
    ClinicalDefaults
        Every value with its source.
    """
    table = _table()
    own, general = table.get(disorder.value), table["general"]
    shared = [block for block in (own, general) if block is not None]
    young = [block.pediatric for block in shared if block.pediatric is not None]
    return ClinicalDefaults(disorder, population, tuple([*young, *shared] if population == "pediatric" else shared))


@cache
def _table() -> dict[str, Block]:
    """The file, checked: every source resolves, every block is a disorder, the general one is complete."""
    source_map = read_yaml(FILE)
    table = {key: validate(Block, _part(source_map, key)) for key in source_map.content}
    known = {*references(), *(path.stem for path in TRIALS.glob("*.yaml")), RECORDS, ASSUMPTION}
    problems = [
        source_map.problem((key, *where), f"the source {one.source!r} is no reference and no trial.", "Add it.")
        for key, block in table.items()
        for where, one in every_default(block)
        if one.source not in known
    ]
    problems += [
        Problem(FILE, source_map.line((key,)), key, "a block is named after a disorder or general.")
        for key in table
        if key not in {"general", *(disorder.value for disorder in Disorder)}
    ]
    missing = [name for name in VALUES if getattr(table["general"], name) is None]
    problems += [source_map.problem(("general",), f"{name} is missing.", "Add it.") for name in missing]
    if problems:
        raise EvidenceError(tuple(problems))
    return table


def _part(source_map: SourceMap, key: str) -> SourceMap:
    lines = {where[1:]: line for where, line in source_map.lines.items() if where[:1] == (key,)}
    return SourceMap(source_map.path, source_map.content[key], lines)


def every_default(block: Block) -> Iterator[tuple[FieldPath, Default]]:
    """Every assumed value of a block with the way to it, those of its pediatric block included."""
    for name in VALUES:
        one = getattr(block, name)
        if one is not None:
            yield (name,), one
    for key, score in block.baseline.items():
        yield ("baseline", key, "mean"), score.mean
        yield ("baseline", key, "sd"), score.sd
    if block.pediatric is not None:
        for where, one in every_default(block.pediatric):
            yield ("pediatric", *where), one


def with_people(protocol: Protocol) -> Protocol:
    """The protocol with its people complete: what it leaves open is filled by defaults and listed in ``assumed``.

    Parameters
    ----------
    protocol
        Any protocol.

    Returns
    -------
    Protocol
        The same protocol with baselines of all instruments (scales of change aside), share on antidepressants,
        drop-out, age and weight.

    Raises
    ------
    InputError
        Nothing is known of an instrument before treatment.
    """
    usual = clinical_defaults(protocol.disorder, protocol.population)
    people = protocol.people
    filled: dict[str, Any] = {}
    assumed: list[Assumed] = []
    for name in ("antidepressants", "dropout"):
        if getattr(people, name) is None:
            one = usual.find(name)
            filled[name] = one.value
            assumed.append(assumption(f"people.{name}", f"{one.value:g}", one))
    for name, stem in (("age_years", "age"), ("weight_kg", "weight")):
        if getattr(people, name) is None:
            mean, sd = usual.find(f"{stem}_mean"), usual.find(f"{stem}_sd")
            filled[name] = Spread(mean=mean.value, sd=sd.value)
            assumed += _spread(f"people.{name}", mean, sd)
    baseline = dict(people.baseline)
    for key in protocol.instruments:
        if key not in baseline and key not in CHANGE_SCALES:
            score = usual.baseline(key)
            baseline[key] = Spread(mean=score.mean.value, sd=score.sd.value)
            assumed += _spread(f"people.baseline.{key}", score.mean, score.sd)
    complete = people.model_copy(update={**filled, "baseline": baseline})
    return protocol.model_copy(update={"people": complete, "assumed": (*protocol.assumed, *assumed)})


def _spread(field: str, mean: Default, sd: Default) -> list[Assumed]:
    return [
        assumption(f"{field}.mean", f"{mean.value:g}", mean),
        assumption(f"{field}.sd", f"{sd.value:g}", sd),
    ]


def assumption(field: str, value: str, default: Default) -> Assumed:
    """A default as an entry of the list of what is assumed."""
    return Assumed(field=field, value=value, why=default.why, source=default.source)
