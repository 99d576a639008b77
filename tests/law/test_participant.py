"""Laws of the analysis of participants: one stage against two, exact degrees of freedom, invariances, refusals."""

from typing import Any

import numpy as np
import pytest

from dualtrace.errors import FitError, InputError
from dualtrace.pooling.likelihood import Array
from dualtrace.pooling.participants import linear as mixed_linear
from dualtrace.pooling.participants import logistic as mixed_logistic
from dualtrace.pooling.participants.fit import one_stage, two_stage
from dualtrace.pooling.univariate import fit


def people(seed: int, *, k: int = 7, size: int = 24, tau: float = 0.6) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    n = rng.integers(size, 2 * size, k)
    trial = np.repeat(np.arange(k), n)
    t = np.concatenate([rng.permutation(np.arange(m) % 2) for m in n]).astype(float)
    z = rng.normal(0.4 * trial, 1.0)
    a, b = rng.normal(0.0, 1.0, k), rng.normal(0.5, tau, k)
    inside = z - (np.bincount(trial, weights=z) / n)[trial]
    y = a[trial] + b[trial] * t + 0.3 * z + 0.4 * t * inside + rng.normal(0.0, 1.2, n.sum())
    event = (rng.random(n.sum()) < 1.0 / (1.0 + np.exp(-y + 0.4))).astype(float)
    return {"y": y, "event": event, "t": t, "trial": trial, "z": z}


def at(found: Any, name: str = "treatment") -> tuple[float, float]:
    j = found.names.index(name)
    return float(found.beta[j]), float(found.se[j])


