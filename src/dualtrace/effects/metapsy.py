"""Trials to and from tables of the Metapsy data standard (https://docs.metapsy.org/data-preparation/format/).

One row per comparison and report. Files are separated by semicolons, decimals by commas, missing values are NA.
A difference is arm 1 minus arm 2 as in that standard, so that a negative g favours the drug where lower is better.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.effects import continuous
from dualtrace.effects.convert import convert
from dualtrace.effects.effect import Effect
from dualtrace.effects.primary import is_drug_comparison
from dualtrace.evidence.load import instruments
from dualtrace.evidence.statistic import ArmCount, ArmMean, Changes, Events, Means

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dualtrace.evidence.record import Outcome, Trial

COLUMNS = (
    "study", "condition_arm1", "condition_arm2", "multi_arm1", "multi_arm2", "outcome_type", "instrument", "time",
    "time_weeks", "rating", "mean_arm1", "mean_arm2", "sd_arm1", "sd_arm2", "n_arm1", "n_arm2", "mean_change_arm1",
    "mean_change_arm2", "sd_change_arm1", "sd_change_arm2", "n_change_arm1", "n_change_arm2", "event_arm1",
    "event_arm2", "totaln_arm1", "totaln_arm2", "precalc_g", "precalc_g_se", "year", "disorder",
)  # fmt: skip
NUMBERS = (
    *(f"{name}{part}_arm{arm}" for part in ("", "_change") for name in ("mean", "sd", "n") for arm in (1, 2)),
    "precalc_g",
    "precalc_g_se",
)
"""Columns of numbers that a standardised difference is made of."""

RATERS = {
    "self": "self-report",
    "clinician": "clinician",
    "parent": "parent",
    "observer": "observer",
    "device": "device",
}


def to_metapsy(trials: Iterable[Trial]) -> str:
    """Return the drug-against-placebo comparisons that have numbers, as the text of one file."""
    lines = [";".join(COLUMNS)]
    for trial in trials:
        for outcome in trial.outcomes:
            if is_drug_comparison(trial, outcome):
                lines += [";".join(_cell(row.get(column)) for column in COLUMNS) for row in _rows(trial, outcome)]
    return "\n".join(lines) + "\n"


def effect_of_row(row: Mapping[str, float]) -> tuple[float, float] | None:
    """Return Hedges' g of arm 1 minus arm 2 and its variance; None where the row has no usable numbers.

    Means at one time go before changes, and these before a g that was computed beforehand. Rows of counts alone are
    no standardised differences and give none.

    Parameters
    ----------
    row
        Numbers of one row by the standard's column names, NaN where missing.
    """
    for part in ("", "_change"):
        m1, m2, s1, s2, n1, n2 = (
            row.get(f"{name}{part}_arm{arm}", np.nan) for name in ("mean", "sd", "n") for arm in (1, 2)
        )
        if np.isfinite([m1, m2, s1, s2, n1, n2]).all() and min(s1, s2) > 0 and min(n1, n2) >= 2:
            sd = continuous.pooled_sd(s1, n1, s2, n2)
            g = float(continuous.hedges_correction(n1 + n2 - 2) * (m1 - m2) / sd)
            return g, float(continuous.smd_variance(g, n1, n2))
    g, se = row.get("precalc_g", np.nan), row.get("precalc_g_se", np.nan)
    return (g, se**2) if np.isfinite([g, se]).all() and se > 0 else None


def _rows(trial: Trial, outcome: Outcome) -> Iterator[dict[str, Any]]:
    numbers = _numbers(trial, outcome)
    if numbers is not None:
        yield _design(trial, outcome) | numbers


def _design(trial: Trial, outcome: Outcome) -> dict[str, Any]:
    sides = outcome.contrast
    drug = "+".join(sides.treatment) if sides else None
    several = sum(not arm.is_placebo for arm in trial.design.arms) > 1
    scale = instruments().get(outcome.instruments[0]) if outcome.instruments else None
    return {
        "study": trial.label.replace(" ", ", ", 1) if trial.label.count(" ") == 1 else trial.label,
        "condition_arm1": "dcs",
        "condition_arm2": "plac",
        "multi_arm1": drug if several else None,
        "multi_arm2": "plac" if several else None,
        "outcome_type": outcome.estimand.value if outcome.estimand in ("response", "remission") else "msd",
        "instrument": " + ".join(outcome.instruments) or outcome.measure,
        "time": "post" if outcome.timepoint == "post" else outcome.timepoint.value.replace("followup", "follow-up"),
        "time_weeks": outcome.weeks,
        "rating": None if scale is None else RATERS.get(scale.rater, scale.rater),
        "year": trial.year,
        "disorder": trial.disorder.value,
    }


def _numbers(trial: Trial, outcome: Outcome) -> dict[str, Any] | None:
    """Arm data when it was reported, else our g with its standard error; None for words alone."""
    for report in outcome.reported:
        one = report.treatment if isinstance(report, Events | Means | Changes) else None
        two = report.reference if isinstance(report, Events | Means | Changes) else None
        if isinstance(one, ArmCount) and isinstance(two, ArmCount) and None not in (one.events, two.events):
            return {"event_arm1": one.events, "event_arm2": two.events, "totaln_arm1": one.n, "totaln_arm2": two.n}
        if isinstance(one, ArmMean) and isinstance(two, ArmMean) and None not in (one.sd, two.sd):
            part = "_change" if isinstance(report, Changes) else ""
            sides = (("arm1", one), ("arm2", two))
            return {f"{name}{part}_{arm}": getattr(side, name) for arm, side in sides for name in ("mean", "sd", "n")}
    effect = convert(trial, outcome)
    if not isinstance(effect, Effect) or effect.yi is None or effect.metric != "SMD":
        return None
    return {
        "precalc_g": -effect.yi,
        "precalc_g_se": effect.se,
        "n_arm1": effect.n_treatment,
        "n_arm2": effect.n_reference,
    }


def _cell(value: Any) -> str:  # noqa: ANN401
    if value is None:
        return "NA"
    text = f"{value:g}".replace(".", ",") if isinstance(value, float) else str(value)
    return text.replace(";", ",").strip()
