"""Small named checks on records: numbers against each other, names against the tables.

A check is a function of one trial that yields findings; :func:`lint` runs them all. What a record says about
itself that cannot be (events above n, an interval that misses its estimate) is refused earlier, on construction.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from scipy.special import chdtrc, fdtrc, ndtr, stdtr

from dualtrace.evidence.load import instruments, references
from dualtrace.evidence.record import Estimand, Timepoint
from dualtrace.evidence.statistic import (
    ArmCount,
    ArmMean,
    Changes,
    Difference,
    Events,
    Favours,
    Means,
    P,
    Regression,
    Reported,
    StandardizedDifference,
    Test,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from dualtrace.errors import Problem
    from dualtrace.evidence.load import ReadTrial
    from dualtrace.evidence.record import Outcome, Trial
    from dualtrace.source_map import FieldPath

LARGEST_DOSE_MG = 1000.0
LARGEST_D = 3.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, before it is tied to a line."""

    where: FieldPath
    message: str
    remedy: str
    severity: Literal["error", "warning", "note"] = "warning"
    outcome: str | None = None  # set when a recorded conflict about that outcome explains it


def lint(found: Iterable[ReadTrial]) -> tuple[Problem, ...]:
    """Run every check on every trial; findings come back ordered by file and line."""
    problems: list[Problem] = []
    for one in found:
        explained = {conflict.outcome for conflict in one.trial.conflicts} - {None}
        for check in CHECKS:
            for finding in check(one.trial):
                severity = "note" if finding.outcome in explained else finding.severity
                problem = one.source_map.problem(finding.where, finding.message, finding.remedy)
                problems.append(replace(problem, severity=severity, check=check.__name__))
    return tuple(sorted(problems, key=lambda p: (str(p.path), p.line, p.check)))


# --- names against the tables ----------------------------------------------------------------------------------


def documents_exist(trial: Trial) -> Iterator[Finding]:
    """Every shared document is an entry of references.yaml."""
    for key, source in trial.sources.items():
        if source.document is not None and source.document not in references():
            message = f"references.yaml has no entry {source.document!r}."
            yield Finding(("sources", key, "document"), message, "Add it there or give the url here.", "error")


def instruments_exist(trial: Trial) -> Iterator[Finding]:
    """Every scale is an entry of instruments.yaml."""
    for i, outcome in enumerate(trial.outcomes):
        for j, key in enumerate(outcome.instruments):
            if key not in instruments():
                known = ", ".join(sorted(instruments()))
                message = f"the scale {key!r} is not in the table of instruments."
                yield Finding(("outcomes", i, "instruments", j), message, f"Known: {known}.", "error")


def sources_used(trial: Trial) -> Iterator[Finding]:
    """Every listed source supports something."""
    used = {report.source for outcome in trial.outcomes for report in outcome.reported}
    used |= {m.source for m in trial.moderators} | {p.source for p in trial.design.places}
    used |= {b.source for b in trial.risk_of_bias} | {c.source for x in trial.conflicts for c in x.claims}
    for key in trial.sources:
        if key not in used and trial.outcomes:
            yield Finding(("sources", key), "no number names this source.", "It may support the design.", "note")


def registries_well_formed(trial: Trial) -> Iterator[Finding]:
    """Registry numbers look like registry numbers."""
    pattern = re.compile(
        r"(NCT\d{8}|ISRCTN\d{8}|ACTRN\d{14}|NTR\d{3,5}|NL\d{3,5}"
        r"|onderzoekmetmensen.nl \d+|(EudraCT )?\d{4}-\d{6}-\d{2})$"
    )
    for i, number in enumerate(trial.registries):
        if not pattern.match(number):
            message = f"{number!r} is no registry number."
            yield Finding(("registries", i), message, "Expected e.g. NCT01234567 or ISRCTN12345678.")


# --- design ----------------------------------------------------------------------------------------------------


