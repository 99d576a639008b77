"""How it was done: one row per drug arm, enough to plan a replication."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualtrace.evidence.scope import CORE_DISORDERS
from dualtrace.report.document import Cite, Line, Paragraph, Section, Table
from dualtrace.report.words import DISORDER_NAMES, dose, participants

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.evidence.record import Arm, Disorder, Trial
    from dualtrace.report.analysis import Analysis

HEADERS = (
    "Trial", "Participants", "Arm", "Dose", "Taken", "Doses", "Sessions (with drug)", "Minutes", "Days apart",
    "Therapy", "Other medication", "Follow-up",
)  # fmt: skip


def protocols(analysis: Analysis) -> tuple[Section, ...]:
    """Return the protocol chapter: one table per disorder."""
    intro = (
        "One row per active arm. An empty field means that no source we could open states it; "
        "authors can be asked for exactly these. Sources of single design facts stand in each trial's record."
    )
    head = Section("protocols", "How it was done", (Paragraph((intro,)),))
    return (head, *(_of(disorder, analysis.of(disorder)) for disorder in CORE_DISORDERS))


def _of(disorder: Disorder, trials: Sequence[Trial]) -> Section:
    rows = tuple(_row(trial, arm) for trial in trials for arm in trial.design.arms if not arm.is_placebo)
    name = DISORDER_NAMES[disorder]
    table = Table(f"protocols_{disorder.value.lower()}", f"Protocols: {name.lower()}", HEADERS, rows, numeric=(1, 5))
    return Section(f"protocols-{disorder.value.lower()}", name, (table,), level=2)


def _row(trial: Trial, arm: Arm) -> tuple[Line, ...]:
    sessions = trial.design.sessions
    total = participants(trial)
    augmented = f" ({sessions.augmented})" if sessions.augmented is not None else ""
    return (
        (trial.label, " ", Cite(trial.id)),
        ("" if total is None else f"{total}" + ("" if arm.n is None else f" ({arm.n} here)"),),
        (arm.label,),
        ("" if dose(arm) == "not reported" else dose(arm),),
        (_taken(arm),),
        ("" if arm.n_doses is None else str(arm.n_doses),),
        (("" if sessions.total is None else str(sessions.total)) + augmented,),
        ("" if sessions.minutes is None else str(sessions.minutes),),
        ("" if sessions.interval_days is None else str(sessions.interval_days),),
        (_therapy(trial),),
        (_medication(trial),),
        (_followup(trial),),
    )


def _taken(arm: Arm) -> str:
    when = "" if arm.timing is None else str(arm.timing)
    return f"{when}; {arm.contingency}".strip("; ") if arm.contingency else when


def _therapy(trial: Trial) -> str:
    return trial.design.sessions.therapy or ""


def _medication(trial: Trial) -> str:
    stated = trial.design.antidepressants
    words = "" if stated is None else f"antidepressants {stated}"
    return "; ".join(part for part in (words, trial.design.comedication) if part)


def _followup(trial: Trial) -> str:
    weeks = trial.design.followups_weeks
    return "" if not weeks else ", ".join(f"{w:g}" for w in weeks) + " weeks"
