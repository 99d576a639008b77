"""Continuous outcomes: every form of report to Hedges' g with its variance."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from typing import TYPE_CHECKING

from dualtrace.effects import continuous
from dualtrace.effects.case import Z95, Case, Draft, exact_p, orient, own_sizes, sign_of, standard_error
from dualtrace.evidence.statistic import (
    ArmMean,
    Changes,
    Difference,
    EtaSquared,
    Means,
    Regression,
    Reported,
    StandardizedDifference,
    Test,
)

if TYPE_CHECKING:
    from dualtrace.effects.sizes import Sizes


def _finish_smd(d: float, sizes: Sizes, steps: tuple[str, ...], p: float | None = None) -> Draft:
    j = float(continuous.hedges_correction(sizes.df))
    g = j * d
    vi = float(continuous.smd_variance(g, sizes.treatment, sizes.reference))
    more = (f"g = J d = {j:.3f} × {d:.3f} = {g:.3f}", f"v = 1/n₁ + 1/n₂ + g²/2N = {vi:.4f}")
    return Draft(sizes, (*steps, *more), yi=g, vi=vi, p=p)


def from_means(report: Reported, case: Case) -> Draft | None:
    """Means or mean changes with a spread: d over the pooled SD of what was reported."""
    if not isinstance(report, Means | Changes):
        return None
    sizes = own_sizes(report.treatment.n, report.reference.n, case)
    if sizes is None:
        return None
    one, two = _arm_sd(report.treatment, sizes.treatment), _arm_sd(report.reference, sizes.reference)
    if one is None or two is None:
        return None
    sd = float(continuous.pooled_sd(one[0], sizes.treatment, two[0], sizes.reference))
    oriented = orient(report.treatment.mean - report.reference.mean, report, case)
    if oriented is None:
        return None
    difference, sign_step = oriented
    what = "change" if isinstance(report, Changes) else "mean"
    steps = (
        f"{what} {report.treatment.mean:g} v {report.reference.mean:g}; {one[1]}; {two[1]}",
        sign_step,
        f"d = {difference:.3f} / pooled SD {sd:.3f} = {difference / sd:.3f}",
    )
    return _finish_smd(difference / sd, sizes, steps, exact_p(report))


def _arm_sd(arm: ArmMean, n: float) -> tuple[float, str] | None:
    if arm.sd is not None:
        return arm.sd, f"SD {arm.sd:g}"
    if arm.se is not None:
        return arm.se * sqrt(n), f"SD = SE √n = {arm.se * sqrt(n):.3f}"
    if arm.ci is not None:
        sd = float(continuous.sd_from_ci(*arm.ci, n))
        return sd, f"SD from the 95% interval = {sd:.3f}"
    return None


def from_smd(report: Reported, case: Case) -> Draft | None:
    """A printed d or g; its error from a printed interval, a sibling coefficient's interval, or the sizes."""
    if not isinstance(report, StandardizedDifference) or not report.value.is_exact or case.sizes is None:
        return None
    sizes, size = case.sizes, abs(report.value.low)
    sign = sign_of(report)
    d = 0.0 if size == 0 else sign * size if sign is not None else None
    if d is None:
        return None
    printed = f"{report.metric} = {report.value} printed, favours {report.favours or 'neither'}"
    if report.metric == "g":
        vi = float(continuous.smd_variance(d, sizes.treatment, sizes.reference))
        draft = Draft(sizes, (printed, f"v = 1/n₁ + 1/n₂ + g²/2N = {vi:.4f}"), yi=d, vi=vi, p=exact_p(report))
    else:
        draft = _finish_smd(d, sizes, (printed,), exact_p(report))
    return _with_printed_error(draft, report, case)


