"""How much the answer hangs on single trials, on the years, on priors, and on what was not published."""

from __future__ import annotations

from functools import partial
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from dualtrace.report.analysis import HEADLINE, MIXED
from dualtrace.report.bias import FUNNEL_LEAST, METHODS, Numbers, finding
from dualtrace.report.document import Block, Bullets, Cite, Folded, Line, Paragraph, Picture, Section, Strong, Table
from dualtrace.report.figures.forest import forest
from dualtrace.report.figures.funnel import FunnelRange, funnel, funnel_spec
from dualtrace.report.figures.funnel import alt as funnel_alt
from dualtrace.report.figures.posterior import alt as posterior_alt
from dualtrace.report.figures.posterior import posterior, posterior_spec
from dualtrace.report.figures.refits import refit_alt, refit_spec
from dualtrace.report.picture import picture
from dualtrace.report.robustness import NO_YEAR, PRIORS, robustness
from dualtrace.report.sections.verdict import SMALL_EFFECT
from dualtrace.report.words import DISORDER_NAMES, MINUS, count, estimate, listing, number

if TYPE_CHECKING:
    from dualtrace.pooling.bayesian.contract import Posterior, Summary
    from dualtrace.pooling.robustness.partial_leave_out import PartialRefits
    from dualtrace.report.analysis import Analysis
    from dualtrace.report.robustness import FromNumbers, Robustness

TITLE = "How much does the answer hang on single trials, and on what was not published?"
TOO_FEW = "Too few trials compare severity after treatment to leave one out: nothing can be said here."
INTRODUCTION = (
    "All of this is about severity after treatment. Where a method can use words as ranges it is given all "
    "information; methods that need a number per trial see only the trials that print one, and say so."
)
PRIOR_NAMES = (
    "half-normal, scale 0.5 (drawn)",
    "half-Cauchy, scale 0.5: long tail",
    "as found in other meta-analyses of mental health, drug against placebo",
)
BAYES = (
    "The same model as a Bayesian answer, by quadrature: a flat prior of the mean, and a prior of τ, the standard "
    "deviation between trials, which few trials say little about. "
)
UNPUBLISHED = (
    "Trials that print a number may differ from trials that do not, and trials may never be printed at all. The "
    "methods below look for traces of that among the numbers. A range that words allow ends, by construction, at a "
    "contour of significance, so words cannot be tested for asymmetry; they enter the answer as what they are. "
)
FAIL_SAFE = (
    "Fail-safe N is not given: it has no interval, and it takes for granted that hidden trials average no effect. "
    "Estimates are standardised mean differences with 95 % intervals. A mixture of kinds of effect is not one "
    "quantity; its column is there because it has more numbers."
)
INFLUENCE_NOTE = (
    "Random effects (REML, Knapp-Hartung) on the numbers alone. Residual: studentised, beyond ±2 is unusual. "
    "DFFITS: change of the trial's own prediction in standard errors. Cook's distance: change of the answer. "
    "Covariance ratio below 1: without the trial the answer is more precise. "
)


def robustness_chapter(analysis: Analysis) -> tuple[Section, ...]:
    """Return the chapter: single trials, years, what was not published, priors."""
    grouped = analysis.syntheses.get(HEADLINE)
    found = None if grouped is None else robustness(grouped.overall)
    if found is None:
        return (Section("robustness", TITLE, (Paragraph((TOO_FEW,)),)),)
    head: tuple[Block, ...] = (Paragraph((INTRODUCTION,)), Bullets(_in_short(found)))
    return (
        Section("robustness", TITLE, head),
        Section("robustness-single", "Without single trials, without single disorders", _single(found), level=2),
        Section("robustness-years", "Year by year", (_years(found),), level=2),
        Section("robustness-unpublished", "What was not published", _unpublished(found, analysis), level=2),
        Section("robustness-priors", "With priors", _priors(found), level=2),
    )


# --- in short --------------------------------------------------------------------------------------------------


def _in_short(found: Robustness) -> tuple[Line, ...]:
    lines: list[Line] = [(Strong("Single trials. "), spread(found.without_trial, "any one trial"))]
    if found.without_disorder is not None:
        lines.append((Strong("Single disorders. "), spread(found.without_disorder, "any one disorder")))
    if found.exact is not None:
        lines.append((Strong("Numbers alone. "), _influential(found.exact)))
    lines.append(
        (
            Strong("Not published. "),
            _few(0 if found.exact is None else found.exact.numbers.k),
            " ",
            Cite("cochrane_handbook"),
        )
    )
    lines.append((Strong("Priors. "), _probabilities(found.posteriors[0])))
    return tuple(lines)


