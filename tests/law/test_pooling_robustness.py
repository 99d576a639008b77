"""Laws of the robustness analyses: subsets, deletions, permutations, decompositions and quadratic forms."""

import json

import numpy as np
import pytest
from scipy import special

from dualtrace.errors import FitError, InputError
from dualtrace.pooling import quadform
from dualtrace.pooling.likelihood import Array, data
from dualtrace.pooling.moments import form
from dualtrace.pooling.robustness.decomposition import decompose
from dualtrace.pooling.robustness.drapery import drapery
from dualtrace.pooling.robustness.gosh import gosh
from dualtrace.pooling.robustness.influence import baujat, influence
from dualtrace.pooling.robustness.leave_out import cumulative, leave_one_out
from dualtrace.pooling.robustness.permutation import deal, permutation_test
from dualtrace.pooling.tau2_interval import tau2_interval
from dualtrace.pooling.univariate import fit


def rows(seed: int, k: int) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    v = rng.uniform(0.02, 0.2, k)
    x = rng.normal(size=k)
    return rng.normal(0.3, np.sqrt(v + 0.1)) + 0.3 * x, v, np.column_stack([np.ones(k), x])


def test_law_leaving_a_group_out_is_fitting_the_rest() -> None:
    y, v, X = rows(1, 12)
    groups = ["SAD", "OCD", "PTSD"] * 4
    found = leave_one_out(y, v, X=X, groups=groups, test="knha")
    assert found.slab == ("SAD", "OCD", "PTSD")
    assert found.k.tolist() == [8, 8, 8]
    for g, label in enumerate(found.slab):
        kept = np.array([group != label for group in groups])
        alone = fit(y[kept], v[kept], X=X[kept], test="knha")
        assert found.beta[g] == pytest.approx(alone.beta, rel=1e-9)
        assert found.ci_ub[g] == pytest.approx(alone.ci_ub, rel=1e-9)
        assert found.tau2[g] == pytest.approx(alone.tau2, rel=1e-8, abs=1e-11)
    assert "left out" in str(found)
    assert "beta[x2]" in found.to_frame().columns


def test_law_a_cumulative_analysis_ends_at_the_whole() -> None:
    y, v, _ = rows(2, 9)
    order = np.array([2001, 1999, 2003, 2000, 2002, 1998, 2004, 2004, 1997])
    found = cumulative(y, v, order=order.tolist())
    whole = fit(y, v)
    assert found.k.tolist() == list(range(1, 10))
    assert found.slab[0] == "9"
    assert [found.beta[-1, 0], found.tau2[-1]] == pytest.approx([whole.beta[0], whole.tau2])
    assert found.beta[0, 0] == pytest.approx(y[8])
    with pytest.raises(FitError, match="one value per row; given 2 for 9 rows"):
        cumulative(y, v, order=[1, 2])


def test_law_deletion_diagnostics_are_refits() -> None:
    y, v, X = rows(3, 10)
    found = influence(y, v, X=X)
    whole = fit(y, v, X=X)
    for i in range(10):
        kept = np.arange(10) != i
        without = fit(y[kept], v[kept], X=X[kept])
        change = whole.beta - without.beta
        assert found.tau2_del[i] == pytest.approx(without.tau2, rel=1e-8, abs=1e-11)
        assert found.cook_d[i] == pytest.approx(change @ np.linalg.inv(whole.vb) @ change, rel=1e-7)
        assert found.cov_r[i] == pytest.approx(np.linalg.det(without.vb) / np.linalg.det(whole.vb), rel=1e-7)
        spread = v[i] + without.tau2 + X[i] @ without.vb @ X[i]
        assert found.rstudent[i] == pytest.approx((y[i] - X[i] @ without.beta) / np.sqrt(spread), rel=1e-7)
    assert found.hat.sum() == pytest.approx(2.0)
    assert found.weight == pytest.approx(whole.weights)
    json.dumps(found.to_dict(), allow_nan=False)
    assert "rstudent" in str(found)


