"""Several drug arms against one placebo arm: one effect per trial, the shared arm accounted for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from dualtrace.effects import continuous
from dualtrace.effects.effect import Metric

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.effects.effect import Effect


def combine_shared_reference(effects: Sequence[Effect]) -> Effect:
    """Return the generalised-least-squares mean of exact effects that share their reference arm.

    θ̂ = (1ᵀV⁻¹y)/(1ᵀV⁻¹1), variance 1/(1ᵀV⁻¹1); off-diagonal entries of V from the shared arm
    (Gleser & Olkin 2009).

    Raises
    ------
    ValueError
        When the effects are not exact, or differ in trial, metric, estimand or reference arm.
    """
    first = effects[0]
    keys = {(e.trial, e.metric, e.estimand, e.reference, e.is_exact) for e in effects}
    if len(keys) != 1 or not first.is_exact:
        raise ValueError(
            f"effects that share a reference arm must be exact and alike; given {[e.name for e in effects]}"
        )
    y = np.array([e.yi for e in effects], dtype=float)
    weights = np.linalg.solve(covariance(effects), np.ones(len(effects)))
    vi = float(1 / weights.sum())
    yi = float(weights @ y * vi)
    arms = tuple(arm for e in effects for arm in e.treatment)
    parts = "; ".join(f"{', '.join(e.treatment)}: {e.yi:.3f} (v {e.vi:.4f})" for e in effects)
    step = f"{len(effects)} drug arms share the placebo arm ({parts}): GLS mean {yi:.3f}, v {vi:.4f}"
    return replace(
        first,
        yi=yi,
        vi=vi,
        treatment=arms,
        n_treatment=sum(e.n_treatment for e in effects),
        p=None,
        steps=(*first.steps, step),
        assumptions=tuple(dict.fromkeys(text for e in effects for text in e.assumptions)),
    )


def covariance(effects: Sequence[Effect]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return V of effects that share one reference arm, shape (m, m).

    For SMDs the covariance at the trial's sizes is turned into a correlation and applied to the variances given,
    so that errors taken from a printed interval are kept. For ratios the covariance is the reference arm's part,
    taken as the same share of the variance as its share of 1/n.
    """
    m = len(effects)
    v = np.diag([e.vi for e in effects])
    for i in range(m):
        for j in range(i + 1, m):
            rho = _correlation(effects[i], effects[j])
            v[i, j] = v[j, i] = rho * np.sqrt(effects[i].vi * effects[j].vi)
    return v


def _correlation(one: Effect, two: Effect) -> float:
    n0 = one.n_reference
    null = [float(continuous.inverse_sizes(e.n_treatment, n0)) for e in (one, two)]
    if one.metric is not Metric.SMD:
        return float(1 / n0 / np.sqrt(null[0] * null[1]))
    g = [e.yi or 0.0 for e in (one, two)]
    total = one.n_treatment + two.n_treatment + n0
    variances = [float(continuous.smd_variance(g[i], e.n_treatment, n0)) for i, e in enumerate((one, two))]
    return float(continuous.smd_covariance(g[0], g[1], n0, total) / np.sqrt(variances[0] * variances[1]))
