"""Where a record's facts come from: the place of each design fact, published judgements of bias, all sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualtrace.evidence.load import references
from dualtrace.report.document import Bullets, Cite, Folded, Line, Link, Paragraph, Strong

if TYPE_CHECKING:
    from dualtrace.evidence.record import Place, Source, Trial

FACTS = {
    "arms": "Arms",
    "arms.contingency": "Rule for giving the capsule",
    "arms.dose_mg": "Dose",
    "arms.n_analyzed": "Analysed per arm",
    "arms.n_doses": "Number of doses",
    "arms.n_randomized": "Randomised per arm",
    "arms.timing": "Time of the capsule",
    "comedication": "Other medication",
    "followups_weeks": "Follow-up",
    "n_analyzed": "Analysed",
    "n_enrolled": "Enrolled",
    "n_randomized": "Randomised",
    "pmid": "PubMed number",
    "registered_primary": "Registered primary outcome",
    "registries": "Registry number",
    "sessions.augmented": "Sessions with a capsule",
    "sessions.interval_days": "Days between sessions",
    "sessions.minutes": "Length of a session",
    "sessions.therapy": "Therapy",
    "sessions.total": "Number of sessions",
}
"""Design fields in words; other fields are printed as the record spells them."""

KINDS = {"full_text": "full text", "page": "web page"}


def provenance(trial: Trial) -> Folded:
    """Return the closed list of places, judgements of bias and sources of one record."""
    n = len(trial.sources)
    title = f"Design facts, risk of bias and {'the one source' if n == 1 else f'all {n} sources'}"
    blocks = (*_places(trial), *_bias(trial), *_sources(trial))
    return Folded(title, blocks, on_paper=False)


def address(source: Source) -> str | None:
    """Return what opens a source: its own address, else that of its shared document."""
    if source.url is not None:
        return source.url
    document = references().get(source.document or "")
    return None if document is None else document.link


def _places(trial: Trial) -> tuple[Paragraph | Bullets, ...]:
    rest = "has no place of its own in this record; it rests on the list of sources below as a whole."
    places = trial.design.places
    if not places:
        return (Paragraph((Strong("Design."), f" Each design fact {rest}")),)
    items = tuple(
        (f"{_fact(place.field)}: ", _named(trial, place.source), *((f", {place.where}",) * _adds(place)))
        for place in places
    )
    intro: Line = (Strong("Where the design facts stand."), f" Any design fact not listed here {rest}")
    return (Paragraph(intro), Bullets(items))


def _adds(place: Place) -> bool:
    """Whether the words of the place say more than the name of the source."""
    return place.where != place.source


def _bias(trial: Trial) -> tuple[Paragraph | Bullets, ...]:
    if not trial.risk_of_bias:
        return (Paragraph((Strong("Risk of bias."), " No published judgement is recorded.")),)
    items: tuple[Line, ...] = tuple(
        (f"{one.domain[:1].upper()}{one.domain[1:]}: ", Strong(one.judgement), " (", _named(trial, one.source), ")")
        for one in trial.risk_of_bias
    )
    return (Paragraph((Strong("Risk of bias, as others judged it."),)), Bullets(items))


def _sources(trial: Trial) -> tuple[Paragraph | Bullets, ...]:
    items = tuple(_source(trial, key) for key in trial.sources)
    return (Paragraph((Strong("All sources of this record."),)), Bullets(items))


def _source(trial: Trial, key: str) -> Line:
    source = trial.sources[key]
    cite: Line = (" ", Cite(source.document)) if source.document in references() else ()
    note = f". {source.note[:1].upper()}{source.note[1:]}" if source.note else ""
    kind = KINDS.get(source.kind, source.kind)
    return (_named(trial, key), "" if kind == key.replace("_", " ") else f", {kind}", *cite, note)


def _named(trial: Trial, key: str) -> Link | str:
    url = address(trial.sources[key])
    return Link(key, url) if url else key


def _fact(field: str) -> str:
    words = field.replace(".", ": ").replace("_", " ")
    return FACTS.get(field, words[:1].upper() + words[1:])
