"""No analysis of a random data set ends in an error or in a number that is none.

k from 2 to 200, variances over six orders of magnitude, heterogeneity from none to far beyond the variances, heavy
tails, some identical effects, with and without a moderator.
"""

from typing import get_args

import numpy as np
import pytest

from dualtrace.pooling.contract import HOMOGENEOUS, Tau2Method, TestName
from dualtrace.pooling.likelihood import Array, data, slope
from dualtrace.pooling.location_scale import fit_location_scale
from dualtrace.pooling.robustness.influence import influence
from dualtrace.pooling.tau2_interval import tau2_interval
from dualtrace.pooling.univariate import fit

METHODS: tuple[Tau2Method, ...] = get_args(Tau2Method)
TESTS: tuple[TestName, ...] = get_args(TestName)


def draw(rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Effects, variances and design of one data set."""
    k = int(rng.integers(2, 8)) if rng.random() < 0.4 else int(rng.integers(2, 201))
    v = 10.0 ** rng.uniform(-3.0, 3.0, k)
    tau = 10.0 ** rng.uniform(-3.0, 3.0) * (rng.random() < 0.8)
    y = rng.normal(size=k) * np.sqrt(v) * rng.choice([0.1, 1.0, 3.0]) + tau * rng.standard_t(2.0, k)
    if rng.random() < 0.02:
        y = np.full(k, 0.4)
    X = np.column_stack([np.ones(k), rng.normal(size=k)])
    return y, v, X if k >= 4 and rng.random() < 0.5 else X[:, :1]


def analyse(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for i in range(count):
        y, v, X = draw(rng)
        method = METHODS[i % len(METHODS)]
        weights = v**-0.5 if method in {"GENQ", "GENQM"} else None
        found = fit(y, v, X=X, method=method, test=TESTS[i // 7 % 4], weights=weights)
        numbers = [*found.beta, *found.se, *found.ci_lb, *found.pval, found.tau2, found.QE, found.I2, found.ll]
        assert np.isfinite(numbers).all(), (i, method)
        if method not in HOMOGENEOUS:
            assert 0.0 <= found.tau2_ci_lb <= found.tau2_ci_ub < np.inf
        if i % 10 == 0:
            extras(y, v, X)


def extras(y: Array, v: Array, X: Array) -> None:
    """Intervals of three kinds, deletion diagnostics and a location-scale model."""
    k, p = X.shape
    sets = data(y, v, np.linalg.qr(X)[0])
    for method in ("REML", "ML"):
        profile = tau2_interval(y, v, X=X, method=method, kind="PL")
        assert 0.0 <= profile.ci_lb <= profile.tau2 <= profile.ci_ub < np.inf
        restricted = method == "REML"
        heights = [slope(sets, np.array([t]), restricted=restricted).value[0] for t in (profile.tau2, profile.ci_ub)]
        assert heights[0] - heights[1] == pytest.approx(0.5 * 3.841458820694124, rel=1e-6)
    exact = tau2_interval(y, v, X=X, method="DL", kind="GENQ")
    assert 0.0 <= exact.ci_lb <= exact.ci_ub < np.inf
    if 2 <= p < k - 1 and k <= 60:
        assert np.isfinite(influence(y, v, X=X).tau2_del).any()
    if k >= 2 * p + 4:
        z = np.column_stack([np.ones(k), np.linspace(-1.0, 1.0, k)])
        scale = fit_location_scale(y, v, z, X=X)
        assert np.isfinite([scale.ll, *scale.beta]).all()
        assert scale.ll >= fit(y, v, X=X).ll - 1e-8


def test_law_five_hundred_random_data_sets_are_analysed() -> None:
    analyse(500, seed=41)


@pytest.mark.slow
def test_law_ten_thousand_random_data_sets_are_analysed() -> None:
    analyse(10_000, seed=42)
