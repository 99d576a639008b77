"""Simulated truth comes back through the partial-information model.

600 meta-analyses of 40 trials are drawn with a true mean effect of 0.3 and τ = 0.2. Most results are then hidden the
way papers hide them: a non-significant effect becomes "not significant" (|z| < 1.96), a significant one "p < .05 in
favour of ...", and some trials give the direction only. What is hidden depends on the result only through what is
still said about it, which is the condition under which the likelihood is right.

Tolerances are three Monte Carlo standard errors, computed from the simulation itself.
"""

from typing import NamedTuple

import numpy as np
import pytest

from dualtrace.pooling.coarse import Coarse, Peak, coarse, peak
from dualtrace.pooling.likelihood import Array, Flags
from dualtrace.pooling.profile import (
    Interval,
    coefficient_intervals,
    coefficient_tests,
    standard_errors,
    tau2_interval,
)

MEAN, TAU, SETS, K = 0.3, 0.2, 600, 40
INTERCEPT = np.ones((K, 1))


class World(NamedTuple):
    """True effects as estimated by each trial, and what is left of them after reporting."""

    y: Array
    v: Array
    reported: Coarse
    significant: Flags


def simulate(mean: float, tau: float, seed: int) -> World:
    rng = np.random.default_rng(seed)
    v = 2.0 / rng.integers(15, 61, (SETS, K))
    s = np.sqrt(v)
    y = rng.normal(mean, np.sqrt(v + tau**2))
    significant = np.abs(y) >= 1.96 * s
    chance = rng.random((SETS, K))
    direction = chance < 0.15  # drawn without looking at the result
    hidden = rng.random((SETS, K)) < np.where(significant, 0.3, 0.7)
    favoured = y > 0
    lo = np.where(significant, np.where(favoured, 1.96 * s, -np.inf), -1.96 * s)
    hi = np.where(significant, np.where(favoured, np.inf, -1.96 * s), 1.96 * s)
    lo = np.where(direction, np.where(favoured, 0.0, -np.inf), lo)
    hi = np.where(direction, np.where(favoured, np.inf, 0.0), hi)
    exact = ~(direction | hidden)
    gone = np.full_like(y, np.nan)
    reported = coarse(np.where(exact, y, np.nan), np.where(exact, gone, lo), np.where(exact, gone, hi), v, INTERCEPT)
    return World(y, v, reported, significant)


def everything_known(world: World) -> Coarse:
    nothing = np.full_like(world.y, np.nan)
    return coarse(world.y, nothing, nothing, world.v, INTERCEPT)


def only(sets: Coarse, rows: Flags) -> Coarse:
    """Analyse some rows; data sets left with none are not analysed at all."""
    some = rows.any(axis=1)
    return sets.pick(np.flatnonzero(some))._replace(use=rows[some].astype(float))


def monte_carlo_error(values: Array) -> float:
    return float(values.std(ddof=1) / np.sqrt(values.size))


def bounds(sets: Coarse, best: Peak) -> Interval:
    ends = coefficient_intervals(sets, best, standard_errors(sets, best)[0], 0.95)
    return Interval(ends.low[:, 0], ends.high[:, 0])


@pytest.fixture(scope="module")
def world() -> World:
    return simulate(MEAN, TAU, seed=20)


@pytest.fixture(scope="module")
def best(world: World) -> Peak:
    return peak(world.reported)


def test_recovery_most_results_are_hidden(world: World) -> None:
    assert 0.3 < world.reported.exact.mean() < 0.5


def test_recovery_hiding_results_leaves_the_mean_unbiased(best: Peak) -> None:
    estimates = best.beta[:, 0]
    assert abs(estimates.mean() - MEAN) < 3.0 * monte_carlo_error(estimates)


def test_recovery_heterogeneity_comes_back_but_for_the_bias_of_maximum_likelihood(world: World, best: Peak) -> None:
    """ML gives up about one degree of freedom: with every effect known it is low too, by less than 10 % here."""
    known = peak(everything_known(world))
    for tau2 in (known.tau2, best.tau2):
        assert 0.9 * TAU**2 - 3.0 * monte_carlo_error(tau2) < tau2.mean() < TAU**2 + 3.0 * monte_carlo_error(tau2)


def test_recovery_dropping_trials_that_were_not_significant_biases_upward(world: World) -> None:
    dropped = peak(only(everything_known(world), world.significant)).beta[:, 0]
    assert dropped.mean() > MEAN + 0.15


def test_recovery_exact_results_alone_are_biased_upward(world: World, best: Peak) -> None:
    alone = peak(only(world.reported, world.reported.exact)).beta[:, 0]
    assert alone.mean() > MEAN + 0.05
    assert abs(best.beta.mean() - MEAN) < 0.1 * (alone.mean() - MEAN)


def test_recovery_hiding_widens_the_interval_and_keeps_its_coverage(world: World, best: Peak) -> None:
    reported = bounds(world.reported, best)
    known_sets = everything_known(world)
    known = bounds(known_sets, peak(known_sets))
    assert (reported.high - reported.low).mean() > 1.05 * (known.high - known.low).mean()
    error = 3.0 * np.sqrt(0.95 * 0.05 / SETS)
    for ends in (reported, known):
        covered = ((ends.low <= MEAN) & (ends.high >= MEAN)).mean()
        assert abs(covered - 0.95) < error


def test_recovery_interval_of_tau2_covers(world: World, best: Peak) -> None:
    ends = tau2_interval(world.reported, best, 0.95)
    covered = ((ends.low <= TAU**2) & (ends.high >= TAU**2)).mean()
    assert abs(covered - 0.95) < 3.0 * np.sqrt(0.95 * 0.05 / SETS)


def test_recovery_the_likelihood_ratio_test_keeps_its_level() -> None:
    """With a true mean of 0 the test of b = 0 rejects one time in twenty, and the estimate stays at 0."""
    null = simulate(0.0, TAU, seed=21)
    found = peak(null.reported)
    _, p = coefficient_tests(null.reported, found)
    assert abs((p < 0.05).mean() - 0.05) < 3.0 * np.sqrt(0.05 * 0.95 / SETS)
    assert abs(found.beta.mean()) < 3.0 * monte_carlo_error(found.beta[:, 0])


def test_recovery_curvature_standard_error_matches_the_spread_of_estimates(world: World, best: Peak) -> None:
    se = standard_errors(world.reported, best)[0][:, 0]
    spread = best.beta[:, 0].std(ddof=1)
    assert np.sqrt((se**2).mean()) == pytest.approx(spread, rel=3.0 / np.sqrt(2.0 * SETS))
