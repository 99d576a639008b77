"""A trial in words, for a terminal."""

from __future__ import annotations

from textwrap import fill, indent
from typing import TYPE_CHECKING, Any

from dualtrace.evidence.scope import scope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualtrace.evidence.record import Arm, Outcome, Trial
    from dualtrace.evidence.statistic import Reported

WIDTH = 100
_CARRIED = {"source", "where", "obtained", "favours", "significance", "p", "note", "kind"}


def show_trial(trial: Trial) -> str:
    """Return the whole record as text: design, outcomes with sources, moderators, conflicts, gaps."""
    return "\n".join(_lines(trial))


def _lines(trial: Trial) -> Iterator[str]:
    yield fill(f"{trial.label} ({trial.id}): {trial.citation}", WIDTH)
    links = [f"doi:{trial.doi}"] if trial.doi else []
    links += [f"PMID {trial.pmid}"] if trial.pmid else []
    yield "  ".join([*links, *trial.registries])
    yield f"{trial.disorder.value}, {trial.population or 'age not reported'}, {trial.sample} sample"
    reason = scope(trial).reason
    yield f"pooled: {'yes' if reason is None else f'no, {reason}'}"
    if trial.setting:
        yield fill(trial.setting, WIDTH)
    yield "\nDESIGN"
    yield from _design(trial)
    yield "\nOUTCOMES"
    for outcome in trial.outcomes:
        yield from _outcome(trial, outcome)
    for title, texts in (
        ("MODERATORS", [f"{m.moderator} ({m.dual_effect} the dual effect): {m.finding}" for m in trial.moderators]),
        ("CONFLICTS", [_conflict(trial, i) for i in range(len(trial.conflicts))]),
        ("CORRECTIONS", list(trial.corrections)),
        ("LIMITATIONS", list(trial.limitations)),
    ):
        if texts:
            yield f"\n{title}"
            yield from (fill(text, WIDTH, initial_indent="  ", subsequent_indent="    ") for text in texts)


def _design(trial: Trial) -> Iterator[str]:
    sessions = trial.design.sessions
    if sessions.therapy:
        yield fill(f"  {sessions.therapy}", WIDTH, subsequent_indent="    ")
    facts = {
        "sessions": sessions.total,
        "augmented": sessions.augmented,
        "minutes each": sessions.minutes,
        "days apart": sessions.interval_days,
        "randomised": trial.design.n_randomized,
        "antidepressants": trial.design.antidepressants,
        "follow-up weeks": ", ".join(f"{w:g}" for w in trial.design.followups_weeks) or None,
    }
    yield "  " + "; ".join(f"{name}: {value}" for name, value in facts.items() if value is not None)
    for arm in trial.design.arms:
        yield "  " + _arm(arm)


def _arm(arm: Arm) -> str:
    parts = [arm.label, arm.agent]
    parts += [f"{arm.dose_mg} mg"] if arm.dose_mg is not None else []
    parts += [f"{arm.dose_mg_per_kg:g} mg/kg"] if arm.dose_mg_per_kg is not None else []
    parts += [str(arm.timing)] if arm.timing is not None else []
    parts += [f"{arm.n_doses} doses"] if arm.n_doses is not None else []
    parts += [f"n = {arm.n}"] if arm.n is not None else []
    parts += [f"rule: {arm.contingency}"] if arm.contingency else []
    return "; ".join(parts)


def _outcome(trial: Trial, outcome: Outcome) -> Iterator[str]:
    when = outcome.timepoint.value + (f", week {outcome.weeks:g}" if outcome.weeks is not None else "")
    who = f" [{outcome.subgroup}]" if outcome.subgroup else ""
    yield f"  {outcome.id}: {outcome.measure}{who} ({outcome.estimand.value}; {when})"
    for report in outcome.reported:
        yield indent(fill(describe(report), WIDTH - 6), "      ")
        source = trial.sources[report.source]
        yield f"        {report.obtained.value}: {report.where} <{source.url or source.document}>"


def describe(report: Reported) -> str:
    """Return a report's own numbers and what was said of them."""
    numbers = report.model_dump(mode="json", exclude=_CARRIED, exclude_none=True)
    parts = [_words(report.model_dump()["kind"])]
    parts += [f"{_words(key)} {_value(key, value)}" for key, value in numbers.items()]
    parts += [str(report.p)] if report.p is not None else []
    parts += [f"favours {report.favours.value}"] if report.favours is not None else []
    parts += [report.significance.value.replace("_", " ")] if report.significance is not None else []
    parts += [f"({report.note})"] if report.note else []
    return "; ".join(parts)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _value(name: str, value: Any) -> str:  # noqa: ANN401
    """Return a value of a report as a reader writes it: ``n 12, events 2``; a ci as ``0.32 to 117.21``."""
    if isinstance(value, dict):
        return ", ".join(f"{_words(key)} {_value(key, item)}" for key, item in value.items())
    if isinstance(value, list):
        return (" to " if name == "ci" else ", ").join(_value("", item) for item in value)
    return f"{value:g}" if isinstance(value, float) and value.is_integer() and abs(value) < 1e6 else str(value)


def _conflict(trial: Trial, position: int) -> str:
    conflict = trial.conflicts[position]
    claims = "; ".join(f"{claim.source}: {claim.value}" for claim in conflict.claims)
    return f"{conflict.about}. {claims}. {conflict.resolution or 'Unresolved.'}"
