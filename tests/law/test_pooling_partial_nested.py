"""Laws of the partial-information model with clusters: its limits, and an independent integral."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from dualtrace.errors import FitError
from dualtrace.pooling import multilevel, partial
from dualtrace.pooling.nested_likelihood import Nested, log_likelihood
from dualtrace.pooling.partial import checked_rows
from dualtrace.pooling.partial_nested import fit

CLUSTER = ("a", "a", "b", "b", "b", "c", "d", "d", "e", "f")
YI = np.array([0.9, 0.6, -0.1, 0.1, -0.3, 0.5, 0.2, 0.45, 0.8, -0.2])
VI = np.array([0.05, 0.08, 0.04, 0.06, 0.07, 0.10, 0.05, 0.05, 0.09, 0.06])
DOSE = np.array([50, 50, 250, 250, 250, 50, 500, 500, 50, 250.0])
LO = np.full(10, np.nan)
HI = np.full(10, np.nan)
LO[[3, 7, 9]], HI[[3, 7, 9]] = (-0.5, 0.0, -0.6), (0.5, np.inf, 0.6)
MIXED = np.where(np.isnan(LO), YI, np.nan)


def test_law_exact_rows_give_the_multilevel_maximum_likelihood_fit() -> None:
    X = np.column_stack([np.ones(10), DOSE])
    ours = fit(YI, VI, CLUSTER, X=X, names=("intercept", "dose"))
    rows = tuple(range(10))
    other = multilevel.fit(YI, VI, X=X, random=multilevel.nested("trial/row", CLUSTER, rows), method="ML")
    assert ours.beta == pytest.approx(other.beta, rel=1e-6)
    assert ours.ll == pytest.approx(other.ll, abs=1e-9)
    assert (ours.omega2, ours.tau2) == pytest.approx([c.value for c in other.components], abs=1e-7)


def test_law_without_variance_between_clusters_the_likelihood_is_that_of_independent_rows() -> None:
    rows = checked_rows(MIXED, VI, lo=LO, hi=HI, X=None, names=None, slab=None)
    given = Nested(rows, np.unique(CLUSTER, return_inverse=True)[1], 6)
    best = partial.fit(MIXED, VI, lo=LO, hi=HI)
    value, _ = log_likelihood(given, np.array([best.beta[0], np.sqrt(best.tau2), 0.0]))
    assert value == pytest.approx(best.ll, abs=1e-10)


def test_reference_the_likelihood_is_the_integral_by_an_adaptive_rule() -> None:
    rows = checked_rows(MIXED, VI, lo=LO, hi=HI, X=None, names=None, slab=None)
    code = np.unique(CLUSTER, return_inverse=True)[1]
    beta, tau, omega = 0.3, 0.2, 0.4
    sd = np.sqrt(VI + tau**2)

    def joint(u: float, j: int) -> float:
        density = stats.norm.pdf(u, scale=omega)
        for i in np.flatnonzero(code == j):
            mean = beta + u
            density *= (
                stats.norm.pdf(MIXED[i], mean, sd[i])
                if np.isnan(LO[i])
                else stats.norm.cdf((HI[i] - mean) / sd[i]) - stats.norm.cdf((LO[i] - mean) / sd[i])
            )
        return float(density)

    by_hand = sum(
        np.log(integrate.quad(joint, -5.0, 5.0, args=(j,), epsabs=1e-13, epsrel=1e-11, limit=200)[0])
        for j in range(6)
    )
    value, _ = log_likelihood(Nested(rows, code, 6), np.array([beta, tau, omega]))
    assert value == pytest.approx(by_hand, abs=1e-8)


def test_law_the_gradient_is_that_of_finite_differences() -> None:
    rows = checked_rows(MIXED, VI, lo=LO, hi=HI, X=None, names=None, slab=None)
    given = Nested(rows, np.unique(CLUSTER, return_inverse=True)[1], 6)
    x = np.array([0.3, 0.25, 0.35])
    _, gradient = log_likelihood(given, x)
    step = 1e-5
    differences = [
        (log_likelihood(given, x + step * e)[0] - log_likelihood(given, x - step * e)[0]) / (2 * step)
        for e in np.eye(3)
    ]
    assert gradient == pytest.approx(differences, abs=1e-7)


def test_law_order_of_rows_and_sign_of_effects_do_not_matter() -> None:
    found = fit(MIXED, VI, CLUSTER, lo=LO, hi=HI)
    turned = slice(None, None, -1)
    other = fit(-MIXED[turned], VI[turned], CLUSTER[turned], lo=-HI[turned], hi=-LO[turned])
    assert other.ll == pytest.approx(found.ll, abs=1e-9)
    assert other.beta == pytest.approx(-found.beta, abs=1e-6)
    assert other.ci_lb == pytest.approx(-found.ci_ub, abs=1e-5)
    assert other.ci_ub == pytest.approx(-found.ci_lb, abs=1e-5)


def test_law_profile_ends_lie_where_the_likelihood_has_fallen_by_half_the_quantile() -> None:
    found = fit(MIXED, VI, CLUSTER, lo=LO, hi=HI)
    assert found.ci_lb[0] < found.beta[0] < found.ci_ub[0]
    shifted = fit(MIXED - found.ci_ub[0], VI, CLUSTER, lo=LO - found.ci_ub[0], hi=HI - found.ci_ub[0])
    assert shifted.pval[0] == pytest.approx(0.05, abs=1e-5)
    assert found.omega2_ci_lb <= found.omega2 <= found.omega2_ci_ub


def test_recovery_of_the_mean_when_small_effects_are_hidden_behind_words() -> None:
    rng = np.random.default_rng(11)
    cluster = np.repeat(np.arange(60), 3)
    v = rng.uniform(0.03, 0.12, cluster.size)
    y = 0.3 + rng.normal(0, 0.25, 60)[cluster] + rng.normal(0, np.sqrt(v + 0.02))
    hidden = np.abs(y) < 1.96 * np.sqrt(v)
    bound = np.where(hidden, 1.96 * np.sqrt(v), np.nan)
    found = fit(np.where(hidden, np.nan, y), v, cluster.tolist(), lo=-bound, hi=bound)
    assert found.beta[0] == pytest.approx(0.3, abs=2.5 * found.se[0])
    assert np.sqrt(found.omega2) == pytest.approx(0.25, abs=0.1)
    numbers_only = np.average(y[~hidden], weights=1 / v[~hidden])
    assert numbers_only > found.ci_ub[0]


@pytest.mark.parametrize(
    ("cluster", "sentence"),
    [(tuple(range(10)), "Every row is a cluster of its own"), (("a",) * 10, "at least two clusters")],
)
def test_clusters_that_cannot_be_told_apart_are_refused(cluster: tuple[object, ...], sentence: str) -> None:
    with pytest.raises(FitError, match=sentence):
        fit(YI, VI, cluster)
