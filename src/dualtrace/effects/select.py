"""Trials to a set of effects that may be pooled: like with like, one per trial, with what was left out and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from dualtrace.effects.binary import d_from_log_odds_ratio
from dualtrace.effects.combine import combine_shared_reference
from dualtrace.effects.convert import convert
from dualtrace.effects.effect import Effect, Metric, NoEffect
from dualtrace.effects.primary import SEVERITY, is_drug_comparison, primary_outcomes
from dualtrace.errors import InputError
from dualtrace.evidence.record import Estimand, Timepoint
from dualtrace.evidence.scope import scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dualtrace.evidence.record import Outcome, Trial

E = TypeVar("E", Timepoint, Metric)

OUTCOMES: dict[str, tuple[Estimand, ...]] = {
    "severity": (Estimand.POST_DIFFERENCE,),
    "change": (Estimand.CHANGE,),
    "growth_model": (Estimand.GROWTH_MODEL,),
    "slope": (Estimand.SLOPE,),
    "interaction": (Estimand.INTERACTION,),
    "within_session": (Estimand.WITHIN_SESSION,),
    "response": (Estimand.RESPONSE,),
    "remission": (Estimand.REMISSION,),
    "adverse_event": (Estimand.ADVERSE_EVENT,),
    "dropout": (Estimand.DROPOUT,),
    "severity_mixed": SEVERITY,
    "benefit_mixed": (*SEVERITY, Estimand.RESPONSE, Estimand.REMISSION),
}
"""Named sets of estimands.

The two that mix say so in their names: ``severity_mixed`` puts every kind of severity effect side by side,
``benefit_mixed`` takes response or remission, turned into an SMD, where no severity is reported.
"""


@dataclass(frozen=True, slots=True)
class Selection:
    """Effects that may be pooled together.

    Attributes
    ----------
    effects
        One per trial, ordered by disorder, year and label.
    left_out
        Every other trial with the reason.
    mixed
        Whether different estimands stand side by side.
    """

    effects: tuple[Effect, ...]
    left_out: tuple[NoEffect, ...]
    mixed: bool

    @property
    def exact(self) -> tuple[Effect, ...]:
        """Return the effects with a point estimate."""
        return tuple(effect for effect in self.effects if effect.is_exact)


def between_arms(
    trials: Iterable[Trial],
    *,
    outcome: str = "severity",
    timepoint: Timepoint | str = Timepoint.POST,
    ratio: Metric | str = Metric.OR,
    in_scope_only: bool = True,
) -> Selection:
    """Return each trial's primary drug-against-placebo effect.

    Parameters
    ----------
    trials
        Records, published or simulated.
    outcome
        A name of :data:`OUTCOMES`.
    timepoint
        ``mid``, ``post`` or ``followup``.
    ratio
        Scale of counted outcomes: OR, RR or RD.
    in_scope_only
        Apply the scope rule (:data:`dualtrace.evidence.scope.RULE`).

    Raises
    ------
    InputError
        When outcome, time point or scale is unknown.
    """
    if outcome not in OUTCOMES:
        raise InputError(f"outcome must be one of {', '.join(OUTCOMES)}; given {outcome!r}")
    when = _member(Timepoint, timepoint, "timepoint")
    scale = _member(Metric, ratio, "ratio")
    effects: list[Effect] = []
    left_out: list[NoEffect] = []
    for trial in trials:
        reason = scope(trial).reason if in_scope_only else None
        found = NoEffect(trial.id, "", reason) if reason else _of_trial(trial, outcome, when, scale)
        if isinstance(found, Effect):
            effects.append(found)
        else:
            left_out.append(found)
    effects.sort(key=lambda e: (e.disorder.value, e.year or 0, e.label))
    return Selection(tuple(effects), tuple(left_out), len({e.estimand for e in effects}) > 1)


def every_comparison(trial: Trial, *, ratio: Metric = Metric.OR) -> tuple[Effect | NoEffect, ...]:
    """Return the effect of every drug-against-placebo outcome of a trial, primary or not, in record order."""
    return tuple(convert(trial, o, ratio=ratio) for o in trial.outcomes if is_drug_comparison(trial, o))


def _of_trial(trial: Trial, outcome: str, when: Timepoint, ratio: Metric) -> Effect | NoEffect:
    if outcome == "benefit_mixed":
        return _benefit(trial, when)
    outcomes = primary_outcomes(trial, when, OUTCOMES[outcome])
    if not outcomes:
        return NoEffect(trial.id, "", f"no {outcome.replace('_', ' ')} reported at {when.value}")
    converted = [convert(trial, one, ratio=ratio) for one in outcomes]
    found = [one for one in converted if isinstance(one, Effect)]
    if not found:
        first = converted[0]
        return first if isinstance(first, NoEffect) else NoEffect(trial.id, "", "no effect")
    return _one(found, outcomes)


def _benefit(trial: Trial, when: Timepoint) -> Effect | NoEffect:
    """Severity where it is reported, else response, else remission as an SMD."""
    for outcome in ("severity_mixed", "response", "remission"):
        found = _of_trial(trial, outcome, when, Metric.OR)
        if isinstance(found, Effect):
            return found if found.metric is Metric.SMD else as_smd(found)
    return NoEffect(trial.id, "", f"no severity, response or remission reported at {when.value}")


def as_smd(effect: Effect) -> Effect:
    """Return an odds ratio as a standardised mean difference, d = ln OR · √3/π, bounds alike (Chinn 2000)."""
    if effect.metric is not Metric.OR:
        raise ValueError(f"{effect.name}: only an odds ratio becomes an SMD; given {effect.metric}")
    vi = d_from_log_odds_ratio(0.0, effect.vi)[1]
    yi = None if effect.yi is None else d_from_log_odds_ratio(effect.yi, effect.vi)[0]
    lower, upper = (d_from_log_odds_ratio(bound, effect.vi)[0] for bound in (effect.lower, effect.upper))
    step = "d = ln OR · √3/π: a count as a standardised difference"
    return replace(effect, metric=Metric.SMD, yi=yi, vi=vi, lower=lower, upper=upper, steps=(*effect.steps, step))


def _one(found: Sequence[Effect], outcomes: Sequence[Outcome]) -> Effect:
    exact = [effect for effect in found if effect.is_exact]
    if len(exact) > 1:
        return combine_shared_reference(exact)
    chosen = exact[0] if exact else found[0]
    if len(outcomes) == 1:
        return chosen
    others = ", ".join(o.id for o in outcomes if o.id != chosen.outcome)
    return replace(chosen, steps=(*chosen.steps, f"comparisons of the same trial not used here: {others}"))


def _member(kind: type[E], given: E | str, field: str) -> E:
    try:
        return kind(given)
    except ValueError:
        allowed = ", ".join(member.value for member in kind)
        raise InputError(f"{field} must be one of {allowed}; given {given!r}") from None