def test_law_an_outlier_is_flagged_and_sits_far_out_in_the_baujat_plot() -> None:
    y, v, _ = rows(4, 15)
    y[6] += 4.0
    assert influence(y, v).inf[6]
    plot = baujat(y, v, method="FE")
    assert int(np.argmax(plot.heterogeneity)) == 6
    assert plot.heterogeneity.sum() == pytest.approx(fit(y, v, method="FE").QE)
    with pytest.raises(FitError, match="at least two rows; given one"):
        influence([0.1], [1.0])


def test_law_gosh_holds_the_whole_and_every_subset_once() -> None:
    y, v, _ = rows(5, 6)
    cloud = gosh(y, v)
    assert cloud.complete
    assert len(np.unique(cloud.rows @ (1 << np.arange(6)))) == 63
    whole = int(np.flatnonzero(cloud.k == 6)[0])
    expected = fit(y, v)
    assert [cloud.beta[whole, 0], cloud.I2[whole], cloud.QE[whole]] == pytest.approx(
        [expected.beta[0], expected.I2, expected.QE]
    )
    one = cloud.k == 1
    assert np.all((cloud.tau2[one] == 0.0) & (cloud.QE[one] == 0.0) & (cloud.H2[one] == 1.0))
    assert len(cloud.without(0).k) == 31
    assert "63 subsets (all) of 6 rows" in str(cloud)
    sampled = gosh(y, v, subsets=20, key=3)
    assert not sampled.complete
    assert np.array_equal(sampled.rows, gosh(y, v, subsets=20, key=3).rows)
    for i in range(20):
        match = int(np.flatnonzero((cloud.rows == sampled.rows[i]).all(axis=1))[0])
        assert sampled.beta[i] == pytest.approx(cloud.beta[match], rel=1e-9)
    with pytest.raises(InputError, match="subsets must be a positive number; given 0"):
        gosh(y, v, subsets=0)


def test_law_gosh_of_many_rows_draws_by_itself() -> None:
    y, v, X = rows(6, 25)
    cloud = gosh(y, v, X=X, method="DL")
    assert not cloud.complete
    assert len(cloud.k) == 50_000
    assert abs(cloud.k.mean() - 12.5) < 0.1


def test_law_all_deals_are_there_once() -> None:
    dealt = deal(np.array([2, 1, 2]))
    assert len(dealt) == 30
    assert len({tuple(row) for row in dealt.tolist()}) == 30
    assert np.all(np.sort(dealt, axis=1) == [0, 0, 1, 2, 2])


def test_law_permutation_tests_hold_their_size_and_ends_are_where_p_crosses() -> None:
    y, v, _ = rows(7, 8)
    found = permutation_test(y, v, intervals=True)
    assert found.exact
    assert found.iterations == 256
    assert (found.pval[0] * 256) % 2 == 0
    inside, outside = (found.ci_lb[0] + 1e-6, found.ci_lb[0] - 1e-6)
    assert permutation_test(y - inside, v).pval[0] > 0.05
    assert permutation_test(y - outside, v).pval[0] <= 0.05
    few = permutation_test(y[:4], v[:4], intervals=True)
    assert (few.ci_lb[0], few.ci_ub[0]) == (-np.inf, np.inf)  # 2/16 is the smallest p there is
    with pytest.raises(InputError, match="iterations must be at least 2; given 1"):
        permutation_test(y, v, iterations=1)


def test_law_sampled_permutations_come_near_the_exact_test() -> None:
    y, v, X = rows(8, 7)
    exact = permutation_test(y, v, X=X, method="DL", iterations=5040)
    assert exact.exact
    sampled = permutation_test(y, v, X=X, method="DL", iterations=2000, key=1)
    assert not sampled.exact
    assert sampled.pval == pytest.approx(exact.pval, abs=0.05)
    assert pytest.approx(exact.QMp, abs=0.05) == sampled.QMp
    other = permutation_test(y, v, X=X, method="DL", iterations=2000, key=2)
    assert not np.array_equal(sampled.zval_perm, other.zval_perm)