def doses_plausible(trial: Trial) -> Iterator[Finding]:
    """Doses are between nothing and a gram."""
    for i, arm in enumerate(trial.design.arms):
        if arm.dose_mg is not None and arm.dose_mg.high > LARGEST_DOSE_MG:
            message = f"{arm.dose_mg} mg is above {LARGEST_DOSE_MG:g} mg."
            yield Finding(("design", "arms", i, "dose_mg"), message, "Check the unit (mg).")
        if arm.is_placebo and arm.dose_mg is not None and arm.dose_mg.high > 0:
            message = f"a placebo arm holds no drug; given {arm.dose_mg} mg."
            yield Finding(("design", "arms", i, "dose_mg"), message, "Remove the dose.", "error")


def timing_fits_design(trial: Trial) -> Iterator[Finding]:
    """Doses are taken around sessions, and not more often than there are sessions."""
    design = trial.design
    for i, arm in enumerate(design.arms):
        where: FieldPath = ("design", "arms", i)
        if arm.timing is not None and arm.timing.given == "daily" and design.exposure == "therapy":
            message = "daily dosing in a trial of augmented sessions."
            yield Finding((*where, "timing"), message, "Set exposure: none, or the timing to before/after.", "error")
        total = design.sessions.total
        if arm.n_doses is not None and total is not None and arm.n_doses > total > 0:
            message = f"{arm.n_doses} doses but {total} sessions."
            yield Finding((*where, "n_doses"), message, "Check both.")
        if arm.timing is not None and arm.timing.minutes is not None and arm.timing.minutes.high > 24 * 60:
            message = f"{arm.timing.minutes} minutes is more than a day from the session."
            yield Finding((*where, "timing", "minutes"), message, "Check the unit (minutes).")


def arms_add_up(trial: Trial) -> Iterator[Finding]:
    """Arm sizes sum to the trial's."""
    arms, total = trial.design.arms, trial.design.n_randomized
    sizes = [arm.n_randomized for arm in arms if arm.n_randomized is not None]
    if total is not None and arms and len(sizes) == len(arms) and sum(sizes) != total and not trial.design.crossover:
        message = f"arms hold {sum(sizes)} randomised, the trial {total}."
        yield Finding(("design", "n_randomized"), message, "Check both, or record the conflict.")


def weeks_fit_timepoint(trial: Trial) -> Iterator[Finding]:
    """Weeks run in the order baseline, mid, post."""
    weeks: dict[Timepoint, list[float]] = {}
    for outcome in trial.outcomes:
        if outcome.weeks is not None and outcome.timepoint is not Timepoint.FOLLOWUP:
            weeks.setdefault(outcome.timepoint, []).append(outcome.weeks)
    mid, post = weeks.get(Timepoint.MID), weeks.get(Timepoint.POST)
    if mid and post and max(mid) > max(post):
        message = f"a mid-treatment outcome at week {max(mid):g} comes after the last post outcome ({max(post):g})."
        yield Finding(("outcomes",), message, "Check weeks and timepoint.")


# --- numbers against each other --------------------------------------------------------------------------------


def counts_fit_arms(trial: Trial) -> Iterator[Finding]:
    """No outcome counts more participants than its arms randomised."""
    for where, outcome, report in _reports(trial):
        if outcome.contrast is None or not isinstance(report, Events | Means | Changes):
            continue
        for side, arms in (("treatment", outcome.contrast.treatment), ("reference", outcome.contrast.reference)):
            n = getattr(report, side).n
            sizes = [trial.arm(arm).n_randomized for arm in arms]
            if n is None or any(size is None for size in sizes):
                continue
            randomised = sum(size for size in sizes if size is not None)
            if n > randomised:
                message = f"n = {n} but {randomised} were randomised."
                yield Finding((*where, side, "n"), message, "Check both.", outcome=outcome.id)


