"""Every trial's own numbers with their sources, and how each effect was obtained from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualtrace.effects.effect import Effect
from dualtrace.effects.select import every_comparison
from dualtrace.evidence.scope import scope
from dualtrace.evidence.show import describe
from dualtrace.report.document import Bullets, Cite, Folded, Inline, Line, Link, Paragraph, Section, Table
from dualtrace.report.words import DISORDER_NAMES, TIMEPOINT_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dualtrace.evidence.record import BiasJudgement, Outcome, Place, Source, Trial
    from dualtrace.evidence.statistic import Reported

OBTAINED = {"read": "read", "derived": "derived by arithmetic", "secondary": "from a review"}


def records(trials: Sequence[Trial]) -> Section:
    """Return the appendix: one closed card per trial."""
    intro = (
        "One card per trial: what each source reported, where it stands and how it was obtained, and the steps from "
        "there to an effect. Positive effects favour the drug. Of the design, single facts are listed with the place "
        "they were read at where that was noted; the others come from the card's list of sources."
    )
    cards = tuple(_card(trial) for trial in trials)
    return Section("records", "Every number and its source", (Paragraph((intro,)), *cards))


def _card(trial: Trial) -> Folded:
    head: Line = (trial.citation, " ", Cite(trial.id), f" {DISORDER_NAMES[trial.disorder]}. {trial.setting or ''}")
    rows = tuple(
        _row(trial, outcome, report, first=i == 0)
        for outcome in trial.outcomes
        for i, report in enumerate(outcome.reported)
    )
    headers = ("Outcome", "When", "Reported", "Obtained", "Source")
    steps = tuple(
        (f"{effect.outcome}: " + "; ".join((*effect.steps, *(f"assumed: {a}" for a in effect.assumptions))) + ".",)
        for effect in every_comparison(trial)
        if isinstance(effect, Effect)
    )
    blocks = (
        Paragraph(head),
        *((Table(f"record_{trial.id}", "Reported", headers, rows),) if rows else ()),
        *((Paragraph(("How the effects were obtained:",)), Bullets(steps)) if steps else ()),
        *_list("Limitations:", ((text,) for text in trial.limitations)),
        *_list("Where design facts stand:", (_place(trial, place) for place in trial.design.places)),
        *_list("Published judgements of the risk of bias:", (_judgement(trial, one) for one in trial.risk_of_bias)),
        *_list("Sources:", (_source(key, source) for key, source in trial.sources.items())),
    )
    reason = scope(trial).reason
    return Folded(trial.label + ("" if reason is None else f" (not pooled: {reason})"), blocks, on_paper=False)


def _list(title: str, lines: Iterable[Line]) -> tuple[Paragraph | Bullets, ...]:
    """A titled list; nothing when it has no items."""
    items = tuple(lines)
    return (Paragraph((title,)), Bullets(items)) if items else ()


def _place(trial: Trial, place: Place) -> Line:
    field = place.field.replace("_", " ").replace(".", ", ")
    return (f"{field}: ", _linked(place.where, trial.sources[place.source].url))


def _judgement(trial: Trial, one: BiasJudgement) -> Line:
    source = trial.sources[one.source]
    return (f"{one.domain}: {one.judgement} (", _linked(_document(one.source, source), source.url), ")")


def _source(key: str, source: Source) -> Line:
    note = f"; {source.note}" if source.note else ""
    return (f"{_kind(source)}: ", _linked(_document(key, source), source.url), note)


def _kind(source: Source) -> str:
    return source.kind.replace("_", " ")


def _document(key: str, source: Source) -> str:
    """What to call a source: the shared document it stands for, else its name in the record."""
    return (source.document or key).replace("_", " ")


def _linked(text: str, url: str | None) -> Inline:
    return Link(text, url) if url else text


def _row(trial: Trial, outcome: Outcome, report: Reported, *, first: bool) -> tuple[Line, ...]:
    source = trial.sources[report.source]
    who = f" [{outcome.subgroup}]" if outcome.subgroup else ""
    week = "" if outcome.weeks is None else f", week {outcome.weeks:g}"
    place: Line = (_linked(report.where, source.url),)
    return (
        (outcome.measure + who if first else "as above",),
        (TIMEPOINT_NAMES[outcome.timepoint] + week,),
        (describe(report),),
        (OBTAINED[report.obtained.value],),
        place,
    )
