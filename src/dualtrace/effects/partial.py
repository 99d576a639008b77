"""Words and bounded p-values as intervals of the effect.

A comparison printed as "p < .02 in favour" bounds z from below, "no difference" bounds |z| from above, a bare
direction is a half-line. The bound on z becomes a bound on the effect through the standard error at no effect.
"""

from __future__ import annotations

from math import exp, inf, sqrt

from scipy.special import ndtri

from dualtrace.effects import continuous
from dualtrace.effects.case import Case, Draft, exact_p
from dualtrace.effects.effect import Metric
from dualtrace.evidence.statistic import Favours, P, Reported, Significance

CONVENTIONAL_LEVEL = 0.05


def from_words(report: Reported, case: Case) -> Draft | None:
    """Return the interval of the effect behind a bounded p, a statement of significance, or a direction."""
    if case.sizes is None or case.metric is Metric.RD:
        return None
    found = z_interval(report)
    if found is None:
        return None
    low, high, reading = found
    scale, scale_step, assumptions = _null_se(case)
    lower, upper = low * scale, high * scale
    bounds = f"{case.metric} between {_show(lower, case)} and {_show(upper, case)}"
    steps = (reading, scale_step, bounds)
    return Draft(case.sizes, steps, None, scale**2, lower, upper, exact_p(report), assumptions)


def _null_se(case: Case) -> tuple[float, str, tuple[str, ...]]:
    sizes = case.sizes
    if sizes is None:
        raise AssertionError("called only where sizes are known")
    base = sqrt(float(continuous.inverse_sizes(sizes.treatment, sizes.reference)))
    if case.metric is Metric.SMD:
        j = float(continuous.hedges_correction(sizes.df))
        return j * base, f"SE at no effect: J √(1/n₁ + 1/n₂) = {j * base:.3f}", ()
    factor = 2.0 if case.metric is Metric.OR else 1.0
    text = "half of the participants are assumed to have the event (nothing was printed)"
    return (
        factor * base,
        f"SE of ln {case.metric} at no effect and 50 % events = {factor * base:.3f}",
        (text,),
    )


def _show(value: float, case: Case) -> str:
    return f"{exp(value):.2f}" if case.metric.is_ratio and abs(value) < inf else f"{value:.2f}"


def z_interval(report: Reported) -> tuple[float, float, str] | None:
    """Return the interval of z (positive favours treatment) that a report implies, and the reading of it.

    Returns
    -------
    (lower, upper, reading) or None
        None when the report says nothing about z.
    """
    if report.p is not None and 0 < report.p.value < 1:
        return _from_p(report.p, report.favours)
    level = report.significance_level or CONVENTIONAL_LEVEL
    critical = critical_z(level)
    if report.significance is Significance.SIGNIFICANT:
        if report.favours in (None, Favours.NEITHER):
            return None
        reading = f'"significant" without a number is read as p < {level:g}: |z| > {critical:.2f}'
        return *_signed(critical, inf, report.favours), reading
    if report.significance is Significance.NOT_SIGNIFICANT:
        reading = f'"no significant difference" is read as p > {level:g}: |z| < {critical:.2f}'
        return *_small(critical, report.favours), reading
    if report.favours in (Favours.TREATMENT, Favours.REFERENCE):
        return *_signed(0.0, inf, report.favours), f"only a direction was reported: favours {report.favours}"
    return None


def critical_z(p: float) -> float:
    """Return z with two-sided p-value ``p``."""
    return float(-ndtri(p / 2))


def _from_p(p: P, favours: Favours | None) -> tuple[float, float, str] | None:
    critical = critical_z(p.value)
    has_side = favours in (Favours.TREATMENT, Favours.REFERENCE)
    if p.relation == ">":
        return *_small(critical, favours), f"{p}: |z| < {critical:.2f}"
    if not has_side:
        return (-critical, critical, f"{p}, side not reported: |z| ≤ {critical:.2f}") if p.relation == "=" else None
    return *_signed(critical, inf, favours), f"{p} favouring {favours}: |z| ≥ {critical:.2f}"


def _signed(low: float, high: float, favours: Favours | None) -> tuple[float, float]:
    return (low, high) if favours is Favours.TREATMENT else (-high, -low)


def _small(critical: float, favours: Favours | None) -> tuple[float, float]:
    if favours in (Favours.TREATMENT, Favours.REFERENCE):
        return _signed(0.0, critical, favours)
    return -critical, critical
