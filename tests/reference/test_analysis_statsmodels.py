"""Agreement with statsmodels, computed side by side: OLS, HC3, mixed models with a random intercept, proportions.

Closed forms agree to 1e-9. statsmodels' mixed models stop early: estimates agree to 1e-5 of a standard error and our
likelihood is the higher one.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from dualtrace.analysis import ancova, mmrm, moderation, proportions, session_moderation

api = import_module("statsmodels.api")
share = import_module("statsmodels.stats.proportion")


def patients(seed: int, n: int = 70) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    arm, baseline, age = np.arange(n) % 2, rng.normal(60.0, 12.0, n), rng.uniform(18.0, 65.0, n)
    post = 0.6 * baseline - 4.0 * arm + 0.2 * arm * (baseline - 60.0) + rng.normal(0.0, 6.0 + 4.0 * arm)
    post[rng.random(n) < 0.1] = np.nan
    return post, arm, baseline, age


@pytest.mark.parametrize("kind", ["none", "HC3"])
def test_reference_ancova_equals_ols(kind: Any) -> None:
    post, arm, baseline, age = patients(1)
    there = ~np.isnan(post)
    X = np.column_stack([np.ones(arm.size), arm, baseline, age])[there]
    theirs = api.OLS(post[there], X).fit(cov_type="nonrobust" if kind == "none" else kind, use_t=True)
    mine = ancova(post, baseline, arm, age, heteroscedastic=kind)
    assert mine.estimate[0] == pytest.approx(theirs.params[1], rel=1e-9)
    assert mine.se[0] == pytest.approx(theirs.bse[1], rel=1e-9)
    assert mine.p[0] == pytest.approx(theirs.pvalues[1], rel=1e-8)
    assert (mine.ci_lb[0], mine.ci_ub[0]) == pytest.approx(theirs.conf_int()[1], rel=1e-9)
    assert mine.slopes == pytest.approx(theirs.params[2:], rel=1e-9)
    at = np.array([[1.0, a, X[:, 2].mean(), X[:, 3].mean()] for a in (0.0, 1.0)])
    adjusted = theirs.get_prediction(at)
    assert mine.adjusted == pytest.approx(adjusted.predicted_mean, rel=1e-9)
    assert mine.adjusted_se == pytest.approx(adjusted.se_mean, rel=1e-9)


def test_reference_moderation_equals_ols() -> None:
    post, arm, baseline, age = patients(2)
    there = ~np.isnan(post)
    X = np.column_stack([np.ones(arm.size), arm, baseline, arm * baseline, age])[there]
    theirs = api.OLS(post[there], X).fit()
    mine = moderation(post, arm, baseline, age, centre=0.0)
    assert mine.estimate[1:] == pytest.approx(theirs.params[1:], rel=1e-8)
    assert mine.se[1:] == pytest.approx(theirs.bse[1:], rel=1e-8)
    rows = np.array([[0.0, 1.0, 0.0, m, 0.0] for m in (40.0, 60.0, 80.0)])
    tests = theirs.t_test(rows)
    simple = moderation(post, arm, baseline, age).effect_at([40.0, 60.0, 80.0])
    assert simple.estimate == pytest.approx(tests.effect, rel=1e-8)
    assert simple.se == pytest.approx(np.sqrt(np.diag(rows @ theirs.cov_params() @ rows.T)), rel=1e-8)
    assert simple.p == pytest.approx(tests.pvalue, rel=1e-7)


def random_intercept(y: Any, X: Any, group: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return api.MixedLM(y, X, group).fit(reml=True, method=["bfgs", "powell"], gtol=1e-10)


def test_reference_sessions_equal_mixedlm() -> None:
    rng = np.random.default_rng(3)
    patient = np.repeat(np.arange(40), rng.integers(2, 6, 40))
    drug, end = patient % 2, rng.uniform(5.0, 85.0, patient.size)
    y = 20.0 - 8.0 * drug + 0.4 * end + 0.2 * drug * end + rng.normal(0.0, 7.0, 40)[patient]
    y = y + rng.normal(0.0, 8.0, y.size)
    mine = session_moderation(y, drug, end, patient)
    c = end - mine.centre
    X = np.column_stack([np.ones(y.size), drug, c, drug * c])
    theirs = random_intercept(y, X, patient)
    assert np.abs(mine.estimate - theirs.params[:4]).max() < 1e-5 * mine.se.max()
    assert mine.sd_session**2 == pytest.approx(theirs.scale, rel=1e-3)
    assert mine.sd_patient**2 == pytest.approx(float(theirs.cov_re[0, 0]), rel=1e-3)
    # theirs leaves out the part of the likelihood that the design fixes
    constant = 0.5 * np.linalg.slogdet(X.T @ X)[1]
    assert mine.ll == pytest.approx(theirs.llf + constant, abs=1e-3)
    assert mine.ll >= theirs.llf + constant - 1e-9


def test_reference_compound_symmetry_equals_mixedlm() -> None:
    rng = np.random.default_rng(4)
    n, m = 50, 3
    arm, baseline = np.arange(n) % 2, rng.normal(60.0, 12.0, n)
    y = 0.5 * baseline[:, None] - arm[:, None] * np.arange(1.0, m + 1.0) + rng.normal(0.0, 6.0, (n, 1))
    y = y + rng.normal(0.0, 5.0, (n, m))
    y[rng.random((n, m)) < 0.15] = np.nan
    mine = mmrm(y, baseline, arm, covariance="compound")
    there = ~np.isnan(y)
    at = np.broadcast_to(np.eye(m), (n, m, m))
    X = np.concatenate([at, at * arm[:, None, None], at * (baseline - 60.0)[:, None, None]], axis=-1)[there]
    theirs = random_intercept(y[there], X, np.repeat(np.arange(n), m).reshape(n, m)[there])
    assert np.abs(mine.estimate[:, 0] - theirs.params[m : 2 * m]).max() < 1e-4 * mine.se.max()
    assert mine.sigma[0, 1] == pytest.approx(float(theirs.cov_re[0, 0]), rel=1e-3)


@pytest.mark.parametrize("counts", [(15, 30, 8, 29), (1, 20, 6, 22), (0, 10, 3, 12), (9, 10, 4, 9), (40, 90, 41, 80)])
def test_reference_intervals_of_proportions_equal_statsmodels(counts: tuple[int, int, int, int]) -> None:
    x1, n1, x0, n0 = counts
    y = np.repeat([1.0, 0.0, 1.0, 0.0], [x1, n1 - x1, x0, n0 - x0])
    mine = proportions(y, np.repeat([1, 0], [n1, n0]))
    wilson = share.proportion_confint(x1, n1, method="wilson")
    assert (mine.ci_lb[1], mine.ci_ub[1]) == pytest.approx(wilson, abs=1e-12)
    newcombe = share.confint_proportions_2indep(x1, n1, x0, n0, compare="diff", method="newcomb")
    assert (mine.difference_ci_lb[0], mine.difference_ci_ub[0]) == pytest.approx(newcombe, abs=1e-12)
    koopman = share.confint_proportions_2indep(x1, n1, x0, n0, compare="ratio", method="score", correction=False)
    assert (mine.ratio_ci_lb[0], mine.ratio_ci_ub[0]) == pytest.approx(koopman, rel=1e-6, abs=1e-9)
    z = share.proportions_ztest([x1, x0], [n1, n0])
    assert (mine.z[0], mine.p[0]) == pytest.approx(z, rel=1e-9)
