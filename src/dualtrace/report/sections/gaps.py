"""Where sources disagree, what is missing, what was corrected, and which trials are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualtrace.evidence.scope import RULE, scope
from dualtrace.report.document import Cite, Folded, Line, Link, Paragraph, Section, Table
from dualtrace.report.words import DISORDER_NAMES, participants

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.evidence.record import Claim, Trial


INTRODUCTION = (
    "Sources of one trial do not always agree. Every disagreement we met is listed with what each source says and "
    "what the record uses."
)
WANTED = (
    "Means and SDs per arm would let a trial enter the classical analysis; without them its words are used as "
    "intervals."
)


def gaps(trials: Sequence[Trial]) -> Section:
    """Return the chapter on conflicts, gaps, corrections and exclusions."""
    return Section(
        "gaps",
        "Conflicts and gaps",
        (
            Paragraph((INTRODUCTION,)),
            _conflicts(trials),
            _missing(trials),
            Folded("Corrections made while the records were written", (_corrections(trials),), on_paper=False),
            Paragraph((RULE,)),
            _left_out(trials),
        ),
    )  # fmt: skip


def _conflicts(trials: Sequence[Trial]) -> Table:
    rows: list[tuple[Line, ...]] = []
    for trial in trials:
        for conflict in trial.conflicts:
            claims: list[str | Link] = []
            for i, claim in enumerate(conflict.claims):
                claims += ["; " if i else "", *_claim(trial, claim)]
            resolution = conflict.resolution or "Unresolved."
            rows.append(((trial.label, " ", Cite(trial.id)), (conflict.about,), tuple(claims), (resolution,)))
    headers = ("Trial", "About", "What the sources say", "What the record uses")
    return Table("conflicts", "Disagreements between sources", headers, tuple(rows))


def _claim(trial: Trial, claim: Claim) -> tuple[str | Link, ...]:
    source = trial.sources[claim.source]
    name = claim.source.replace("_", " ")
    return claim.value, " (", Link(name, source.url) if source.url else name, ")"


def _missing(trials: Sequence[Trial]) -> Table:
    rows = tuple(
        ((trial.label, " ", Cite(trial.id)), (DISORDER_NAMES[trial.disorder],), (", ".join(absent),))
        for trial in trials
        if scope(trial).included and (absent := missing(trial))
    )
    return Table(
        "gaps",
        "What no source we could open states, pooled trials only",
        ("Trial", "Disorder", "Missing"),
        rows,
        note=(WANTED,),
    )  # fmt: skip


def missing(trial: Trial) -> tuple[str, ...]:
    """Return what a reader who plans a replication, or a synthesis, would still need."""
    drug_arms = [arm for arm in trial.design.arms if not arm.is_placebo]
    kinds = {report.kind for outcome in trial.outcomes for report in outcome.reported}
    checks = {
        "arm sizes": any(arm.n is None for arm in trial.design.arms),
        "dose": any(arm.dose_mg is None and arm.dose_mg_per_kg is None for arm in drug_arms),
        "time of dosing": any(arm.timing is None or arm.timing.minutes is None for arm in drug_arms),
        "number of doses": any(arm.n_doses is None and arm.contingency is None for arm in drug_arms),
        "number of sessions": trial.design.sessions.total is None,
        "session length": trial.design.sessions.minutes is None,
        "antidepressants": trial.design.antidepressants is None,
        "means and SDs by arm": not kinds & {"means", "changes"},
    }
    return tuple(name for name, absent in checks.items() if absent)


def _corrections(trials: Sequence[Trial]) -> Table:
    rows = tuple(((trial.label,), (text,)) for trial in trials for text in trial.corrections)
    return Table("corrections", "Corrections", ("Trial", "What was changed, and why"), rows)


def _left_out(trials: Sequence[Trial]) -> Table:
    rows = tuple(
        (
            (trial.label, " ", Cite(trial.id)),
            (DISORDER_NAMES[trial.disorder],),
            ("" if (n := participants(trial)) is None else str(n),),
            (scope(trial).reason or "",),
        )
        for trial in trials
        if not scope(trial).included
    )
    return Table(
        "left_out",
        "Trials kept in the evidence base but not pooled",
        ("Trial", "Disorder", "Participants", "Why"),
        rows,
        (2,),
    )
