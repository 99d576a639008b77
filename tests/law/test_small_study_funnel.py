"""Laws of the funnel methods: exact distributions, closed forms, symmetries, error rates without bias, refusals."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from scipy import special

from dualtrace.errors import FitError, InputError
from dualtrace.pooling.likelihood import Array
from dualtrace.pooling.small_study.asymmetry import kendall_exact, pet_peese, rank_test, regression_test
from dualtrace.pooling.small_study.fail_safe import fail_safe_n
from dualtrace.pooling.small_study.funnel import contour_funnel
from dualtrace.pooling.small_study.limit import limit_meta_analysis
from dualtrace.pooling.small_study.p_curve import noncentrality, p_curve, power_at, scores
from dualtrace.pooling.small_study.p_uniform import conditional_log_p, p_uniform, p_uniform_star
from dualtrace.pooling.small_study.significance import excess_significance, poisson_binomial, power
from dualtrace.pooling.small_study.trim_and_fill import trim_and_fill
from dualtrace.pooling.small_study.uniform_sum import irwin_hall, irwin_hall_quantile
from dualtrace.pooling.univariate import fit


def rows(seed: int, k: int = 25, mean: float = 0.3) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    v = rng.uniform(0.01, 0.2, k)
    return rng.normal(mean, np.sqrt(v + 0.03)), v


def allowed(rate: float, sets: int) -> float:
    """Three Monte Carlo standard errors of a rate."""
    return 3.0 * float(np.sqrt(rate * (1.0 - rate) / sets))


def test_law_kendalls_exact_p_is_a_count_of_orders() -> None:
    for k in (3, 4, 5, 6):
        found = []
        for order in itertools.permutations(range(k)):
            pairs = itertools.combinations(order, 2)
            found.append(sum(1 if b > a else -1 for a, b in pairs))
        for score in set(found):
            tails = [np.mean([s <= score for s in found]), np.mean([s >= score for s in found])]
            assert kendall_exact(score, k) == pytest.approx(min(1.0, 2.0 * min(tails)), rel=1e-12)


def test_law_the_rank_test_approximates_its_exact_distribution() -> None:
    y, v = rows(2, k=60)
    exact, normal = rank_test(y, v, exact=True), rank_test(y, v, exact=False)
    assert normal.pval == pytest.approx(exact.pval, abs=0.01)
    assert (exact.exact, normal.exact, exact.tau) == (True, False, normal.tau)


def test_law_the_regression_test_depends_on_precision_only() -> None:
    y, v = rows(3)
    one = regression_test(y, v, model="lm")
    for other, factor in (
        (regression_test(-y, v, model="lm"), -1.0),
        (regression_test(7.0 * y, 49.0 * v, model="lm"), 1.0),
    ):
        assert factor * other.zval == pytest.approx(one.zval, rel=1e-9)
    shifted = regression_test(y + 3.0, v, model="lm")
    assert shifted.zval == pytest.approx(one.zval, rel=1e-8)
    assert shifted.est == pytest.approx(one.est + 3.0, rel=1e-8)
    given = regression_test(y, v, model="lm", predictor=np.sqrt(v).tolist())
    assert given.zval == pytest.approx(one.zval, rel=1e-12)
    assert np.isnan(given.est)


def test_law_eggers_line_is_least_squares_of_the_radial_plot() -> None:
    y, v = rows(4)
    root = np.sqrt(v)
    slope, intercept = np.polyfit(1.0 / root, y / root, 1)
    mine = regression_test(y, v, model="lm")
    assert mine.est == pytest.approx(slope, rel=1e-9)
    assert mine.fit.beta[1] == pytest.approx(intercept, rel=1e-9)
    assert mine.dfs == 23.0


def test_law_pet_and_peese_extrapolate_their_own_curve() -> None:
    v = np.linspace(0.01, 0.3, 12)
    wobble = 1e-6 * np.cos(np.arange(12.0))
    pet, peese = pet_peese(0.2 + 0.9 * np.sqrt(v) + wobble, v), pet_peese(0.2 + 0.9 * v + wobble, v)
    assert pet.pet.est == pytest.approx(0.2, abs=1e-5)
    assert peese.peese.est == pytest.approx(0.2, abs=1e-5)
    assert peese.chosen == "PEESE"
    nothing = pet_peese(*rows(6, mean=0.0))
    assert (nothing.chosen, nothing.est) == ("PET", nothing.pet.est)


def test_law_trim_and_fill_leaves_a_symmetric_funnel_alone() -> None:
    half = np.array([0.1, 0.25, 0.4, 0.7, 1.1])
    y, v = np.concatenate([1.0 - half, 1.0 + half]), np.tile(half**2 / 2.0, 2)
    for estimator in ("L0", "R0", "Q0"):
        mine = trim_and_fill(y, v, estimator=estimator, side="left")
        assert mine.k0 == 0
        assert mine.fit.beta[0] == pytest.approx(fit(y, v).beta[0], rel=1e-12)


def test_law_trim_and_fill_puts_back_what_was_removed() -> None:
    half = np.linspace(0.1, 1.2, 12)
    y, v = np.concatenate([-half, half]), np.tile(half**2, 2)
    kept = y > -0.75
    mine = trim_and_fill(y[kept], v[kept], method="EE", estimator="L0")
    assert mine.side == "left"
    assert mine.k0 == pytest.approx((~kept).sum(), abs=1)
    assert abs(mine.fit.beta[0]) < abs(fit(y[kept], v[kept], method="EE").beta[0])
    mirrored = trim_and_fill(-y[kept], v[kept], method="EE", estimator="L0")
    assert (mirrored.side, mirrored.k0) == ("right", mine.k0)
    assert mirrored.fit.beta[0] == pytest.approx(-mine.fit.beta[0], rel=1e-12)
    bounded = trim_and_fill(y[kept], v[kept], method="EE", limits=(-0.8, 2.0))
    assert bounded.yi.min() == -0.8


def test_law_a_limit_meta_analysis_without_heterogeneity_is_eggers_line() -> None:
    y, v = rows(5)
    mine, line = limit_meta_analysis(y, v, method="EE"), regression_test(y, v, method="EE")
    assert mine.est == pytest.approx(line.est, rel=1e-9)
    assert mine.se == pytest.approx(line.fit.se[0], rel=1e-9)
    assert mine.Q_resid == pytest.approx(line.fit.QE, rel=1e-9)
    assert mine.Q_small + mine.Q_resid == pytest.approx(mine.Q, rel=1e-12)
    assert mine.limit == pytest.approx(np.full(25, mine.beta))


def test_law_limit_effects_shrink_towards_the_mean_by_the_share_of_heterogeneity() -> None:
    y, v = rows(7)
    mine = limit_meta_analysis(y, v)
    assert mine.tau2 > 0.0
    assert mine.limit - mine.beta == pytest.approx(np.sqrt(mine.tau2 / (v + mine.tau2)) * (y - mine.beta), rel=1e-12)
    assert mine.est == pytest.approx(mine.beta + np.sqrt(mine.tau2) * mine.alpha, rel=1e-12)


def test_law_fail_safe_n_is_the_last_number_that_holds() -> None:
    y, v = rows(8)
    n = fail_safe_n(y, v).fsnum
    z = float(np.sum(y / np.sqrt(v)))
    assert z / np.sqrt(25 + n - 1) > special.ndtri(0.95) >= z / np.sqrt(25 + n)
    assert fail_safe_n(-y, v).fsnum == n
    general = fail_safe_n(y, v, kind="General")
    padded = [np.concatenate([y, np.zeros(m)]) for m in (general.fsnum - 1, general.fsnum)]
    tau2, typical = fit(y, v).tau2, 25.0 / np.sum(1.0 / v)
    for values, significant in zip(padded, (True, False), strict=True):
        w = 1.0 / (np.concatenate([v, np.full(values.size - 25, typical)]) + tau2)
        assert (float(w @ values / np.sqrt(w.sum())) > special.ndtri(0.975)) == significant
    assert fail_safe_n(y, v, kind="General", target=0.1).target == 0.1
    assert fail_safe_n(*rows(9, mean=0.0)).fsnum == 0
    assert fail_safe_n(*rows(9, mean=0.0), kind="Fisher").fsnum == 0


def test_law_chances_add_up() -> None:
    chances = np.array([0.1, 0.7, 0.45, 0.9])
    law = poisson_binomial(chances)
    by_hand = np.zeros(5)
    for outcome in itertools.product((0, 1), repeat=4):
        by_hand[sum(outcome)] += math.prod(c if o else 1.0 - c for o, c in zip(outcome, chances, strict=True))
    assert law == pytest.approx(by_hand, rel=1e-12)
    v = np.array([0.04, 0.1])
    assert power(0.0, v, 0.0, (0.05, "two.sided")) == pytest.approx([0.05, 0.05])
    effects = np.random.default_rng(1).normal(0.3, 0.2, 200_000)
    averaged = np.mean([power(e, v, 0.0, (0.05, "greater")) for e in effects[:2000]], axis=0)
    assert power(0.3, v, 0.04, (0.05, "greater")) == pytest.approx(averaged, abs=0.03)


def test_law_the_limit_of_excess_has_the_level_as_p_value() -> None:
    y, v = rows(10, mean=0.4)
    for test in ("exact", "chi2", "binom"):
        mine = excess_significance(y, v, test=test, tes_alpha=0.3)
        there = excess_significance(y, v, test=test, theta=mine.theta_lim)
        assert there.pval == pytest.approx(0.3, abs=1e-8)


@pytest.mark.parametrize("n", [1, 2, 5, 25, 26, 60])
def test_law_the_sum_of_uniform_variables(n: int) -> None:
    assert irwin_hall(n, n / 2.0) == pytest.approx(0.5, abs=1e-10)
    assert irwin_hall(n, 0.3 * n) == pytest.approx(1.0 - irwin_hall(n, 0.7 * n), abs=1e-12)
    assert irwin_hall(n, irwin_hall_quantile(n, 0.2)) == pytest.approx(0.2, abs=1e-9)
    if n == 2:
        assert irwin_hall(2, 0.6) == pytest.approx(0.18)
    if n > 20:
        exact = sum((-1) ** j * math.comb(n, j) * (3 * n - 10 * j) ** n for j in range(3 * n // 10 + 1))
        assert irwin_hall(n, 0.3 * n) == pytest.approx(float(exact / (10**n * math.factorial(n))), abs=1e-12)


def test_law_p_uniform_solves_its_equation() -> None:
    y, v = rows(11, k=60)
    for method in ("P", "LNP"):
        mine = p_uniform(y, v, method=method)
        sig = y >= special.ndtri(0.975) * np.sqrt(v)
        q = np.exp(conditional_log_p(y[sig], v[sig], mine.est, special.ndtri(0.975)))
        assert (q.mean() if method == "P" else -np.log(q).mean()) == pytest.approx(
            0.5 if method == "P" else 1.0, rel=1e-8
        )
        assert mine.ci_lb < mine.est < mine.ci_ub
        mirrored = p_uniform(-y, v, method=method, side="left")
        assert (mirrored.est, mirrored.ci_lb) == pytest.approx((-mine.est, -mine.ci_ub))


def test_law_p_curve_scores_are_uniform_at_the_true_power() -> None:
    rng = np.random.default_rng(12)
    mean = noncentrality(0.6)
    assert power_at(mean, 0.05) == pytest.approx(0.6)
    z = np.abs(rng.normal(mean, 1.0, 40_000))
    found = scores(z[z > special.ndtri(0.975)], mean, 0.05)
    assert found.mean() == pytest.approx(0.0, abs=3.0 / np.sqrt(found.size))
    assert found.std() == pytest.approx(1.0, abs=0.03)
    mine = p_curve(z[:300], np.ones(300))
    assert mine.power_ci_lb < 0.6 < mine.power_ci_ub
    assert mine.evidential
    assert not mine.inadequate


def test_law_contours_are_where_results_become_significant() -> None:
    y, v = rows(13)
    mine = contour_funnel(y, v)
    assert mine.levels == (0.1, 0.05, 0.01)
    p = 2.0 * special.ndtr(-np.abs(y) / np.sqrt(v))
    assert mine.region.tolist() == [(p[i] <= np.array(mine.levels)).sum() for i in range(25)]
    edge = mine.contour_ub[1, 50] / mine.se_grid[50]
    assert 2.0 * special.ndtr(-edge) == pytest.approx(0.05)
    assert mine.line[0] == pytest.approx(regression_test(y, v).est)
    assert mine.funnel_lb[0] == mine.mean == mine.funnel_ub[0]


def test_law_without_bias_the_tests_reject_as_often_as_they_promise() -> None:
    """Effects independent of precision: 200 sets of 25 rows, tolerance three Monte Carlo standard errors.

    The rank test is known to be conservative, so it may only be below. TES without heterogeneity likewise.
    """
    sets = 200
    rejected: dict[str, int] = dict.fromkeys(("lm", "knha", "rank", "excess"), 0)
    for seed in range(sets):
        rng = np.random.default_rng(1000 + seed)
        v = rng.uniform(0.01, 0.2, 25)
        y = rng.normal(0.3, np.sqrt(v))
        rejected["lm"] += regression_test(y, v, model="lm").pval < 0.05
        rejected["knha"] += regression_test(y, v, method="DL", test="knha").pval < 0.05
        rejected["rank"] += rank_test(y, v).pval < 0.05
        rejected["excess"] += excess_significance(y, v).pval < 0.1
    assert abs(rejected["lm"] / sets - 0.05) < allowed(0.05, sets)
    assert abs(rejected["knha"] / sets - 0.05) < allowed(0.05, sets)
    assert rejected["rank"] / sets < 0.05 + allowed(0.05, sets)
    assert rejected["excess"] / sets < 0.1 + allowed(0.1, sets)


def test_law_results_print_and_go_to_json() -> None:
    y, v = rows(14, k=40)
    made: list[Any] = [
        regression_test(y, v),
        rank_test(y, v),
        pet_peese(y, v),
        trim_and_fill(y, v, estimator="R0"),
        limit_meta_analysis(y, v),
        fail_safe_n(y, v),
        fail_safe_n(y, v, kind="Orwin"),
        excess_significance(y, v),
        p_curve(y, v),
        p_uniform(y, v),
        p_uniform_star(y, v),
        contour_funnel(y, v),
    ]
    for result in made:
        assert str(result)
        assert isinstance(result.to_dict(), dict)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda y, v: regression_test(y, v, predictor="ni"), InputError, "give ni, one per row"),
        (
            lambda y, v: regression_test(y, v, predictor="ni", ni=[1.0]),
            InputError,
            "one sample size per row; given 1",
        ),
        (
            lambda y, v: regression_test(y, v, predictor="ni", ni=-np.ones(25)),
            InputError,
            "must be positive; given -1 in row 1",
        ),
        (lambda y, v: regression_test(y, v, predictor=[1.0]), InputError, "one finite number per row; given 1"),
        (lambda y, v: regression_test(y, 0.0 * v + 0.1), FitError, "combination of"),
        (lambda y, v: rank_test(y[:1], v[:1]), FitError, "at least 2 rows; given 1"),
        (lambda y, v: rank_test(y, np.round(v, 1) + 0.1, exact=True), InputError, "holds without ties"),
        (lambda y, v: pet_peese(y, v, alpha=0.7), InputError, "alpha must lie between 0 and 0.5"),
        (lambda y, v: trim_and_fill(y[:2], v[:2]), FitError, "at least 3 rows; given 2"),
        (lambda y, v: trim_and_fill(y, v, side="up"), InputError, "side must be one of left, right"),  # type: ignore[arg-type]  # refused
        (lambda y, v: limit_meta_analysis(y, 0.0 * v + 0.1), FitError, "equally precise"),
        (lambda y, v: limit_meta_analysis(y[:2], v[:2]), FitError, "at least 3 rows"),
        (lambda y, v: fail_safe_n(y, v, alpha=2.0), InputError, "alpha must lie between 0 and 1; given 2"),
        (
            lambda y, v: fail_safe_n(y, v, kind="Orwin", target=0.0),
            InputError,
            "target must be a number other than 0",
        ),
        (lambda y, v: excess_significance(y, v, tau2=-1.0), InputError, "tau2, a variance, must be 0 or more"),
        (lambda y, v: excess_significance(y, v, alpha=0.0), InputError, "alpha must lie between 0 and 1"),
        (lambda y, v: p_curve(0.01 * y, v), FitError, "none with p < .05"),
        (lambda y, v: p_uniform(0.01 * y, v), FitError, "none significant on the right"),
        (lambda y, v: p_uniform_star(y[:1], v[:1]), FitError, "at least 2 rows"),
        (lambda y, v: p_uniform(y, v, alpha=1.5), InputError, "alpha must lie between 0 and 1; given 1.5"),
        (lambda y, v: contour_funnel(y, v, levels=(2.0,)), InputError, "levels must lie between 0 and 1"),
        (lambda y, v: contour_funnel(y, v, points=1), InputError, "points must be 2 or more"),
    ],
)
def test_law_what_cannot_be_computed_is_refused_in_a_sentence(
    call: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call(*rows(15))
