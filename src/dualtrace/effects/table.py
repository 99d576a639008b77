"""Effects and trial facts as rows: for export, and as moderators of a meta-regression."""

from __future__ import annotations

import csv
from io import StringIO
from math import isfinite
from typing import TYPE_CHECKING, Any

from dualtrace.effects.effect import Effect
from dualtrace.effects.select import every_comparison
from dualtrace.evidence.scope import scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dualtrace.evidence.record import Trial

COLUMNS = (
    "trial", "label", "year", "disorder", "pooled", "outcome", "measure", "estimand", "instruments", "timepoint",
    "weeks", "metric", "information", "yi", "vi", "lower", "upper", "n_treatment", "n_reference", "p", "steps",
    "assumptions",
)  # fmt: skip
"""Columns of the export; positive ``yi`` favours the drug, ratios are natural logarithms."""


def effect_rows(trials: Iterable[Trial]) -> list[dict[str, Any]]:
    """Return one row per drug-against-placebo outcome that gives an effect."""
    return [
        effect_row(effect, pooled=scope(trial).included)
        for trial in trials
        for effect in every_comparison(trial)
        if isinstance(effect, Effect)
    ]


def effect_row(effect: Effect, *, pooled: bool) -> dict[str, Any]:
    """Return one effect as a flat row; infinite bounds become empty."""
    values = {
        "trial": effect.trial,
        "label": effect.label,
        "year": effect.year,
        "disorder": effect.disorder.value,
        "pooled": pooled,
        "outcome": effect.outcome,
        "measure": effect.measure,
        "estimand": effect.estimand.value,
        "instruments": "; ".join(effect.instruments),
        "timepoint": effect.timepoint.value,
        "weeks": effect.weeks,
        "metric": effect.metric.value,
        "information": effect.information.value,
        "yi": effect.yi,
        "vi": effect.vi,
        "lower": effect.lower if isfinite(effect.lower) else None,
        "upper": effect.upper if isfinite(effect.upper) else None,
        "n_treatment": effect.n_treatment,
        "n_reference": effect.n_reference,
        "p": effect.p,
        "steps": " → ".join(effect.steps),
        "assumptions": "; ".join(effect.assumptions),
    }
    return {column: values[column] for column in COLUMNS}


def moderator_row(trial: Trial, effect: Effect) -> dict[str, Any]:
    """Return the design facts of the drug arms behind an effect, None where they were not reported.

    ``minutes_to_start`` is positive before the session; it is None for post-session doses, whose timing is in
    ``given``. Values that differ between the drug arms of one effect are None.
    """
    arms = [trial.arm(arm) for arm in effect.treatment]
    sessions = trial.design.sessions
    minutes = [a.timing.minutes.middle for a in arms if a.timing and a.timing.minutes and a.timing.given == "before"]
    return {
        "disorder": trial.disorder.value,
        "year": trial.year,
        "population": trial.population,
        "sample": trial.sample,
        "antidepressants": trial.design.antidepressants,
        "dose_mg": _common([a.dose_mg.middle if a.dose_mg else None for a in arms]),
        "given": _common([a.timing.given if a.timing else None for a in arms]),
        "minutes_to_start": _common(minutes) if len(minutes) == len(arms) else None,
        "n_doses": _common([a.n_doses for a in arms]),
        "sessions": sessions.total,
        "augmented_sessions": sessions.augmented,
        "n": effect.n_treatment + effect.n_reference,
    }


def to_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = COLUMNS) -> str:
    """Return rows as CSV text; None becomes an empty field."""
    out = StringIO()
    writer = csv.DictWriter(out, fieldnames=list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: "" if row[key] is None else row[key] for key in columns} for row in rows)
    return out.getvalue()


def _common(values: Sequence[Any]) -> Any:  # noqa: ANN401
    distinct = set(values)
    return values[0] if len(distinct) == 1 else None