def percentages_fit_counts(trial: Trial) -> Iterator[Finding]:
    """A percentage is a whole number of people, and agrees with counts of the same outcome and n."""
    for where, outcome, report in _reports(trial):
        if not isinstance(report, Events):
            continue
        for side in ("treatment", "reference"):
            arm: ArmCount = getattr(report, side)
            if arm.percent is None or arm.n is None:
                continue
            people = arm.percent / 100 * arm.n
            if abs(round(people) / arm.n * 100 - arm.percent) > _half_unit(arm.percent) + 0.1:
                message = f"{arm.percent:g} % of {arm.n} is {people:.2f} people."
                remedy = "Check both; model-based percentages need not be whole people."
                yield Finding((*where, side, "percent"), message, remedy, outcome=outcome.id)
            for events in _counts(outcome, side, arm.n):
                if abs(events / arm.n * 100 - arm.percent) > _half_unit(arm.percent) + 0.1:
                    message = f"{arm.percent:g} % of {arm.n} does not agree with {events} events of another report."
                    yield Finding((*where, side, "percent"), message, "Check both.", outcome=outcome.id)


def intervals_centred(trial: Trial) -> Iterator[Finding]:
    """The estimate of a symmetric interval stands near its middle."""
    for where, outcome, report in _reports(trial):
        if isinstance(report, Difference | Regression) and report.ci is not None:
            estimate = report.value if isinstance(report, Difference) else report.b
            low, high = report.ci
            if abs(estimate - (low + high) / 2) > 0.1 * (high - low):
                message = f"{estimate:g} is not in the middle of {low:g} to {high:g}."
                yield Finding((*where, "ci"), message, "Check for a lost sign or digit.", outcome=outcome.id)


def p_fits_interval(trial: Trial) -> Iterator[Finding]:
    """An interval that excludes no effect has p below .05, and the other way round."""
    for where, outcome, report in _reports(trial):
        if isinstance(report, Difference | Regression) and report.ci is not None and report.p is not None:
            excludes = report.ci[0] > 0 or report.ci[1] < 0
            below = report.p.value <= 0.05 if report.p.relation != ">" else False
            if excludes != below:
                message = f"{report.p} but the interval {'excludes' if excludes else 'holds'} 0."
                yield Finding((*where, "p"), message, "Check both.", outcome=outcome.id)


def p_fits_test(trial: Trial) -> Iterator[Finding]:
    """A printed p is the p of the printed statistic."""
    for where, outcome, report in _reports(trial):
        if not isinstance(report, Test) or report.p is None:
            continue
        recomputed = _p_of(report)
        if recomputed is not None and not _agrees(report.p, recomputed):
            message = f"{report.p} is printed, but the statistic gives p = {recomputed:.3g}."
            yield Finding(
                (*where, "p"), message, "Record the conflict if the source prints both.", outcome=outcome.id
            )


def side_fits_numbers(trial: Trial) -> Iterator[Finding]:
    """The side a report is said to favour is the side its numbers favour."""
    for where, outcome, report in _reports(trial):
        computed = _side(outcome, report)
        if computed is None or report.favours not in (Favours.TREATMENT, Favours.REFERENCE):
            continue
        if computed is not report.favours:
            message = f"the numbers favour the {computed}, the record says {report.favours}."
            yield Finding((*where, "favours"), message, "Check the arm order and the scale.", "error", outcome.id)


def scores_fit_scale(trial: Trial) -> Iterator[Finding]:
    """Means stand inside the range of their scale."""
    for where, outcome, report in _reports(trial):
        scale = instruments().get(outcome.instruments[0]) if len(outcome.instruments) == 1 else None
        if scale is None or scale.minimum is None or scale.maximum is None or not isinstance(report, Means | Changes):
            continue
        width = scale.maximum - scale.minimum
        for side in ("treatment", "reference"):
            arm: ArmMean = getattr(report, side)
            low, high = (-width, width) if isinstance(report, Changes) else (scale.minimum, scale.maximum)
            if not low <= arm.mean <= high:
                message = f"{arm.mean:g} lies outside {scale.name}'s range {low:g} to {high:g}."
                yield Finding((*where, side, "mean"), message, "Check the scale and its version.", outcome=outcome.id)
            if arm.sd is not None and arm.sd > width:
                message = f"an SD of {arm.sd:g} exceeds the range of {scale.name}."
                yield Finding(
                    (*where, side, "sd"), message, "Is it a standard error or a variance?", outcome=outcome.id
                )