@pytest.mark.parametrize("seed", range(5))
def test_law_one_stage_is_two_stages_that_share_its_residual_variance(seed: int) -> None:
    """Given σ² the stratified REML model of participants factors into the trials' differences."""
    d = people(seed)
    one = one_stage(d["y"], d["t"], d["trial"])
    arms = [[d["y"][(d["trial"] == j) & (d["t"] == arm)] for arm in (1.0, 0.0)] for j in range(7)]
    yi = [a.mean() - b.mean() for a, b in arms]
    vi = [one.sigma2[0] * (1.0 / a.size + 1.0 / b.size) for a, b in arms]
    two = fit(yi, vi)
    assert at(one) == pytest.approx((two.beta[0], two.se[0]), rel=1e-6)
    assert one.tau2 == pytest.approx(two.tau2, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("seed", [0, 1])
def test_law_two_stages_stand_close_to_one_in_every_question(seed: int) -> None:
    """With 100 to 200 participants a trial only the weighing differs: well within a standard error."""
    d = people(seed, size=100)
    for moderator in (None, d["z"]):
        one = one_stage(d["y"], d["t"], d["trial"], moderator=moderator)
        two = two_stage(d["y"], d["t"], d["trial"], moderator=moderator, test="z")
        b, se = at(one)
        assert abs(b - two.treatment.beta[0]) < 0.25 * se
        if two.interaction is not None:
            b, se = at(one, "interaction_within")
            assert abs(b - two.interaction.beta[0]) < 0.5 * se
            assert se == pytest.approx(two.interaction.se[0], rel=0.2)
    one = one_stage(d["event"], d["t"], d["trial"], family="binomial")
    two = two_stage(d["event"], d["t"], d["trial"], family="binomial", method="ML", test="z")
    b, se = at(one)
    assert abs(b - two.treatment.beta[0]) < 0.15 * se
    assert se == pytest.approx(two.treatment.se[0], rel=0.1)


def test_law_degrees_of_freedom_are_exact_where_they_exist() -> None:
    """Balanced trials: k - 1. No variance between trials: participants less coefficients."""
    rng = np.random.default_rng(3)
    k, m = 6, 20
    trial, t = np.repeat(np.arange(k), 2 * m), np.tile(np.repeat([0.0, 1.0], m), k)
    y = rng.normal(size=2 * k * m) + rng.normal(0.5, 1.0, k)[trial] * t
    balanced = one_stage(y, t, trial)
    assert balanced.df[balanced.names.index("treatment")] == pytest.approx(k - 1.0, rel=1e-5)
    # the same average difference in every trial leaves nothing between them
    difference = np.array(
        [(y[(trial == j) & (t == 1)]).mean() - (y[(trial == j) & (t == 0)]).mean() for j in range(k)]
    )
    alike = one_stage(y - difference[trial] * t, t, trial)
    assert alike.tau2 == 0.0
    assert alike.df[alike.names.index("treatment")] == pytest.approx(2 * k * m - k - 1.0, rel=1e-6)


@pytest.mark.parametrize("intercept", ["stratified", "random"])
def test_law_unit_shift_order_and_swapped_arms(intercept: Any) -> None:
    d = people(9)
    one = one_stage(d["y"], d["t"], d["trial"], intercept=intercept)
    order = np.random.default_rng(0).permutation(d["y"].size)
    other = one_stage(
        100.0 - 50.0 * d["y"][order],
        1.0 - d["t"][order],
        [f"trial {j}" for j in d["trial"][order]],
        intercept=intercept,
    )
    assert at(other) == pytest.approx([50.0 * part for part in at(one)], rel=1e-6)
    assert other.tau2 == pytest.approx(2500.0 * one.tau2, rel=1e-5)
    assert other.sigma2 == pytest.approx(2500.0 * one.sigma2, rel=1e-6)


def test_law_what_differs_between_trials_does_not_touch_the_interaction_within() -> None:
    """Moving a trial's moderator as a whole moves only what is said across trials."""
    d = people(2)
    moved = d["z"] + np.array([0.0, 3.0, -2.0, 1.0, 0.5, -4.0, 2.0])[d["trial"]]
    one, other = (one_stage(d["y"], d["t"], d["trial"], moderator=z) for z in (d["z"], moved))
    assert abs(at(one, "interaction_within")[0] - at(other, "interaction_within")[0]) < 1e-2
    assert abs(at(one, "interaction_across")[0] - at(other, "interaction_across")[0]) > 0.1
    two = [two_stage(d["y"], d["t"], d["trial"], moderator=z).interaction for z in (d["z"], moved)]
    assert two[0] is not None
    assert two[1] is not None
    assert two[0].beta[0] == pytest.approx(two[1].beta[0], rel=1e-9)


def differences(function: Any, x: Array) -> Array:
    steps = 1e-6 * np.eye(x.size)
    return np.array([(function(x + s) - function(x - s)) / 2e-6 for s in steps])


def test_law_gradients_are_those_of_the_likelihoods() -> None:
    d = people(4, k=4)
    dummies = (d["trial"][:, None] == np.arange(4)).astype(float)
    X, Z = np.column_stack([dummies, d["t"] - 0.5]), np.column_stack([np.ones(d["t"].size), d["t"] - 0.5])
    for shared, restricted in ((True, True), (False, True), (False, False)):
        given = mixed_linear.blocks(d["y"], X[:, 3:], Z, d["trial"], shared=shared, restricted=restricted)
        x = np.array([0.5, 0.1, 0.4, *np.linspace(-0.2, 0.3, 1 if shared else 4)])
        expected = differences(lambda x, g=given: mixed_linear.evaluate(g, x).ll, x)
        assert mixed_linear.evaluate(given, x).gradient == pytest.approx(expected, abs=1e-5)
    logistic = mixed_logistic.trials(d["event"], X, Z[:, 1:], d["trial"])
    x = np.array([0.1, -0.2, 0.3, 0.0, 0.4, 0.6])
    expected = differences(lambda x: mixed_logistic.evaluate(logistic, x)[0], x)
    assert mixed_logistic.evaluate(logistic, x)[1] == pytest.approx(expected, abs=1e-5)


def test_law_a_climb_that_starts_to_fall_to_zero_is_brought_back() -> None:
    """The standard deviation 0 is stationary; REML of the trials' differences says where the maximum is."""
    for seed in range(8):
        d = people(seed, k=5, tau=0.25)
        one = one_stage(d["y"], d["t"], d["trial"])
        pooled = two_stage(d["y"], d["t"], d["trial"], residual="shared", test="z").treatment
        assert (one.tau2 > 0.0) == (pooled.tau2 > 1e-4) or abs(one.tau2 - pooled.tau2) < 0.02


def test_law_refusals_say_what_was_given() -> None:
    d = people(1, k=3)
    y, t, trial = d["y"], d["t"], d["trial"]
    with pytest.raises(FitError, match=r"treatment must be 1 or 0; given 2 for participant 4"):
        one_stage(y, np.where(np.arange(t.size) == 3, 2.0, t), trial)
    with pytest.raises(FitError, match="Trial 1 has one arm only"):
        one_stage(y, np.where(trial == 1, 1.0, t), trial)
    with pytest.raises(FitError, match="at least two trials are needed to pool; all are in '0'"):
        one_stage(y[trial == 0], t[trial == 0], trial[trial == 0])
    with pytest.raises(FitError, match="binomial outcome must be 0 or 1"):
        one_stage(y, t, trial, family="binomial")
    with pytest.raises(FitError, match="Trial 2 has one outcome only"):
        one_stage(np.where(trial == 2, 0.0, d["event"]), t, trial, family="binomial")
    with pytest.raises(FitError, match="participant 2 has none"):
        one_stage(y, t, [None if i == 1 else j for i, j in enumerate(trial)])
    with pytest.raises(FitError, match="only where a moderator is given"):
        one_stage(y, t, trial, random_interaction=True)
    with pytest.raises(FitError, match="outcome does not vary once trial and treatment"):
        one_stage(trial + t, t, trial)
    with pytest.raises(InputError, match="intercept must be one of stratified, random; given 'fixed'"):
        one_stage(y, t, trial, intercept="fixed")  # type: ignore[arg-type]
    with pytest.raises(FitError, match="outcome must be a finite number; given nan in row 1"):
        one_stage(np.where(np.arange(y.size) == 0, np.nan, y), t, trial)
    apart = np.where(trial == 0, t, d["event"])
    with pytest.raises(FitError, match="Trial 0: an arm or the moderator separates the outcome"):
        two_stage(apart, t, trial, family="binomial")


def test_law_answers_print_and_become_plain_data() -> None:
    d = people(6)
    one = one_stage(d["y"], d["t"], d["trial"], moderator=d["z"], intercept="random", random_interaction=True)
    text = str(one)
    assert "One-stage analysis. Linear mixed model (REML), random intercepts" in text
    assert "Variance between trials: intercept" in text
    assert one.to_dict()["tau2"] == one.tau2
    assert one.to_frame().loc["treatment", "beta"] == at(one)[0]
    two = two_stage(d["y"], d["t"], d["trial"], moderator=d["z"])
    assert "Treatment x moderator, within trials" in str(two)
    assert len(two.to_dict()["yi"]) == 7
    alike = one_stage(d["y"], d["t"], d["trial"], moderator=d["z"] - (one.k > 0) * _means(d))
    assert "no interaction across" in str(alike)


def _means(d: dict[str, Any]) -> Array:
    n = np.bincount(d["trial"])
    means: Array = (np.bincount(d["trial"], weights=d["z"]) / n)[d["trial"]]
    return means
