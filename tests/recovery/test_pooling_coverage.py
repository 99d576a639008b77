"""Simulated truth comes back through the classical fits, with the error rates they promise.

4,000 meta-analyses each of 10 trials with unequal variances; tolerances are three Monte Carlo standard errors.
"""

import numpy as np
import pytest

from dualtrace.pooling.inference import Answer, answer
from dualtrace.pooling.likelihood import Array, data

MEAN, TAU2, SETS, K = 0.3, 0.1, 4000, 10


def pooled(method: str, test: str) -> Answer:
    rng = np.random.default_rng(31)
    v = np.broadcast_to(2.0 / np.linspace(10.0, 80.0, K), (SETS, K))
    y = rng.normal(MEAN, np.sqrt(v + TAU2))
    basis = np.full((K, 1), 1.0 / np.sqrt(K))
    return answer(data(y, v, basis), basis[:1], method=method, test=test, level=0.95)  # type: ignore[arg-type]


def monte_carlo_error(values: Array) -> float:
    return float(values.std(ddof=1) / np.sqrt(values.size))


@pytest.mark.parametrize("method", ["REML", "ML", "DL", "PM"])
def test_recovery_of_the_mean(method: str) -> None:
    estimates = pooled(method, "z").coefficients.beta[:, 0]
    assert abs(estimates.mean() - MEAN) < 3.0 * monte_carlo_error(estimates)


@pytest.mark.parametrize("method", ["REML", "DL", "PM"])
def test_recovery_of_tau2_within_five_percent(method: str) -> None:
    """Truncation at 0 lifts the average a little, so the estimators are unbiased only nearly."""
    tau2 = pooled(method, "z").heterogeneity.tau2
    assert abs(tau2.mean() - TAU2) < 0.05 * TAU2 + 3.0 * monte_carlo_error(tau2)


def test_recovery_ml_is_low_in_tau2() -> None:
    assert pooled("ML", "z").heterogeneity.tau2.mean() < 0.95 * TAU2


def test_recovery_q_profile_covers_exactly() -> None:
    h = pooled("REML", "z").heterogeneity
    covered = ((h.ci_lb <= TAU2) & (h.ci_ub >= TAU2)).mean()
    assert abs(covered - 0.95) < 3.0 * np.sqrt(0.95 * 0.05 / SETS)


def test_recovery_knapp_hartung_covers_where_wald_is_too_narrow() -> None:
    error = 3.0 * np.sqrt(0.95 * 0.05 / SETS)
    coverage = {}
    for test in ("z", "knha"):
        c = pooled("REML", test).coefficients
        coverage[test] = ((c.ci_lb[:, 0] <= MEAN) & (c.ci_ub[:, 0] >= MEAN)).mean()
    assert abs(coverage["knha"] - 0.95) < error
    assert coverage["z"] < 0.95 - error
