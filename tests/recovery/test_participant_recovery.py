"""Simulated participants: the truth comes back from one mixed model, with the error rates it promises.

40 to 60 meta-analyses each of 6 to 8 trials; tolerances are three Monte Carlo standard errors.
"""

import numpy as np

from dualtrace.pooling.likelihood import Array, Ints
from dualtrace.pooling.participants.fit import one_stage

EFFECT, TAU, WITHIN, ACROSS = 0.5, 0.4, 0.3, -0.6


def trial_numbers(rng: np.random.Generator, k: int) -> tuple[Ints, Array]:
    n = rng.integers(30, 50, k)
    t = np.concatenate([rng.permutation(np.arange(m) % 2) for m in n]).astype(float)
    return np.repeat(np.arange(k), n), t


def error(values: Array) -> float:
    return float(values.std(ddof=1) / np.sqrt(values.size))


def test_recovery_linear_effect_heterogeneity_and_coverage() -> None:
    rng = np.random.default_rng(17)
    found, tau2, covered = [], [], []
    for _ in range(60):
        trial, t = trial_numbers(rng, 8)
        y = rng.normal(0.0, 1.0, 8)[trial] + rng.normal(EFFECT, TAU, 8)[trial] * t + rng.normal(size=t.size)
        one = one_stage(y, t, trial)
        j = one.names.index("treatment")
        found.append(one.beta[j])
        tau2.append(one.tau2)
        covered.append(one.ci_lb[j] <= EFFECT <= one.ci_ub[j])
    assert abs(np.mean(found) - EFFECT) < 3.0 * error(np.array(found))
    assert abs(np.mean(tau2) - TAU**2) < 3.0 * error(np.array(tau2))
    assert abs(np.mean(covered) - 0.95) < 3.0 * np.sqrt(0.95 * 0.05 / 60)


def test_recovery_interactions_within_and_across_trials_are_told_apart() -> None:
    """Across trials the effect falls with the moderator, within trials it rises: a mixture would find neither."""
    rng = np.random.default_rng(23)
    within, across = [], []
    for _ in range(40):
        trial, t = trial_numbers(rng, 8)
        level = rng.normal(0.0, 1.0, 8)
        z = rng.normal(level[trial], 1.0)
        mean = (np.bincount(trial, weights=z) / np.bincount(trial))[trial]
        slope = EFFECT + WITHIN * (z - mean) + ACROSS * mean
        y = rng.normal(0.0, 1.0, 8)[trial] + slope * t + 0.2 * z + rng.normal(size=t.size)
        one = one_stage(y, t, trial, moderator=z)
        within.append(one.beta[one.names.index("interaction_within")])
        across.append(one.beta[one.names.index("interaction_across")])
    assert abs(np.mean(within) - WITHIN) < 3.0 * error(np.array(within))
    assert abs(np.mean(across) - ACROSS) < 3.0 * error(np.array(across))


def test_recovery_logistic_effect_and_coverage() -> None:
    rng = np.random.default_rng(29)
    found, covered = [], []
    for _ in range(40):
        trial, t = trial_numbers(rng, 6)
        eta = rng.normal(0.0, 0.4, 6)[trial] + rng.normal(EFFECT, TAU, 6)[trial] * (t - 0.5)
        y = (rng.random(t.size) < 1.0 / (1.0 + np.exp(-eta))).astype(float)
        one = one_stage(y, t, trial, family="binomial")
        j = one.names.index("treatment")
        found.append(one.beta[j])
        covered.append(one.ci_lb[j] <= EFFECT <= one.ci_ub[j])
    # stratified levels push log odds ratios outwards by a share of about 1 / participants per level
    assert abs(np.mean(found) - EFFECT) < 3.0 * error(np.array(found)) + 0.05 * EFFECT
    assert np.mean(covered) > 0.95 - 3.0 * np.sqrt(0.95 * 0.05 / 40)
