"""Counted outcomes: counts, percentages and printed ratios to a log ratio or a risk difference."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

from dualtrace.effects import binary
from dualtrace.effects.case import Z95, Case, Draft, exact_p, own_sizes
from dualtrace.effects.effect import Metric
from dualtrace.evidence.statistic import ArmCount, Events, Reported, RiskRatio

if TYPE_CHECKING:
    from dualtrace.effects.sizes import Sizes


def from_counts(report: Reported, case: Case) -> Draft | None:
    """Printed or derived counts of both arms."""
    if not isinstance(report, Events) or report.treatment.events is None or report.reference.events is None:
        return None
    sizes = own_sizes(report.treatment.n, report.reference.n, case)
    if sizes is None:
        return None
    return _from_table(float(report.treatment.events), float(report.reference.events), sizes, case, report)


def from_percentages(report: Reported, case: Case) -> Draft | None:
    """Percentages times the arm sizes; rounded to whole people where the sizes are whole."""
    if not isinstance(report, Events) or report.treatment.percent is None or report.reference.percent is None:
        return None
    sizes = own_sizes(report.treatment.n, report.reference.n, case)
    if sizes is None:
        return None
    one = _people(report.treatment, sizes.treatment)
    two = _people(report.reference, sizes.reference)
    return _from_table(one, two, sizes, case, report)


def _people(arm: ArmCount, n: float) -> float:
    people = (arm.percent or 0.0) / 100 * n
    return float(round(people)) if n.is_integer() else people


def _from_table(one: float, two: float, sizes: Sizes, case: Case, report: Reported) -> Draft | None:
    table = binary.two_by_two(one, sizes.treatment, two, sizes.reference)
    if table.is_uninformative and case.metric is not Metric.RD:
        return None
    estimator = {
        Metric.OR: binary.log_odds_ratio,
        Metric.RR: binary.log_risk_ratio,
        Metric.RD: binary.risk_difference,
    }[case.metric]
    estimate, variance = (float(x) for x in estimator(table))
    sign = -1 if case.harm else 1
    steps = [f"{one:g}/{sizes.treatment:g} v {two:g}/{sizes.reference:g}"]
    if table.has_zero:
        steps.append("an empty cell: ½ added to all four")
    name = f"ln {case.metric}" if case.metric.is_ratio else "RD"
    steps.append(f"{name} = {estimate:.3f}, v = {variance:.4f}")
    if case.harm:
        steps.append("an unwanted event: sign turned so that positive favours the drug")
    return Draft(sizes, tuple(steps), yi=sign * estimate, vi=variance, p=exact_p(report))


def from_ratio(report: Reported, case: Case) -> Draft | None:
    """A printed RR or OR with its interval, on the scale asked for only."""
    if not isinstance(report, RiskRatio) or report.ci is None or report.metric != case.metric or case.sizes is None:
        return None
    estimate, se = log(report.value), (log(report.ci[1]) - log(report.ci[0])) / (2 * Z95)
    sign = -1 if case.harm else 1
    steps = (
        f"{report.metric} {report.value:g} ({report.ci[0]:g} to {report.ci[1]:g}) printed",
        f"SE = {se:.3f}",
    )
    return Draft(case.sizes, steps, yi=sign * estimate, vi=se**2, p=exact_p(report))
