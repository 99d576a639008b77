"""Sampling against exact answers: NUTS agrees with the quadrature within four Monte Carlo standard errors.

Skipped only where NumPyro is not installed (the extra ``bayes``).
"""

from typing import Any

import numpy as np
import pytest

from dualtrace.pooling.bayesian import MeanPrior, fit, half_cauchy, half_normal
from dualtrace.pooling.bayesian.nuts import sample

pytest.importorskip("numpyro", reason="the extra bayes is not installed")

SCHOOLS: dict[str, Any] = {
    "yi": [28.39, 7.94, -2.75, 6.82, -0.64, 0.63, 18.01, 12.16],
    "vi": np.array([14.9, 10.2, 16.3, 11.0, 9.4, 11.4, 10.4, 17.6]) ** 2,
    "tau_prior": half_cauchy(25.0),
    "mean_prior": MeanPrior(0.0, 50.0),
}
MIXED: dict[str, Any] = {
    "yi": [0.4, 0.1, 0.6, None, None, None],
    "vi": [0.04, 0.09, 0.2, 0.05, 0.06, 0.3],
    "lo": [None, None, None, -0.44, 0.0, -1.0],
    "hi": [None, None, None, 0.44, np.inf, 0.2],
    "tau_prior": half_normal(0.5),
    "mean_prior": MeanPrior(0.0, 1.0),
}


@pytest.mark.parametrize("data", [SCHOOLS, MIXED], ids=["eight schools", "interval rows"])
def test_reference_sampling_equals_quadrature(data: dict[str, Any]) -> None:
    sampled, exact = sample(**data, chains=2, warmup=500, draws=1500, seed=3), fit(**data)
    parts = (exact.mu_summary, exact.tau_summary, exact.theta_summary)
    assert sampled.names == ("intercept", "tau", "theta")
    for j, part in enumerate(parts):
        assert abs(sampled.mean[j] - part.mean) < 4.0 * sampled.mcse[j]
        # the error of a standard deviation and of a central quantile is of the order of the mean's
        assert abs(sampled.sd[j] - part.sd) < 6.0 * sampled.mcse[j]
        assert abs(sampled.median[j] - part.median) < 6.0 * sampled.mcse[j]
        assert abs(sampled.ci_ub[j] - part.ci_ub) < 0.15 * part.sd
    assert (sampled.rhat < 1.01).all()


def test_reference_sampling_recovers_every_level_of_the_general_model() -> None:
    """Simulated: 4 groups, 16 clusters of 2 rows, a moderator, one wild row, intervals; t effects."""
    rng = np.random.default_rng(12)
    k, slope, mean = 32, 0.5, 0.3
    cluster = np.repeat(np.arange(16), 2)
    group = np.repeat(np.arange(4), 8)
    x = rng.normal(size=k)
    v = rng.uniform(0.005, 0.02, k)
    truth = mean + slope * x + np.array([0.2, -0.2, 0.1, -0.1])[group] + 0.2 * rng.normal(size=16)[cluster]
    y = rng.normal(truth, np.sqrt(v + 0.05**2))
    y[7] += 3.0  # a row that a normal model would follow
    lo, hi, known = np.full(k, np.nan), np.full(k, np.nan), y.copy()
    hidden = np.arange(3, k, 6)
    lo[hidden], hi[hidden], known[hidden] = np.floor(y[hidden]), np.floor(y[hidden]) + 1.0, np.nan
    found = sample(
        known,
        v,
        lo=lo,
        hi=hi,
        X=np.column_stack([np.ones(k), x]),
        names=["intercept", "dose"],
        groups=[f"g{g}" for g in group],
        clusters=cluster.tolist(),
        t_df=4.0,
        chains=2,
        warmup=400,
        draws=900,
        target_accept=0.9,
        seed=5,
    )
    assert found.names == ("intercept", "dose", "tau", "omega", "sigma")
    within = np.abs(found.mean - [mean, slope, 0.05, 0.2, 0.2]) < 3.0 * found.sd
    assert within.all()
    assert found.sd[1] < 0.1
    assert "effects of rows t with 4 degrees of freedom" in str(found)