def effects_plausible(trial: Trial) -> Iterator[Finding]:
    """No printed d is larger than trials of people give."""
    for where, outcome, report in _reports(trial):
        if isinstance(report, StandardizedDifference) and abs(report.value.high) > LARGEST_D:
            message = f"d = {report.value} is larger than {LARGEST_D:g}."
            yield Finding((*where, "value"), message, "Was the SE used in place of the SD?", outcome=outcome.id)


CHECKS: tuple[Callable[[Trial], Iterator[Finding]], ...] = (
    documents_exist,
    instruments_exist,
    sources_used,
    registries_well_formed,
    doses_plausible,
    timing_fits_design,
    arms_add_up,
    weeks_fit_timepoint,
    counts_fit_arms,
    percentages_fit_counts,
    intervals_centred,
    p_fits_interval,
    p_fits_test,
    side_fits_numbers,
    scores_fit_scale,
    effects_plausible,
)


# --- helpers ---------------------------------------------------------------------------------------------------


def _reports(trial: Trial) -> Iterator[tuple[FieldPath, Outcome, Reported]]:
    for i, outcome in enumerate(trial.outcomes):
        for j, report in enumerate(outcome.reported):
            yield ("outcomes", i, "reported", j), outcome, report


def _half_unit(percent: float) -> float:
    """Half a unit in the last printed decimal: 0.5 for ``77``, 0.05 for ``79.3``."""
    return 0.5 if float(percent).is_integer() else 0.05


def _counts(outcome: Outcome, side: str, n: int) -> Iterator[int]:
    for report in outcome.reported:
        if isinstance(report, Events):
            arm: ArmCount = getattr(report, side)
            if arm.events is not None and arm.n == n:
                yield arm.events


def _p_of(report: Test) -> float | None:
    value, df = abs(report.value), report.df
    match report.statistic, len(df):
        case "t", 1:
            return float(2 * stdtr(df[0], -value))
        case "F", 2:
            return float(fdtrc(df[0], df[1], value))
        case "chi2", 1:
            return float(chdtrc(df[0], value))
        case "z", 0:
            return float(2 * ndtr(-value))
        case _:
            return None


def _agrees(printed: P, recomputed: float) -> bool:
    if printed.relation == "<":
        return recomputed <= printed.value * 1.05
    if printed.relation == ">":
        return recomputed >= printed.value * 0.95
    return abs(recomputed - printed.value) <= max(0.005, 0.1 * printed.value)


def _side(outcome: Outcome, report: Reported) -> Favours | None:
    if isinstance(report, Events):
        rates = [_rate(report.treatment), _rate(report.reference)]
        if rates[0] is None or rates[1] is None or rates[0] == rates[1]:
            return None
        more_is_good = outcome.estimand not in (Estimand.ADVERSE_EVENT, Estimand.DROPOUT)
        return Favours.TREATMENT if (rates[0] > rates[1]) == more_is_good else Favours.REFERENCE
    if isinstance(report, Means | Changes) and len(outcome.instruments) == 1:
        scale = instruments().get(outcome.instruments[0])
        difference = report.treatment.mean - report.reference.mean
        if scale is None or difference == 0:
            return None
        return Favours.TREATMENT if (difference < 0) == (scale.better == "lower") else Favours.REFERENCE
    return None


def _rate(arm: ArmCount) -> float | None:
    if arm.percent is not None:
        return arm.percent / 100
    return arm.events / arm.n if arm.events is not None and arm.n else None
