"""Laws of the regressions of patients: units and labels do not matter, a batch is its data sets, regions are tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dualtrace.analysis import ancova, moderation, proportions
from dualtrace.analysis.dropout import carried_forward
from dualtrace.analysis.effect_line import EffectLine

FIELDS = ("estimate", "se", "t", "p", "ci_lb", "ci_ub", "df", "adjusted", "adjusted_se", "slopes", "residual_sd")


def trials(seed: int, *, replicates: int = 6, n: int = 80, arms: int = 2, effect: float = -4.0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    arm = rng.permutation(np.arange(n) % arms)
    baseline = rng.normal(60.0, 12.0, (replicates, n))
    age = rng.uniform(18.0, 65.0, (replicates, n, 1))
    post = 0.6 * baseline + effect * arm - 0.1 * age[..., 0] + rng.normal(0.0, 8.0, (replicates, n))
    post[rng.random(post.shape) < 0.1] = np.nan
    return {"post": post, "baseline": baseline, "arm": arm, "age": age}


@pytest.mark.parametrize("arms", [2, 3])
@pytest.mark.parametrize("kind", ["none", "HC3"])
def test_law_a_batch_of_ancovas_is_its_trials_one_by_one(arms: int, kind: Any) -> None:
    d = trials(1, arms=arms)
    batch = ancova(d["post"], d["baseline"], d["arm"], d["age"], heteroscedastic=kind)
    for i in range(len(d["post"])):
        one = ancova(d["post"][i], d["baseline"][i], d["arm"], d["age"][i], heteroscedastic=kind)
        for field in (*FIELDS, "n", "baseline_sd", "d_baseline", "d_residual"):
            assert getattr(batch, field)[i] == pytest.approx(getattr(one, field), rel=1e-12), field


@pytest.mark.parametrize("kind", ["none", "HC3"])
def test_law_a_missing_outcome_is_a_patient_left_out(kind: Any) -> None:
    d = trials(2)
    post, there = d["post"][0], ~np.isnan(d["post"][0])
    assert not there.all()
    whole = ancova(post, d["baseline"][0], d["arm"], d["age"][0], heteroscedastic=kind)
    kept = ancova(post[there], d["baseline"][0][there], d["arm"][there], d["age"][0][there], heteroscedastic=kind)
    for field in FIELDS:
        assert getattr(whole, field) == pytest.approx(getattr(kept, field), rel=1e-11), field


@pytest.mark.parametrize("kind", ["none", "HC3"])
def test_law_ancova_follows_a_change_of_units_and_of_zero(kind: Any) -> None:
    d = trials(3)
    was = ancova(d["post"], d["baseline"], d["arm"], heteroscedastic=kind)
    now = ancova(100.0 - 2.5 * d["post"], 7.0 + 0.1 * d["baseline"], d["arm"], heteroscedastic=kind)
    assert now.estimate == pytest.approx(-2.5 * was.estimate, rel=1e-10)
    assert now.se == pytest.approx(2.5 * was.se, rel=1e-10)
    assert now.p == pytest.approx(was.p, rel=1e-8)
    assert now.adjusted == pytest.approx(100.0 - 2.5 * was.adjusted, rel=1e-10)
    assert now.d_residual == pytest.approx(-was.d_residual, rel=1e-10)


def test_law_ancova_keeps_its_digits_far_from_zero() -> None:
    d = trials(4)
    was = ancova(d["post"], d["baseline"], d["arm"])
    far = ancova(d["post"], d["baseline"] + 1e8, d["arm"])
    assert far.estimate == pytest.approx(was.estimate, rel=1e-6)
    assert far.se == pytest.approx(was.se, rel=1e-6)


def test_law_exchanged_arms_turn_the_sign() -> None:
    d = trials(5, arms=3)
    was = ancova(d["post"], d["baseline"], d["arm"])
    names = np.array(["placebo", "low", "high"])[d["arm"]]
    named = ancova(d["post"], d["baseline"], names, reference="placebo")
    assert named.arms == ("placebo", "high", "low")
    assert named.estimate == pytest.approx(was.estimate[:, ::-1], rel=1e-12)
    turned = ancova(d["post"], d["baseline"], d["arm"], reference=1)
    assert turned.arms == ("1", "0", "2")
    assert turned.estimate[:, 0] == pytest.approx(-was.estimate[:, 0], rel=1e-10)
    assert turned.se[:, 0] == pytest.approx(was.se[:, 0], rel=1e-10)
    assert turned.adjusted[:, 0] == pytest.approx(was.adjusted[:, 1], rel=1e-12)


def test_law_a_batch_of_moderations_is_its_trials_one_by_one() -> None:
    d = trials(6)
    batch = moderation(d["post"], d["arm"], d["baseline"], d["age"])
    simple = batch.effect_at([40.0, 70.0])
    for i in range(len(d["post"])):
        one = moderation(d["post"][i], d["arm"], d["baseline"][i], d["age"][i])
        for field in ("estimate", "se", "t", "p", "ci_lb", "ci_ub", "df", "centre", "residual_sd", "n"):
            assert getattr(batch, field)[i] == pytest.approx(getattr(one, field), rel=1e-11), field
        alone = one.effect_at([40.0, 70.0])
        for field in ("estimate", "se", "df", "p", "ci_lb", "ci_ub"):
            assert getattr(simple, field)[i] == pytest.approx(getattr(alone, field), rel=1e-11), field


def test_law_moderation_is_one_regression_in_each_arm() -> None:
    d = trials(7)
    post, x, arm = d["post"][0], d["baseline"][0], d["arm"]
    lines = [np.polyfit(x[(arm == a) & ~np.isnan(post)], post[(arm == a) & ~np.isnan(post)], 1) for a in (0, 1)]
    found = moderation(post, arm, x).effect_at([30.0, 60.0, 90.0])
    expected = np.polyval(lines[1], found.at) - np.polyval(lines[0], found.at)
    assert found.estimate == pytest.approx(expected, rel=1e-9)


def test_law_the_centre_is_where_the_arm_coefficient_is_the_effect() -> None:
    d = trials(8)
    at_mean, at_50 = (moderation(d["post"][0], d["arm"], d["baseline"][0], centre=c) for c in (None, 50.0))
    for fit in (at_mean, at_50):
        here = fit.effect_at(float(fit.centre))
        assert (here.estimate[0], here.se[0], here.df[0]) == pytest.approx(
            (fit.estimate[1], fit.se[1], float(fit.df))
        )
    assert at_mean.effect_at(80.0).se == pytest.approx(at_50.effect_at(80.0).se, rel=1e-10)
    assert at_mean.crossing().at == pytest.approx(at_50.crossing().at, rel=1e-9)
    shifted = moderation(d["post"][0], d["arm"], d["baseline"][0] + 5.0).crossing()
    assert shifted.lower == pytest.approx(at_mean.crossing().lower + 5.0, rel=1e-8)


def crossed(kind: str) -> Any:
    """A trial whose confidence set of the crossing has the kind asked for."""
    slope, effect = {"interval": (0.8, 0.0), "outside": (0.05, 8.0), "everywhere": (0.0, 0.0)}[kind]
    for seed in range(100):
        rng = np.random.default_rng(seed)
        arm, x = np.arange(60) % 2, rng.normal(50.0, 10.0, 60)
        y = effect * arm + slope * arm * (x - 50.0) + rng.normal(0.0, 6.0, 60)
        found = moderation(y, arm, x)
        if found.crossing().kind == kind:
            return found
    raise AssertionError(kind)


@pytest.mark.parametrize("kind", ["interval", "outside", "everywhere"])
def test_law_regions_of_significance_are_where_the_simple_effect_is_significant(kind: str) -> None:
    fit = crossed(kind)
    where = fit.crossing()
    grid = np.linspace(-400.0, 500.0, 1801)
    simple = fit.effect_at(grid)
    sign = np.where(simple.ci_lb > 0.0, 1, np.where(simple.ci_ub < 0.0, -1, 0))
    expected = np.zeros(grid.size, dtype=int)
    for region in where.regions:
        expected[(grid > region.lower) & (grid < region.upper)] = region.sign
    assert np.array_equal(sign, expected)
    assert where.bounded is (kind == "interval")
    assert fit.effect_at(where.at).estimate == pytest.approx(0.0, abs=1e-9)
    if kind != "everywhere":
        assert sign.any()
        assert fit.effect_at([where.lower, where.upper]).p == pytest.approx(0.05, rel=1e-8)


@pytest.mark.parametrize("sign", [-1, 1])
def test_law_an_effect_without_slope_crosses_nowhere_and_has_one_sign(sign: int) -> None:
    line = EffectLine(
        centre=np.array(40.0),
        estimate=np.array([4.0 * sign, 0.0]),
        covariance=np.diag([1.0, 0.1]),
        gradient=np.diag([1.0, 0.1])[None],
        spread=np.array([[2.0 / 50.0]]),
    )
    where = line.crossing(0.95)
    assert where.at == sign * np.inf
    assert [region.sign for region in where.regions] == [sign]


def test_law_exchanged_arms_turn_differences_and_invert_ratios_of_proportions() -> None:
    rng = np.random.default_rng(9)
    arm, y = np.arange(50) % 2, (rng.random((5, 50)) < 0.4).astype(float)
    was, now = proportions(y, arm), proportions(y, arm, reference=1)
    assert now.difference == pytest.approx(-was.difference)
    assert now.difference_ci_lb == pytest.approx(-was.difference_ci_ub)
    assert now.ratio == pytest.approx(1.0 / was.ratio)
    assert now.ratio_ci_lb == pytest.approx(1.0 / was.ratio_ci_ub, rel=1e-9)
    assert now.p == pytest.approx(was.p)
    none = proportions(1.0 - y, arm)
    assert none.difference_ci_lb == pytest.approx(-was.difference_ci_ub)
    for i in range(5):
        one = proportions(y[i], arm)
        assert (one.ratio_ci_ub[0], one.p[0]) == pytest.approx((was.ratio_ci_ub[i, 0], was.p[i, 0]))


def test_law_the_interval_of_a_ratio_excludes_one_where_its_test_rejects() -> None:
    rng = np.random.default_rng(10)
    y = (rng.random((400, 60)) < np.where(np.arange(60) % 2, 0.6, 0.3)).astype(float)
    found = proportions(y, np.arange(60) % 2)
    outside = (found.ratio_ci_lb > 1.0) | (found.ratio_ci_ub < 1.0)
    assert 0 < outside.sum() < outside.size
    assert np.array_equal(outside, found.p < 0.05)


def test_law_counting_the_missing_as_failures_is_writing_zero() -> None:
    y, arm = np.array([1.0, 0.0, np.nan, 1.0, np.nan, 0.0]), np.array([0, 0, 0, 1, 1, 1])
    failed, zero = proportions(y, arm, missing="failure"), proportions(np.nan_to_num(y), arm)
    assert failed.n.tolist() == [3, 3]
    assert failed.difference_ci_ub == pytest.approx(zero.difference_ci_ub)
    assert proportions(y, arm).n.tolist() == [2, 2]


def test_law_carrying_forward_fills_with_the_last_score_and_nothing_else() -> None:
    rng = np.random.default_rng(11)
    y = rng.normal(size=(3, 20, 5))
    gone = rng.random(y.shape) < 0.4
    y[gone] = np.nan
    filled = carried_forward(y)
    assert np.array_equal(filled[~gone], y[~gone])
    assert np.array_equal(carried_forward(filled), filled, equal_nan=True)
    for row, given in zip(filled.reshape(-1, 5), y.reshape(-1, 5), strict=True):
        last = np.nan
        for visit in range(5):
            last = given[visit] if not np.isnan(given[visit]) else last
            assert row[visit] == last or np.isnan(row[visit]) == np.isnan(last) is np.True_
    assert not np.isnan(carried_forward(y, np.zeros((3, 20)))).any()
