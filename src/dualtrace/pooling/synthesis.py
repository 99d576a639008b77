"""Labelled effects to pooled answers: the classical analysis beside the one that uses all information."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtrc

from dualtrace.errors import FitError
from dualtrace.pooling import partial, univariate
from dualtrace.pooling.formula import design
from dualtrace.pooling.groups import Between, subgroups

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pandas import DataFrame

    from dualtrace.effects.effect import Effect
    from dualtrace.effects.select import Selection
    from dualtrace.evidence.record import Disorder
    from dualtrace.pooling.contract import Pooled, Tau2Method, TestName
    from dualtrace.pooling.likelihood import Array
    from dualtrace.pooling.partial_contract import Comparison, PartialPooled


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthesis:
    """One set of effects, pooled.

    Attributes
    ----------
    effects
        What was pooled.
    classical
        Random-effects fit of the exact effects; None when there is none.
    information
        Exact effects alone beside all information, by maximum likelihood; None when nothing determines an answer.
    refused
        Sentences on what could not be fitted.
    """

    effects: tuple[Effect, ...]
    classical: Pooled | None
    information: Comparison | None
    refused: tuple[str, ...] = ()

    @property
    def n_exact(self) -> int:
        """Return how many effects are exact."""
        return sum(effect.is_exact for effect in self.effects)

    @property
    def participants(self) -> float:
        """Return how many participants stand behind the effects."""
        return sum(effect.n_treatment + effect.n_reference for effect in self.effects)

    @property
    def everything(self) -> PartialPooled | None:
        """Return the fit of all information."""
        return None if self.information is None else self.information.everything


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupedSynthesis:
    """A selection pooled overall and by disorder.

    Attributes
    ----------
    selection, overall, by_disorder
        What was pooled, and the answers.
    between_exact
        Test that disorders have one mean, exact effects, τ² separate (Q between); None when it cannot be made.
    between_all
        The same from all information: likelihood-ratio test of a mean per disorder, τ² common.
    """

    selection: Selection
    overall: Synthesis
    by_disorder: Mapping[Disorder, Synthesis]
    between_exact: Between | None
    between_all: Between | None


def synthesise(
    effects: Sequence[Effect], *, method: Tau2Method = "REML", test: TestName = "knha", level: float = 0.95
) -> Synthesis:
    """Pool effects of one metric, both ways.

    Parameters
    ----------
    effects
        Effects on one metric.
    method, test, level
        Of the classical fit; the fit of all information is maximum likelihood with profile intervals.

    Raises
    ------
    FitError
        When metrics are mixed or there is no effect.
    """
    chosen = tuple(effects)
    metrics = sorted({effect.metric.value for effect in chosen})
    if not chosen:
        raise FitError(
            "at least one effect is needed to pool; given none. Widen the outcome, time point or disorder."
        )
    if len(metrics) > 1:
        raise FitError(f"effects must be on one metric to be pooled; given {', '.join(metrics)}")
    exact = [effect for effect in chosen if effect.is_exact]
    refused: list[str] = []
    classical = None
    if exact:
        yi, vi = [e.yi for e in exact], [e.vi for e in exact]
        classical = univariate.fit(yi, vi, slab=[e.label for e in exact], method=method, test=test, level=level)
    information = None
    try:
        information = _compare(chosen, level)
    except FitError as error:
        refused.append(f"all information: {error}")
    return Synthesis(effects=chosen, classical=classical, information=information, refused=tuple(refused))


def by_disorder(
    selection: Selection, *, method: Tau2Method = "REML", test: TestName = "knha", level: float = 0.95
) -> GroupedSynthesis:
    """Pool a selection overall and within each disorder, τ² separate for each."""
    groups: dict[Disorder, list[Effect]] = {}
    for effect in selection.effects:
        groups.setdefault(effect.disorder, []).append(effect)
    return GroupedSynthesis(
        selection=selection,
        overall=synthesise(selection.effects, method=method, test=test, level=level),
        by_disorder={d: synthesise(e, method=method, test=test, level=level) for d, e in groups.items()},
        between_exact=_between_exact(selection.exact, method),
        between_all=_between_all(selection.effects),
    )


def _between_exact(effects: Sequence[Effect], method: Tau2Method) -> Between | None:
    disorders = [effect.disorder.value for effect in effects]
    if len(set(disorders)) < 2:
        return None
    return subgroups([e.yi for e in effects], [e.vi for e in effects], disorders, method=method).between


def _between_all(effects: tuple[Effect, ...]) -> Between | None:
    disorders = sorted({effect.disorder for effect in effects})
    if len(disorders) < 2 or len(effects) <= len(disorders):
        return None
    indicators = np.array([[float(effect.disorder is disorder) for disorder in disorders] for effect in effects])
    yi, vi, lo, hi = columns(effects)
    try:
        one = partial.maximum(yi, vi, lo=lo, hi=hi)
        each = partial.maximum(yi, vi, lo=lo, hi=hi, X=indicators)
    except FitError:  # a disorder whose reports all point one way has no finite mean: nothing to test
        return None
    lr = max(2 * (each - one), 0.0)
    df = len(disorders) - 1
    return Between(lr, df, float(chdtrc(df, lr)))


def regress(
    effects: Sequence[Effect],
    moderators: DataFrame,
    formula: str,
    *,
    method: Tau2Method = "REML",
    test: TestName = "knha",
    level: float = 0.95,
) -> Pooled:
    """Fit a meta-regression of the exact effects.

    Parameters
    ----------
    effects
        Exact effects, one per row of ``moderators``.
    moderators
        Table of trial facts, same order.
    formula
        Right-hand side, for example ``"dose_mg + disorder"``. Trials that lack a moderator are left out; the
        labels of the answer say which were used.
    """
    matrix = design(formula, moderators, missing="drop")
    kept = [effects[row] for row in matrix.rows]
    return univariate.fit(
        [e.yi for e in kept],
        [e.vi for e in kept],
        X=matrix.X,
        names=matrix.names,
        slab=[e.label for e in kept],
        method=method,
        test=test,
        level=level,
    )


def _compare(effects: tuple[Effect, ...], level: float) -> Comparison:
    yi, vi, lo, hi = columns(effects)
    return partial.compare(yi, vi, lo=lo, hi=hi, slab=[e.label for e in effects], level=level)


def columns(effects: Sequence[Effect]) -> tuple[Array, Array, Array, Array]:
    """Return estimates, variances and ends, as ``partial.fit`` takes them; NaN where there is none."""
    yi = np.array([np.nan if e.yi is None else e.yi for e in effects])
    known = np.isfinite(yi)
    lo = np.where(known, np.nan, [e.lower for e in effects])
    hi = np.where(known, np.nan, [e.upper for e in effects])
    return yi, np.array([e.vi for e in effects]), lo, hi
