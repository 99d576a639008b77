"""Laws of contrasts, multiplicity, model comparison and location-scale models."""

import json

import numpy as np
import pytest
from scipy import special, stats

from dualtrace.errors import FitError, InputError
from dualtrace.pooling import scale_likelihood as core
from dualtrace.pooling.hypotheses import Adjustment, adjusted, compare, contrasts, joint_tests
from dualtrace.pooling.likelihood import Array
from dualtrace.pooling.location_scale import fit_location_scale
from dualtrace.pooling.maximum_t import MaximumT
from dualtrace.pooling.univariate import fit


def rows(seed: int, k: int) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    v = rng.uniform(0.02, 0.2, k)
    X = np.column_stack([np.ones(k), rng.normal(size=(k, 2))])
    return rng.normal(0.3, np.sqrt(v + 0.1)), v, X


def test_law_a_contrast_of_one_coefficient_is_its_test() -> None:
    y, v, X = rows(1, 20)
    found = fit(y, v, X=X, test="knha")
    single = contrasts(found, np.eye(3))
    assert single.pval == pytest.approx(found.pval)
    assert single.ci_ub == pytest.approx(found.ci_ub)
    assert single.names == ("x1", "x2", "x3")
    group = joint_tests(found, {"moderators": ["x2", "x3"], "one": [1]})
    assert [group[0].QM, group[0].p, group[0].df] == pytest.approx([found.QM, found.QMp, 2])
    assert pytest.approx(found.zval[1] ** 2) == group[1].QM
    assert "moderators: F(2, 17)" in str(group[0])
    json.dumps(single.to_dict(), allow_nan=False)


def test_law_dependent_contrasts_do_not_spoil_the_joint_test() -> None:
    y, v, X = rows(2, 20)
    found = fit(y, v, X=X)
    pairs = [[1, -1, 0], [1, 0, -1], [0, 1, -1]]
    three, two = contrasts(found, pairs), contrasts(found, pairs[:2])
    assert three.joint.df == 2
    assert pytest.approx(two.joint.QM) == three.joint.QM


@pytest.mark.parametrize("df", [8.0, 30.0, np.inf])
def test_law_one_step_for_all_pairs_is_tukey(df: float) -> None:
    """Three equal means: the largest of three t statistics is the studentised range over √2."""
    pairs = np.array([[1, -1, 0], [1, 0, -1], [0, 1, -1]], dtype=float)
    law = MaximumT.of(pairs @ pairs.T / 2.0, df, key=0)
    t = np.array([1.0, 2.0, 3.5])
    expected = stats.studentized_range.sf(t * np.sqrt(2.0), 3, 1e8 if np.isinf(df) else df)
    assert law.upper(t) == pytest.approx(expected, abs=1e-7)
    assert law.upper(np.array([law.quantile(0.95)]))[0] == pytest.approx(0.05, abs=1e-9)


def test_law_one_step_of_independent_contrasts_is_a_power() -> None:
    """Known in closed form for the normal law; checks the points on the sphere of five dimensions."""
    law = MaximumT.of(np.eye(5), np.inf, key=1)
    t = np.array([1.5, 2.5, 3.5])
    assert law.upper(t) == pytest.approx(1.0 - (1.0 - 2.0 * special.ndtr(-t)) ** 5, abs=5e-4)


@pytest.mark.parametrize("adjust", ["bonferroni", "holm", "single-step"])
def test_law_adjustment_raises_p_and_orders_as_it_must(adjust: Adjustment) -> None:
    y, v, X = rows(3, 25)
    found = fit(y, v, X=X)
    L = np.vstack([np.eye(3), [[0, 1, -1]]])
    plain, mine, bonferroni = (contrasts(found, L, adjust=a) for a in ("none", adjust, "bonferroni"))
    assert np.all(mine.pval_adjusted >= plain.pval)
    assert np.all(mine.pval_adjusted <= bonferroni.pval_adjusted + 1e-3)
    assert np.all(np.diff(mine.pval_adjusted[np.argsort(plain.pval)]) >= -1e-12)
    if adjust == "single-step":
        assert np.all(mine.ci_ub - mine.ci_lb > plain.ci_ub - plain.ci_lb)


def test_law_holm_by_hand() -> None:
    assert adjusted(np.array([0.04, 0.01, 0.03]), "holm") == pytest.approx([0.06, 0.03, 0.06])