def spread(fits: PartialRefits, what: str) -> str:
    """Return how far the answer moves when parts are left out, and whether any fit changes what it says."""
    known = [i for i, value in enumerate(fits.beta) if isfinite(value)]
    if not known:
        return f"Without {what} nothing is determined."
    least, most = min(known, key=lambda i: fits.beta[i]), max(known, key=lambda i: fits.beta[i])
    ends = " and ".join(f"{_fit(fits, i)} (without {_in_text(fits.slab[i])})" for i in (least, most))
    beyond = [_in_text(fits.slab[i]) for i in known if fits.ci_lb[i] > 0.0 or fits.ci_ub[i] < 0.0]
    if not beyond:
        rest = "every interval includes 0"
    elif len(beyond) == len(known):
        rest = "no interval includes 0"
    else:
        rest = f"the interval excludes 0 without {listing(beyond)}"
    return f"Without {what}, the mean of all information lies between {ends}; {rest}."


def _fit(fits: PartialRefits, i: int) -> str:
    return estimate(float(fits.beta[i]), float(fits.ci_lb[i]), float(fits.ci_ub[i]))


def _influential(exact: FromNumbers) -> str:
    fit, k = exact.fit, exact.numbers.k
    whole = estimate(float(fit.beta[0]), float(fit.ci_lb[0]), float(fit.ci_ub[0]))
    flagged = np.flatnonzero(exact.influence.inf)
    start = f"The mean of the {k} trials with numbers is {whole}; "
    if not flagged.size:
        return f"{start}none of them is influential by the usual rules."
    parts = [f"{exact.numbers.labels[i]}, without which it is {_row(exact, int(i))}" for i in flagged]
    return f"{start}influential by the usual rules: {'; '.join(parts)}."


def _row(exact: FromNumbers, i: int) -> str:
    fits = exact.without
    return estimate(float(fits.beta[i, 0]), float(fits.ci_lb[i, 0]), float(fits.ci_ub[i, 0]))


def _few(k: int) -> str:
    if k >= FUNNEL_LEAST:
        return f"With {k} numbers, tests of the funnel have little power; a large p value is no proof of its absence."
    return (
        f"Only {count(k, 'trial')} print a number. The Cochrane Handbook advises against funnel plots and tests of "
        f"their asymmetry below {FUNNEL_LEAST}: they have little power, and finding nothing "
        "does not show that nothing is there."
    )


def _probabilities(fit: Posterior) -> str:
    favours, matters = 1.0 - fit.mu.cdf(0.0), 1.0 - fit.mu.cdf(SMALL_EFFECT)
    return (
        f"From all information the mean is {_summary(fit.mu_summary)}; the probability that it favours D-cycloserine "
        f"at all is {100 * favours:.0f} %, that it exceeds {SMALL_EFFECT:g}, a small effect, {_percent(matters)}."
    )


def _percent(share: float) -> str:
    return "below 1 %" if share < 0.01 else f"{100 * share:.0f} %"


def _summary(summary: Summary) -> str:
    return estimate(summary.median, summary.ci_lb, summary.ci_ub)


# --- single trials, years --------------------------------------------------------------------------------------


def _name(label: str) -> str:
    names = {disorder.value: name for disorder, name in DISORDER_NAMES.items()}
    return names.get(label, "trials without a year" if label == str(NO_YEAR) else label)


def _in_text(label: str) -> str:
    return _name(label).lower() if _name(label) != label else label


def _single(found: Robustness) -> tuple[Block, ...]:
    groups = [("One trial", found.without_trial)]
    if found.without_disorder is not None:
        groups.append(("One disorder", found.without_disorder))
    spec = refit_spec(
        groups,
        found.everything,
        title="Severity after treatment, all information: one trial or one disorder left out",
        header="Left out",
        rename=_name,
        footnote="Maximum likelihood, profile intervals. A trial whose words allow a range on both sides of the mean "
        "adds precision, but hardly moves the mean.",
    )
    caption: Line = ("The pooled effect without each trial and without each disorder. Right favours D-cycloserine.",)
    blocks: list[Block] = [picture("leave_out", caption, refit_alt(spec), partial(forest, spec))]
    if found.exact is not None:
        blocks.append(Folded("The trials with numbers, one by one", (_influence(found.exact),), on_paper=False))
    return tuple(blocks)


def _influence(exact: FromNumbers) -> Table:
    found = exact.influence
    rows = tuple(
        (
            (label,),
            (_row(exact, i),),
            *((number(float(part[i])),) for part in (found.rstudent, found.dffits, found.cook_d, found.cov_r)),
            (f"{found.weight[i]:.0f}%",),
            ("yes" if found.inf[i] else "no",),
        )
        for i, label in enumerate(exact.numbers.labels)
    )
    headers = (
        "Trial", "Mean without it", "Residual", "DFFITS", "Cook's distance", "Covariance ratio", "Weight",
        "Influential",
    )  # fmt: skip
    note: Line = (INFLUENCE_NOTE, Cite("viechtbauer_cheung2010"))
    title = "Severity after treatment: each trial's influence among the numbers"
    return Table("influence", title, headers, rows, numeric=(1, 2, 3, 4, 5, 6), note=note)


