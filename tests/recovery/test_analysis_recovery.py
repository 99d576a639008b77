"""Simulated trials: effects come back, intervals hold the truth and tests reject a true null as often as they say.

Tolerances are 3.5 Monte Carlo standard errors of the share or mean that is checked, for seeds that are fixed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dualtrace.analysis import ancova, mmrm, moderation, proportions, session_moderation
from dualtrace.analysis.dropout import carried_forward

EFFECT = -3.0


def off(share: Any, expected: float, trials: int) -> float:
    """Distance of a share from what is promised, in Monte Carlo standard errors."""
    return float(abs(np.mean(share) - expected) / np.sqrt(expected * (1.0 - expected) / trials))


def trials(seed: int, replicates: int, n: int, *, effect: float = EFFECT, spread: float = 0.0) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    arm, baseline = np.arange(n) % 2, rng.normal(60.0, 12.0, (replicates, n))
    post = 0.6 * baseline + effect * arm + rng.normal(0.0, 1.0, (replicates, n)) * (6.0 + spread * arm)
    post[rng.random(post.shape) < 0.15] = np.nan
    return post, baseline, arm


@pytest.mark.parametrize("n", [14, 100])
def test_recovery_ancova_effect_interval_and_type_one_error(n: int) -> None:
    post, baseline, arm = trials(1, 8000, n)
    found = ancova(post, baseline, arm)
    error = found.estimate.std(ddof=1) / np.sqrt(8000)
    assert abs(found.estimate.mean() - EFFECT) < 3.5 * error
    held = (found.ci_lb <= EFFECT) & (found.ci_ub >= EFFECT)
    assert off(held, 0.95, 8000) < 3.5
    null = ancova(post - EFFECT * arm, baseline, arm)
    assert off(null.p < 0.05, 0.05, 8000) < 3.5
    # at n = 14 a wrong df would show: the normal distribution in place of t rejects too often
    assert n > 14 or off(np.abs(null.t) > 1.959964, 0.05, 8000) > 3.5


def test_recovery_hc3_holds_its_level_where_one_variance_does_not() -> None:
    """Sixty patients, the spread three times as large in the smaller arm."""
    rng = np.random.default_rng(2)
    arm = np.repeat([0, 1], [45, 15])
    baseline = rng.normal(60.0, 12.0, (8000, 60))
    post = 0.6 * baseline + rng.normal(size=(8000, 60)) * np.where(arm == 1, 12.0, 4.0)
    usual, robust = (ancova(post, baseline, arm, heteroscedastic=kind).p < 0.05 for kind in ("none", "HC3"))
    assert np.mean(usual) > 0.12
    assert abs(np.mean(robust) - 0.05) < 0.015


def test_recovery_moderation_slope_simple_effects_and_crossing() -> None:
    rng = np.random.default_rng(3)
    arm, x = np.arange(80) % 2, rng.normal(45.0, 15.0, (6000, 80))
    # the effect is -6 + 0.2 m: it changes sign at 30
    y = 20.0 + 0.4 * x + arm * (-6.0 + 0.2 * x) + rng.normal(0.0, 8.0, (6000, 80))
    found = moderation(y, arm, x)
    kappa = found.estimate[:, 3]
    assert abs(kappa.mean() - 0.2) < 3.5 * kappa.std(ddof=1) / np.sqrt(6000)
    simple = found.effect_at([10.0, 30.0, 60.0])
    truth = -6.0 + 0.2 * simple.at
    held = (simple.ci_lb <= truth) & (simple.ci_ub >= truth)
    # that the effect at 30 is not told from 0 is that Fieller's set holds the crossing
    for j in range(3):
        assert off(held[:, j], 0.95, 6000) < 3.5
    sets = [moderation(y[i], arm, x[i]).crossing() for i in range(400)]
    inside = [c.kind == "everywhere" or (c.lower <= 30.0 <= c.upper) == (c.kind == "interval") for c in sets]
    assert inside == held[:400, 1].tolist()
    assert {c.kind for c in sets} == {"interval", "outside", "everywhere"}


def visits(seed: int, n: int, effect: float) -> tuple[Any, ...]:
    """Three visits; who did badly at a visit tends not to come to the next, in the drug arm more often."""
    rng = np.random.default_rng(seed)
    arm, baseline = np.arange(n) % 2, rng.normal(60.0, 10.0, n)
    person = rng.normal(0.0, 6.0, n)
    y = (
        0.6 * baseline[:, None]
        + person[:, None]
        + rng.normal(0.0, 4.0, (n, 3))
        + effect * arm[:, None] * [0.3, 0.7, 1.0]
    )
    y = y - np.array([0.0, 4.0, 8.0])
    full = y.copy()
    for v in (1, 2):
        bad = y[:, v - 1] - 0.6 * baseline + np.array([0.0, 4.0])[v - 1] > np.where(arm == 1, 3.0, 9.0)
        y[np.isnan(y[:, v - 1]) | (bad & (rng.random(n) < 0.7)), v] = np.nan
    return y, full, baseline, arm


@pytest.mark.parametrize("df", ["satterthwaite", "kenward-roger"])
def test_recovery_mmrm_effect_interval_and_type_one_error_with_scores_missing_at_random(df: Any) -> None:
    last = []
    for seed in range(500):
        y, _, baseline, arm = visits(seed, 60, EFFECT)
        found = mmrm(y, baseline, arm, df=df)
        last.append((found.estimate[2, 0], found.ci_lb[2, 0], found.ci_ub[2, 0]))
    estimate, low, high = np.array(last).T
    assert abs(estimate.mean() - EFFECT) < 3.5 * estimate.std(ddof=1) / np.sqrt(500)
    # the same data less the effect: an interval without the truth is a null rejected
    assert off((low <= EFFECT) & (high >= EFFECT), 0.95, 500) < 3.5


@pytest.mark.parametrize("kind", ["compound", "ar1"])
def test_recovery_mmrm_structures_hold_their_level(kind: Any) -> None:
    rng, covered, rho = np.random.default_rng(4), [], []
    apart = np.abs(np.arange(4)[:, None] - np.arange(4))
    correlation = 0.6**apart if kind == "ar1" else np.where(apart == 0, 1.0, 0.6)
    root = 7.0 * np.linalg.cholesky(correlation)
    for _ in range(400):
        arm, baseline = np.arange(30) % 2, rng.normal(60.0, 10.0, 30)
        y = 0.5 * baseline[:, None] + EFFECT * arm[:, None] + rng.normal(size=(30, 4)) @ root.T
        y[rng.random(y.shape) < 0.15] = np.nan
        found = mmrm(y, baseline, arm, covariance=kind)
        covered.append((found.ci_lb[3, 0] <= EFFECT) & (found.ci_ub[3, 0] >= EFFECT))
        rho.append(found.correlation[0, 1])
    assert off(covered, 0.95, 400) < 3.5
    assert abs(np.mean(rho) - 0.6) < 0.03


def test_recovery_what_is_carried_forward_biases_what_the_mixed_model_does_not() -> None:
    """Patients improve with time and leave the drug arm more often, so their last scores are too high."""
    carried, mixed, whole = [], [], []
    for seed in range(150):
        y, full, baseline, arm = visits(1000 + seed, 100, EFFECT)
        carried.append(ancova(carried_forward(y)[:, 2], baseline, arm).estimate[0])
        whole.append(ancova(full[:, 2], baseline, arm).estimate[0])
        mixed.append(mmrm(y, baseline, arm).estimate[2, 0])
    bias = [np.mean(np.array(other) - whole) for other in (carried, mixed)]
    error = [np.std(np.array(other) - whole, ddof=1) / np.sqrt(150) for other in (carried, mixed)]
    assert bias[0] > 5.0 * error[0]
    assert abs(bias[1]) < 3.5 * error[1]


def test_recovery_session_moderation_slope_variances_and_coverage() -> None:
    rng, rows = np.random.default_rng(5), []
    for _ in range(400):
        patient = np.repeat(np.arange(40), rng.integers(1, 6, 40))
        drug, end = patient % 2, rng.uniform(5.0, 85.0, patient.size)
        y = 20.0 + 0.4 * end + drug * (-10.0 + 0.25 * end) + rng.normal(0.0, 7.0, 40)[patient]
        found = session_moderation(y + rng.normal(0.0, 8.0, y.size), drug, end, patient)
        at_20 = found.effect_at(20.0)
        rows.append(
            (
                found.estimate[3],
                found.sd_patient**2,
                found.sd_session**2,
                found.ci_lb[3] <= 0.25 <= found.ci_ub[3],
                at_20.ci_lb[0] <= -5.0 <= at_20.ci_ub[0],
            )
        )
    kappa, between, within, slope, effect = np.array(rows, dtype=float).T
    for values, truth in ((kappa, 0.25), (between, 49.0), (within, 64.0)):
        assert abs(values.mean() - truth) < 3.5 * values.std(ddof=1) / np.sqrt(400)
    assert off(slope, 0.95, 400) < 3.5
    assert off(effect, 0.95, 400) < 3.5


def test_recovery_intervals_of_small_proportions_hold_the_truth() -> None:
    """Coverage of score intervals swings around its level with the counts; Wald's falls far below it here."""
    rng = np.random.default_rng(6)
    y = (rng.random((4000, 50)) < np.where(np.arange(50) % 2, 0.3, 0.1)).astype(float)
    found = proportions(y, np.arange(50) % 2)
    difference = (found.difference_ci_lb <= 0.2) & (found.difference_ci_ub >= 0.2)
    ratio = (found.ratio_ci_lb <= 3.0) & (found.ratio_ci_ub >= 3.0)
    assert 0.94 < difference.mean() < 0.98
    assert 0.93 < ratio.mean() < 0.98