def test_law_nested_models_compare_and_others_are_refused() -> None:
    y, v, X = rows(4, 30)
    full, reduced = (fit(y, v, X=X[:, :p], method="ML") for p in (3, 1))
    found = compare(full, reduced)
    assert found.df == 2
    assert pytest.approx(2 * (full.ll - reduced.ll)) == found.LRT
    assert found.p == pytest.approx(np.exp(-0.5 * found.LRT))
    assert pytest.approx((6.0 + 2.0 - 2 * full.ll, 4.0 - 2 * reduced.ll)) == found.AIC
    against_none = compare(full, fit(y, v, X=X[:, :1], method="EE"))
    assert against_none.df == 3
    assert "Likelihood-ratio test" in str(found)
    with pytest.raises(InputError, match="needs fits by ML; given REML and REML"):
        compare(fit(y, v, X=X), fit(y, v, X=X[:, :1], names=["x1"]))
    with pytest.raises(InputError, match="must hold the reduced one and more"):
        compare(reduced, full)
    with pytest.raises(InputError, match="only on the same rows"):
        compare(full, fit(y[1:], v[1:], method="ML"))


@pytest.mark.parametrize(
    ("L", "message"),
    [([[1.0, 2.0]], "one finite number for each of x1, x2, x3"), ([[0.0, 0.0, 0.0]], "not all 0")],
)
def test_law_contrasts_that_do_not_fit_are_refused(L: list[list[float]], message: str) -> None:
    y, v, X = rows(5, 10)
    with pytest.raises(InputError, match=message):
        contrasts(fit(y, v, X=X), L)
    with pytest.raises(InputError, match="no coefficient 'dose'; there are x1, x2, x3"):
        joint_tests(fit(y, v, X=X), {"a": ["dose"]})


@pytest.mark.parametrize("restricted", [True, False])
def test_law_derivatives_of_the_scale_likelihood_equal_differences(restricted: bool) -> None:
    y, v, X = rows(6, 18)
    Z = np.column_stack([np.ones(18), np.linspace(-1, 1, 18)])
    given = core.Problem(y, v, np.linalg.qr(X)[0], Z, restricted)
    gamma, h = np.array([-2.0, 0.7]), 1e-5
    here = core.evaluate(given, gamma)
    for j, unit in enumerate(np.eye(2)):
        up, down = core.evaluate(given, gamma + h * unit), core.evaluate(given, gamma - h * unit)
        assert here.gradient[j] == pytest.approx((up.ll - down.ll) / (2 * h), rel=1e-6, abs=1e-8)
        assert here.hessian[j] == pytest.approx((up.gradient - down.gradient) / (2 * h), rel=1e-6, abs=1e-8)


def test_law_two_scale_groups_with_their_own_means_are_two_fits() -> None:
    y, v, _ = rows(7, 30)
    second = np.arange(30) >= 15
    y[second] *= 3.0
    groups = np.column_stack([~second, second]).astype(float)
    found = fit_location_scale(y, v, groups, X=groups, method="ML", scale_names=["first", "second"])
    for g, mine in enumerate((~second, second)):
        alone = fit(y[mine], v[mine], method="ML")
        assert found.tau2[mine] == pytest.approx(np.full(15, alone.tau2), rel=1e-6)
        assert [found.beta[g], found.se[g]] == pytest.approx([alone.beta[0], alone.se[0]], rel=1e-7)
        assert found.se_alpha[g] > 0.0
    assert "log tau²" in str(found)
    json.dumps(found.to_dict(), allow_nan=False)


def test_law_a_group_without_heterogeneity_is_said_so() -> None:
    y, v, _ = rows(8, 20)
    y[:10] = 0.3 + 0.01 * np.sqrt(v[:10])
    first = (np.arange(20) < 10).astype(float)
    found = fit_location_scale(y, v, np.column_stack([np.ones(20), first]))
    assert found.tau2[0] < 1e-6 * v.min()
    assert np.isnan(found.se_alpha).all()
    assert any("no finite estimate" in note for note in found.notes)


def test_law_scale_models_with_too_few_rows_are_refused() -> None:
    with pytest.raises(FitError, match="k = 3 rows cannot determine p = 1 coefficients of the mean and q = 2"):
        fit_location_scale([0.1, 0.2, 0.3], [1.0, 1.0, 1.0], [[1, 0], [1, 1], [1, 2]])
