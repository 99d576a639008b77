"""Every trial's own numbers with their sources, and how each effect was obtained from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualtrace.effects.effect import Effect
from dualtrace.effects.select import every_comparison
from dualtrace.evidence.scope import scope
from dualtrace.evidence.show import describe
from dualtrace.report.document import Bullets, Cite, Folded, Line, Link, Paragraph, Section, Table
from dualtrace.report.sections.provenance import address, provenance
from dualtrace.report.words import DISORDER_NAMES, TIMEPOINT_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.evidence.record import Outcome, Trial
    from dualtrace.evidence.statistic import Reported

OBTAINED = {"read": "read", "derived": "derived by arithmetic", "secondary": "from a review"}


def records(trials: Sequence[Trial]) -> Section:
    """Return the appendix: one closed card per trial."""
    intro = (
        "One card per trial: what each source reported, where it stands and how it was obtained, and the steps from "
        "there to an effect. Positive effects favour the drug. Each card ends with the places of the design facts, "
        "published judgements of the risk of bias, and all sources."
    )
    cards = tuple(_card(trial) for trial in trials)
    return Section("records", "Every number and its source", (Paragraph((intro,)), *cards))


def _card(trial: Trial) -> Folded:
    head: Line = (trial.citation, " ", Cite(trial.id), f" {DISORDER_NAMES[trial.disorder]}. {trial.setting or ''}")
    rows = tuple(_row(trial, outcome, report) for outcome in trial.outcomes for report in outcome.reported)
    headers = ("Outcome", "When", "Reported", "Obtained", "Source")
    steps = tuple(
        (f"{effect.outcome}: " + "; ".join((*effect.steps, *(f"assumed: {a}" for a in effect.assumptions))) + ".",)
        for effect in every_comparison(trial)
        if isinstance(effect, Effect)
    )
    limits = tuple((text,) for text in trial.limitations)
    blocks = (
        Paragraph(head),
        *((Table(f"record_{trial.id}", "Reported", headers, rows),) if rows else ()),
        *((Paragraph(("How the effects were obtained:",)), Bullets(steps)) if steps else ()),
        *((Paragraph(("Limitations:",)), Bullets(limits)) if limits else ()),
        provenance(trial),
    )
    reason = scope(trial).reason
    return Folded(trial.label + ("" if reason is None else f" (not pooled: {reason})"), blocks, on_paper=False)


def _row(trial: Trial, outcome: Outcome, report: Reported) -> tuple[Line, ...]:
    url = address(trial.sources[report.source])
    who = f" [{outcome.subgroup}]" if outcome.subgroup else ""
    week = "" if outcome.weeks is None else f", week {outcome.weeks:g}"
    place: Line = (Link(report.where, url),) if url else (report.where,)
    return (
        (outcome.measure + who,),
        (TIMEPOINT_NAMES[outcome.timepoint] + week,),
        (describe(report),),
        (OBTAINED[report.obtained.value],),
        place,
    )