def _with_printed_error(draft: Draft, report: StandardizedDifference, case: Case) -> Draft:
    if report.ci is not None:
        se = (report.ci[1] - report.ci[0]) / (2 * Z95)
        return replace(draft, vi=se**2, steps=(*draft.steps, f"v from the printed interval = {se**2:.4f}"))
    for sibling in case.outcome.reported:
        if isinstance(sibling, Regression) and sibling.b != 0 and draft.yi:
            se_b = standard_error(sibling.ci, sibling.se)
            if se_b is not None:
                se = abs(draft.yi) * se_b / abs(sibling.b)
                step = f"v from the same model's b: z = {abs(sibling.b) / se_b:.2f}, v = (g/z)² = {se**2:.4f}"
                return replace(draft, vi=se**2, steps=(*draft.steps, step))
    return draft


def from_difference(report: Reported, case: Case) -> Draft | None:
    """A mean difference or coefficient with its error: t = estimate / SE, then d from t."""
    if not isinstance(report, Difference | Regression) or case.sizes is None:
        return None
    estimate = report.value if isinstance(report, Difference) else report.b
    se = standard_error(report.ci, report.se)
    oriented = orient(estimate, report, case)
    if se is None or oriented is None:
        return None
    value, sign_step = oriented
    d = float(continuous.d_from_t(value / se, case.sizes.treatment, case.sizes.reference))
    steps = (f"estimate {estimate:g} with SE {se:.3f}", sign_step, f"d = t √(1/n₁ + 1/n₂) = {d:.3f}")
    return _finish_smd(d, case.sizes, steps, exact_p(report))


def from_test(report: Reported, case: Case) -> Draft | None:
    """t, F with one numerator degree of freedom, z, χ² with one degree of freedom, or r."""
    sign = sign_of(report)
    if not isinstance(report, Test) or case.sizes is None or sign is None:
        return None
    t = _as_t(report, case.sizes.df)
    if t is None:
        return None
    d = sign * float(continuous.d_from_t(t, case.sizes.treatment, case.sizes.reference))
    df = f"({', '.join(f'{x:g}' for x in report.df)})" if report.df else ""
    steps = (
        f"{report.statistic}{df} = {report.value:g}, favours {report.favours}",
        f"|t| = {t:.3f}; d = {d:.3f}",
    )
    return _finish_smd(d, case.sizes, steps, exact_p(report))


def _as_t(report: Test, df: float) -> float | None:
    value = abs(report.value)
    match report.statistic:
        case "t" | "z":
            return value
        case "F":
            return sqrt(value) if report.df[:1] == (1,) else None
        case "chi2":
            return sqrt(value) if report.df in ((), (1,)) else None
        case "r":
            return float(continuous.t_from_r(value, df)) if value < 1 else None


def from_eta_squared(report: Reported, case: Case) -> Draft | None:
    """(Partial) η² of the two-group effect: F(1, N − 2), t = √F."""
    sign = sign_of(report)
    if not isinstance(report, EtaSquared) or not report.value.is_exact or case.sizes is None or sign is None:
        return None
    f = float(continuous.f_from_eta_squared(report.value.low, case.sizes.df))
    d = sign * float(continuous.d_from_t(sqrt(f), case.sizes.treatment, case.sizes.reference))
    steps = (
        f"η² = {report.value}, F(1, {case.sizes.df:g}) = {f:.3f}, favours {report.favours}",
        f"d = {d:.3f}",
    )
    return _finish_smd(d, case.sizes, steps, exact_p(report))


def from_p(report: Reported, case: Case) -> Draft | None:
    """An exact two-sided p with the side it favours: t of that p, then d."""
    p, sign = exact_p(report), sign_of(report)
    if p is None or sign is None or case.sizes is None or not 0 < p < 1:
        return None
    t = float(continuous.t_from_p(p, case.sizes.df))
    d = sign * float(continuous.d_from_t(t, case.sizes.treatment, case.sizes.reference))
    steps = (f"p = {p:g} favouring {report.favours}: |t({case.sizes.df:g})| = {t:.3f}", f"d = {d:.3f}")
    return _finish_smd(d, case.sizes, steps, p)