def test_law_q_splits_into_its_parts() -> None:
    y, v, _ = rows(9, 11)
    groups = ["a", "b", "c", "a", "b", "c", "a", "b", "c", "a", "d"]
    found = decompose(y + 3.0, v, groups)
    assert pytest.approx(found.QB + found.QE) == found.QT
    assert pytest.approx(found.row_q.sum()) == found.QE
    assert pytest.approx(fit(y, v, method="EE").QE) == found.QT
    member = np.array(groups) == "b"
    assert found.QW[1] == pytest.approx(fit(y[member], v[member], method="EE").QE)
    assert np.isnan(found.QWp[3])
    assert "between" in str(found)
    means = (np.array(groups)[:, None] == np.array(found.labels)).astype(float)
    anova = fit(y, v, X=means, method="EE")
    assert [found.QE, found.QEp] == pytest.approx([anova.QE, anova.QEp])


def test_law_drapery_curves_cross_the_level_at_the_interval() -> None:
    y, v, _ = rows(10, 8)
    found = drapery(y, v, test="knha", points=20_001)
    inside = found.effect[found.pooled > 0.05]
    step = found.effect[1] - found.effect[0]
    assert [inside[0], inside[-1]] == pytest.approx([found.fit.ci_lb[0], found.fit.ci_ub[0]], abs=step)
    new = found.effect[found.prediction > 0.05]
    assert [new[0], new[-1]] == pytest.approx([found.fit.pi_lb, found.fit.pi_ub], abs=step)
    assert found.rows.max(axis=1) == pytest.approx(np.ones(8), abs=0.01)


def test_law_the_quadratic_form_has_the_law_of_its_eigenvalues() -> None:
    """With weights 1/(v + τ²) the form is chi-squared; otherwise its tail is that of a simulated sum."""
    y, v, X = rows(11, 9)
    for design in (X[:, :1], X):
        sets = data(y, v, np.linalg.qr(design)[0])
        q, t = np.array([4.0]), np.array([0.3])
        chi = quadform.probability(sets, 1.0 / (v + 0.3), t, q)
        assert chi == pytest.approx(special.chdtr(9 - design.shape[1], q), abs=1e-11)
        a = v**-0.5
        root = np.sqrt(v + 0.3)
        inside = np.diag(a) - np.diag(a) @ design @ np.linalg.inv(
            design.T @ (a[:, None] * design)
        ) @ design.T @ np.diag(a)
        values = np.linalg.eigvalsh(root[:, None] * inside * root)
        draws = np.random.default_rng(1).chisquare(1.0, (200_000, 9)) @ values
        level = float(np.median(draws))
        assert quadform.probability(sets, a, t, np.array([level]))[0] == pytest.approx(0.5, abs=0.005)


def test_law_the_median_unbiased_estimate_splits_the_law_in_half() -> None:
    y, v, X = rows(12, 14)
    a = v**-0.5
    found = fit(y, v, X=X, method="GENQM", weights=a)
    sets = data(y, v, np.linalg.qr(X)[0])
    below = quadform.probability(sets, a, np.array([found.tau2]), form(sets, a).value)
    assert found.tau2 > 0.0
    assert below[0] == pytest.approx(0.5, abs=1e-9)
    interval = tau2_interval(y, v, X=X, method="GENQM", weights=a, kind="GENQ")
    assert interval.ci_lb < found.tau2 < interval.ci_ub
    assert "generalised Q" in str(interval)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "GENQ"}, "method GENQ needs weights"),
        ({"method": "DL", "kind": "PL"}, "needs method ML or REML; given DL"),
        ({"kind": "QQ"}, "kind must be one of QP, PL, GENQ; given 'QQ'"),
    ],
)
def test_law_intervals_that_do_not_fit_the_method_are_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        tau2_interval([0.1, 0.4], [0.1, 0.1], **options)  # type: ignore[arg-type]  # wrong values are the point


def test_law_weights_must_be_positive() -> None:
    with pytest.raises(FitError, match="weights must be positive and finite; given -1 in row B"):
        fit([0.1, 0.4], [0.1, 0.1], weights=[1.0, -1.0], slab=["A", "B"])
    with pytest.raises(FitError, match="given lengths: yi 2, weights 3"):
        fit([0.1, 0.4], [0.1, 0.1], weights=[1.0, 1.0, 1.0])