def _years(found: Robustness) -> Picture:
    spec = refit_spec(
        [("", found.by_year)],
        found.everything,
        title="Severity after treatment, all information: year by year",
        header="Up to",
        rename=_name,
    )
    text = (
        "Each row pools all trials published up to that year; intervals are not corrected for looking again and "
        "again. Right favours D-cycloserine."
    )
    return picture("cumulative", (text,), refit_alt(spec), partial(forest, spec))


# --- what was not published ------------------------------------------------------------------------------------


def _unpublished(found: Robustness, analysis: Analysis) -> tuple[Block, ...]:
    blocks: list[Block] = [Paragraph((UNPUBLISHED, Cite("sterne2011")))]
    if found.exact is not None:
        blocks.append(_funnel(found, found.exact))
    blocks.append(_methods(found, analysis))
    return tuple(blocks)


def _funnel(found: Robustness, exact: FromNumbers) -> Picture:
    ranges = [
        FunnelRange(label=effect.label, low=effect.lower, high=effect.upper, se=effect.se)
        for effect in found.effects
        if effect.yi is None
    ]
    spec = funnel_spec(
        exact.funnel,
        title="Severity after treatment: effect and precision",
        filled=exact.filled,
        ranges=ranges,
        line=exact.numbers.k >= FUNNEL_LEAST,
    )
    words = f"{count(exact.numbers.k, 'trial')} with a number"
    words += f", {len(ranges)} with words only" if ranges else ""
    text = (
        f"Contour-enhanced funnel plot: {words}. Missing trials in the white region would suggest that results were "
        "held back for not being significant. Right favours D-cycloserine. "
    )
    return picture("funnel", (text, Cite("peters2008")), funnel_alt(spec), partial(funnel, spec))


def _methods(found: Robustness, analysis: Analysis) -> Table:
    mixed = analysis.syntheses.get(MIXED)
    sets = [("Severity after treatment", Numbers.of(found.effects))]
    if mixed is not None:
        sets.append(("Kinds of severity effect mixed", Numbers.of(mixed.overall.effects)))
    rows: list[tuple[Line, ...]] = []
    for method in METHODS:
        name: Line = (method.name, *(part for key in method.sources for part in (" ", Cite(key))))
        cells = ((str(finding(method, numbers)),) for _, numbers in sets)
        rows.append((name, *cells, (method.assumes,), (method.cannot,)))
    headers = ("Method", *(f"{name}, k = {numbers.k}" for name, numbers in sets), "Assumes", "Cannot tell")
    return Table("bias_methods", "What the numbers say of what is missing", headers, tuple(rows), note=(FAIL_SAFE,))


# --- priors ----------------------------------------------------------------------------------------------------


def _priors(found: Robustness) -> tuple[Block, ...]:
    fit = found.posteriors[0]
    others = [("numbers only", found.posteriors_exact[0])] if found.posteriors_exact else []
    spec = posterior_spec(
        fit, title="Severity after treatment: mean effect and spread", others=others, name="all information"
    )
    text = (
        "Posterior densities with their medians and 95 % credible intervals, from all information. Right of 0 on the "
        "left axis favours D-cycloserine."
    )
    return (
        Paragraph((BAYES, Cite("rover2020"), " ", Cite("rhodes2015"))),
        picture("posterior", (text,), posterior_alt(spec), partial(posterior, spec)),
        _sensitivity(found),
    )


def _sensitivity(found: Robustness) -> Table:
    rows: list[tuple[Line, ...]] = []
    for i, name in enumerate(PRIOR_NAMES):
        cells: list[Line] = [(name,)]
        for fits in (found.posteriors, found.posteriors_exact):
            if fits:
                cells += [(_summary(part),) for part in (fits[i].mu_summary, fits[i].tau_summary)]
        rows.append(tuple(cells))
    headers = ["Prior of τ", "All information: mean", "τ"]
    if found.posteriors_exact:
        headers += [f"Numbers only (k = {found.posteriors_exact[0].k}): mean", "τ, numbers only"]
    exact = listing(str(prior).replace("(-", f"({MINUS}") for prior in PRIORS)
    return Table(
        "prior_sensitivity",
        "The answer under other priors",
        tuple(headers),
        tuple(rows),
        numeric=tuple(range(1, len(headers))),
        note=(f"Posterior medians with 95 % credible intervals. In symbols: {exact}.",),
    )
