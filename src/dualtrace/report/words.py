"""Numbers, names and reading aids as the report prints them."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from dualtrace.evidence.record import Disorder, Timepoint

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dualtrace.evidence.record import Arm, Trial

DISORDER_NAMES = {
    Disorder.SAD: "Social anxiety disorder",
    Disorder.PD: "Panic disorder",
    Disorder.OCD: "Obsessive-compulsive disorder",
    Disorder.PTSD: "Post-traumatic stress disorder",
    Disorder.SPECIFIC_PHOBIA: "Specific phobia",
    Disorder.MIXED_ANXIETY: "Mixed anxiety disorders",
    Disorder.BDD: "Body dysmorphic disorder",
    Disorder.ANOREXIA_NERVOSA: "Anorexia nervosa",
    Disorder.FEEDING_DISORDER: "Feeding disorder",
    Disorder.COCAINE_USE: "Cocaine use disorder",
    Disorder.NICOTINE_DEPENDENCE: "Nicotine dependence",
    Disorder.ALCOHOL_USE: "Alcohol use disorder",
}

TIMEPOINT_NAMES = {
    Timepoint.BASELINE: "before treatment",
    Timepoint.MID: "mid-treatment",
    Timepoint.POST: "after treatment",
    Timepoint.FOLLOWUP: "follow-up",
}

OUTCOME_NAMES = {
    "severity": "Symptom severity",
    "change": "Change in severity",
    "growth_model": "Growth-model effect",
    "slope": "Rate of change",
    "interaction": "Group-by-time test",
    "within_session": "Within the session",
    "response": "Response",
    "remission": "Remission",
    "adverse_event": "Adverse events",
    "dropout": "Drop-out",
    "severity_mixed": "Severity, kinds of effect mixed",
    "benefit_mixed": "Any benefit, kinds of effect mixed",
}

MINUS = "−"


def number(value: float, digits: int = 2) -> str:
    """Return a number with a true minus sign; ∞ for infinities; no negative zero."""
    if not isfinite(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = f"{0:.{digits}f}"
    return text.replace("-", MINUS)


def interval(low: float, high: float, digits: int = 2) -> str:
    """Return ``0.12 to 0.60``."""
    return f"{number(low, digits)} to {number(high, digits)}"


def estimate(value: float, low: float, high: float, digits: int = 2) -> str:
    """Return ``0.36 (0.12 to 0.60)``."""
    return f"{number(value, digits)} ({interval(low, high, digits)})"


def p_text(p: float) -> str:
    """Return ``p < .001`` or ``p = .034``."""
    return "p < .001" if p < 0.001 else f"p = {p:.3f}".replace("0.", ".", 1)


def count(n: int, singular: str, plural: str | None = None) -> str:
    """Return ``1 trial`` or ``3 trials``."""
    return f"{n:,} {singular if n == 1 else plural or singular + 's'}"


def listing(items: Iterable[str]) -> str:
    """Return ``a, b and c``."""
    words = list(items)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def dose(arm: Arm) -> str:
    """Return the dose of one arm in words."""
    if arm.dose_mg is not None:
        return f"{arm.dose_mg} mg" + (f" ({arm.dose_rule})" if arm.dose_rule else "")
    if arm.dose_mg_per_kg is not None:
        return f"{arm.dose_mg_per_kg:g} mg/kg"
    return "not reported"


def participants(trial: Trial) -> int | None:
    """Return how many were randomised, else analysed, else the sum of the arms, else None."""
    design = trial.design
    for total in (design.n_randomized, design.n_analyzed):
        if total is not None:
            return total
    sizes = [arm.n for arm in design.arms]
    known = [size for size in sizes if size is not None]
    return sum(known) if sizes and len(known) == len(sizes) else None
