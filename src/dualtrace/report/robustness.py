"""How much one answer hangs on single trials, on the years and on priors: computed once, for its chapter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualtrace.pooling import bayesian, univariate
from dualtrace.pooling.robustness import influence as deletion
from dualtrace.pooling.robustness import leave_out, partial_leave_out
from dualtrace.pooling.small_study.funnel import contour_funnel
from dualtrace.pooling.small_study.trim_and_fill import trim_and_fill
from dualtrace.pooling.synthesis import columns
from dualtrace.report.bias import LEAST, Numbers

if TYPE_CHECKING:
    from dualtrace.effects.effect import Effect
    from dualtrace.pooling.bayesian.contract import Posterior
    from dualtrace.pooling.contract import Pooled
    from dualtrace.pooling.partial_contract import PartialPooled
    from dualtrace.pooling.robustness.influence import Influence
    from dualtrace.pooling.robustness.leave_out import Refits
    from dualtrace.pooling.robustness.partial_leave_out import PartialRefits
    from dualtrace.pooling.small_study.funnel import Funnel
    from dualtrace.pooling.small_study.trim_and_fill import TrimAndFill
    from dualtrace.pooling.synthesis import Synthesis

NO_YEAR = 9999
"""Stands for the year of a trial that has none, so that it is added last."""

PRIORS = (
    bayesian.half_normal(0.5),
    bayesian.half_cauchy(0.5),
    bayesian.rhodes("mental_health"),
)
"""Priors of τ compared; the first is the one used elsewhere."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FromNumbers:
    """What the trials with numbers allow, :data:`dualtrace.report.bias.LEAST` of them or more.

    Attributes
    ----------
    numbers
        The trials.
    fit
        Random effects (REML, Knapp-Hartung).
    without, influence
        The fit without each trial, and deletion diagnostics.
    funnel, filled
        The funnel, and what trim-and-fill adds.
    """

    numbers: Numbers
    fit: Pooled
    without: Refits
    influence: Influence
    funnel: Funnel
    filled: TrimAndFill


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Robustness:
    """How much an answer from all information hangs on its parts.

    Attributes
    ----------
    effects, everything
        The effects, and their fit.
    without_trial, without_disorder, by_year
        The fit without each trial, without each disorder (None when there is one), and as years were added.
    exact
        The same questions put to the numbers alone; None when there are too few.
    posteriors, posteriors_exact
        The Bayesian answer under each of :data:`PRIORS`, from all information and from the numbers alone (empty when
        there are too few).
    """

    effects: tuple[Effect, ...]
    everything: PartialPooled
    without_trial: PartialRefits
    without_disorder: PartialRefits | None
    by_year: PartialRefits
    exact: FromNumbers | None
    posteriors: tuple[Posterior, ...]
    posteriors_exact: tuple[Posterior, ...]


def robustness(synthesis: Synthesis) -> Robustness | None:
    """Compute what the chapter shows; None where too few trials determine an answer."""
    effects, everything = synthesis.effects, synthesis.everything
    if everything is None or len(effects) < LEAST:
        return None
    y, v, low, high = columns(effects)
    labels = [effect.label for effect in effects]
    disorders = [effect.disorder.value for effect in effects]
    exact = Numbers.of(effects)
    enough = exact.k >= LEAST
    return Robustness(
        effects=effects,
        everything=everything,
        without_trial=partial_leave_out.leave_one_out(y, v, lo=low, hi=high, slab=labels),
        without_disorder=partial_leave_out.leave_one_out(y, v, lo=low, hi=high, slab=labels, groups=disorders)
        if len(set(disorders)) > 1
        else None,
        by_year=partial_leave_out.cumulative(
            y, v, lo=low, hi=high, slab=labels, order=[effect.year or NO_YEAR for effect in effects]
        ),
        exact=_from_numbers(exact) if enough else None,
        posteriors=bayesian.sensitivity(y, v, lo=low, hi=high, tau_priors=PRIORS).fits,
        posteriors_exact=bayesian.sensitivity(exact.y, exact.v, tau_priors=PRIORS).fits if enough else (),
    )


def _from_numbers(given: Numbers) -> FromNumbers:
    y, v, slab = given.y, given.v, given.labels
    return FromNumbers(
        numbers=given,
        fit=univariate.fit(y, v, slab=slab, test="knha"),
        without=leave_out.leave_one_out(y, v, slab=slab, test="knha"),
        influence=deletion.influence(y, v, slab=slab, test="knha"),
        funnel=contour_funnel(y, v, slab=slab),
        filled=trim_and_fill(y, v, slab=slab, test="knha"),
    )
