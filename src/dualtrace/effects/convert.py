"""A trial's outcome to an effect, from the most informative of its reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualtrace.effects import counts, partial, scores
from dualtrace.effects.case import COUNTED, Case, Draft
from dualtrace.effects.effect import Effect, Metric, NoEffect
from dualtrace.effects.sizes import arm_sizes
from dualtrace.evidence.statistic import Events, Reported

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualtrace.evidence.record import Outcome, Trial


def convert(trial: Trial, outcome: Outcome, *, ratio: Metric = Metric.OR) -> Effect | NoEffect:
    """Return the effect of one outcome from its most informative report.

    Reports are tried in a fixed order (arm data, standardised effects, test statistics, exact p, bounded p,
    words), whatever they say.

    Parameters
    ----------
    trial, outcome
        The record and one of its outcomes.
    ratio
        Scale for counted outcomes: OR, RR or RD.
    """
    if outcome.contrast is None:
        return NoEffect(trial.id, outcome.id, "not a comparison of arms")
    metric = ratio if outcome.estimand in COUNTED else Metric.SMD
    case = Case(trial, outcome, outcome.contrast, arm_sizes(trial, outcome.contrast), metric)
    reports = sorted(outcome.reported, key=_precedence)
    for converter in _converters(metric):
        for report in reports:
            draft = converter(report, case)
            if draft is not None:
                return _tie(draft, report, case)
    return NoEffect(trial.id, outcome.id, _why_not(case))


def _precedence(report: Reported) -> int:
    """The trial's own numbers first, then arithmetic on them, then reviews (stable within)."""
    return {"read": 0, "derived": 1, "secondary": 2}[report.obtained]


def _converters(metric: Metric) -> tuple[Callable[[Reported, Case], Draft | None], ...]:
    if metric is Metric.SMD:
        return (
            scores.from_means,
            scores.from_smd,
            scores.from_difference,
            scores.from_test,
            scores.from_eta_squared,
            scores.from_p,
            partial.from_words,
        )
    return (counts.from_counts, counts.from_percentages, counts.from_ratio, partial.from_words)


def _why_not(case: Case) -> str:
    if case.sizes is None and case.metric is Metric.SMD:
        return "no number of participants was reported for the arms compared"
    if any(isinstance(report, Events) for report in case.outcome.reported):
        return "no participant or every participant of both arms had the event"
    return "neither a number nor a direction that determines an effect was reported"


def _tie(draft: Draft, report: Reported, case: Case) -> Effect:
    trial, outcome = case.trial, case.outcome
    origin = f"{report.obtained.value} from {report.source}: {report.where}"
    assumed = draft.sizes.assumption
    return Effect(
        trial=trial.id,
        label=trial.label,
        disorder=trial.disorder,
        year=trial.year,
        outcome=outcome.id,
        measure=outcome.measure,
        estimand=outcome.estimand,
        instruments=outcome.instruments,
        timepoint=outcome.timepoint,
        weeks=outcome.weeks,
        subgroup=outcome.subgroup,
        treatment=case.contrast.treatment,
        reference=case.contrast.reference,
        metric=case.metric,
        yi=draft.yi,
        vi=draft.vi,
        lower=draft.lower,
        upper=draft.upper,
        n_treatment=draft.sizes.treatment,
        n_reference=draft.sizes.reference,
        p=draft.p,
        steps=(origin, draft.sizes.step, *draft.steps),
        assumptions=(*draft.assumptions, *((assumed,) if assumed else ())),
    )
