"""Made-up trials: errors as the likelihood has them, reports by the marks of the real ones; ranks that expose a sampler."""

from __future__ import annotations

from itertools import pairwise

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import dualtrace as dt
from dualtrace.calibration.likelihood import placebo_log_likelihood, trial_log_likelihoods
from dualtrace.calibration.model import Problem, problem_of
from dualtrace.calibration.moderation import INTERACTION
from dualtrace.calibration.place import middle
from dualtrace.calibration.ranks import band, chi_square, rank
from dualtrace.calibration.rivals import rival
from dualtrace.calibration.simulate import between, errors_of, maker, marks_of, place_from_prior, with_errors
from dualtrace.calibration.targets import subjects_of
from dualtrace.errors import InputError
from dualtrace.mechanism.parameters import load_parameters

CHOSEN = ("dekleine2012", "difede2014", "farrell2022", "leyfer2019", "ressler2004")
TAU, PLACEBO_SD = 0.3, 0.4


@pytest.fixture(scope="module")
def problem() -> Problem:
    return problem_of(subjects_of([t for t in dt.evidence.load() if t.id in CHOSEN]), points=4)


def test_errors_are_those_of_the_likelihood(problem: Problem) -> None:
    """With all rows numbers, minus the log density at the truth and its fall along each row give the covariance."""
    rows = problem.rows._replace(exact=jnp.ones_like(problem.rows.exact))
    errors = errors_of(rows, heterogeneity=TAU, placebo_sd=PLACEBO_SD)
    truth = np.linspace(-0.5, 0.5, rows.y.size)
    made = np.random.default_rng(1).normal(truth, 0.2)
    rho = load_parameters().number("calibration.shared_error", "1")
    at = rows._replace(y=jnp.asarray(made))
    found = trial_log_likelihoods(at, jnp.asarray(truth), trials=problem.trials, heterogeneity=TAU, shared=rho)
    for trial in range(problem.trials):
        mine = (np.asarray(rows.trial) == trial) & (np.asarray(rows.standard) >= 0)
        common, own = errors.common[mine], errors.own[mine]
        law = stats.multivariate_normal(truth[mine], np.outer(common, common) + np.diag(own**2))
        assert float(found[trial]) == pytest.approx(law.logpdf(made[mine]), abs=1e-6)
    placebo = np.asarray(rows.standard) < 0
    expected = stats.norm(truth[placebo], errors.own[placebo]).logpdf(made[placebo]).sum()
    assert float(placebo_log_likelihood(at, jnp.asarray(truth), placebo_sd=PLACEBO_SD)) == pytest.approx(expected)
    assert placebo.any()
    assert (np.asarray(rows.standard) == INTERACTION).any()


def test_made_up_effects_scatter_with_their_errors(problem: Problem) -> None:
    """Independent answer: the covariance of 4,000 made-up data sets; each entry within 5 standard errors."""
    rows = problem.rows._replace(exact=jnp.ones_like(problem.rows.exact))
    errors = errors_of(rows, heterogeneity=TAU, placebo_sd=PLACEBO_SD)
    rng, truth, sets = np.random.default_rng(2), np.zeros(rows.y.size), 4000
    made = np.array([np.asarray(with_errors(rows, truth, errors, rng).y) for _ in range(sets)])
    same = np.asarray(rows.trial)[:, None] == np.asarray(rows.trial)
    law = np.where(same, np.outer(errors.common, errors.common), 0) + np.diag(errors.own**2)
    spread = np.sqrt((law**2 + np.outer(np.diag(law), np.diag(law))) / sets)
    assert np.max(np.abs(np.cov(made.T) - law) / spread) < 5


@pytest.mark.parametrize(
    ("ends", "marks"),
    [
        ((-0.6, 0.6), [-0.6, 0.6]),
        ((0.6, np.inf), [-0.6, 0.6]),
        ((0.0, np.inf), [0.0]),
        ((0.0, 0.6), [-0.6, 0.0, 0.6]),
        ((-np.inf, np.inf), []),
    ],
)
def test_marks_are_the_ends_and_their_mirror_images_and_the_reports_cover_the_line(
    ends: tuple[float, float], marks: list[float]
) -> None:
    found = marks_of(*ends)
    np.testing.assert_allclose(found, marks)
    reports = sorted({between(value, found) for value in np.linspace(-2, 2, 401)})
    assert reports[0][0] == -np.inf
    assert reports[-1][1] == np.inf
    assert all(one[1] == other[0] for one, other in pairwise(reports))
    assert ends in reports


def test_made_up_trials_keep_their_form_and_intervals_hold_what_was_made_up(problem: Problem) -> None:
    account = rival("dual_trace")
    rng = np.random.default_rng(3)
    made = maker(problem, account)(place_from_prior(account, rng), rng)
    before, after = problem.rows, made.rows
    for name in set(before._fields) - {"y", "lower", "upper"}:
        np.testing.assert_array_equal(np.asarray(getattr(before, name)), np.asarray(getattr(after, name)))
    exact = np.asarray(before.exact)
    assert np.isfinite(np.asarray(after.y)).all()
    assert (np.asarray(after.y)[exact] != np.asarray(before.y)[exact]).all()
    assert (np.asarray(after.lower)[~exact] < np.asarray(after.upper)[~exact]).all()
    assert problem.trials == made.trials


def test_the_same_seed_makes_the_same_trials(problem: Problem) -> None:
    account = rival("extinction_only")
    make, place = maker(problem, account), {name: np.asarray(score) for name, score in middle(account).items()}
    one, two, other = (make(place, np.random.default_rng(seed)).rows.y for seed in (4, 4, 5))
    np.testing.assert_array_equal(one, two)
    assert (np.asarray(one) != np.asarray(other)).any()


def test_an_account_without_a_mechanism_leaves_the_change_with_placebo_as_it_is(problem: Problem) -> None:
    account = rival("disorder")
    rng = np.random.default_rng(6)
    made = maker(problem, account)(place_from_prior(account, rng), rng)
    placebo = np.asarray(problem.rows.standard) < 0
    np.testing.assert_array_equal(np.asarray(made.rows.y)[placebo], np.asarray(problem.rows.y)[placebo])


def ranks_of_a_normal_mean(spread: float, shift: float = 0.0, fits: int = 200, kept: int = 99) -> np.ndarray:
    """mu ~ N(0, 1), y ~ N(mu, 1): the posterior is N(y / 2, 1 / 2); a sampler with another spread is wrong."""
    rng = np.random.default_rng(7)
    truth = rng.standard_normal(fits)
    y = rng.normal(truth, 1)
    draws = rng.normal(y / 2 + shift, spread * np.sqrt(0.5), (kept, fits)).T
    return np.array([rank(value, row) for value, row in zip(truth, draws, strict=True)])


def test_an_honest_sampler_passes() -> None:
    ranks = ranks_of_a_normal_mean(1.0)
    assert chi_square(ranks, 100) > 0.05
    assert band(ranks, 100) > 0.05


@pytest.mark.parametrize(("spread", "shift"), [(np.sqrt(0.5), 0.0), (np.sqrt(2.0), 0.0), (1.0, 0.4)])
def test_a_variance_half_or_twice_what_it_should_be_or_a_shift_is_found(spread: float, shift: float) -> None:
    ranks = ranks_of_a_normal_mean(spread, shift)
    assert chi_square(ranks, 100) < 0.001
    assert band(ranks, 100) < 0.01


def test_the_band_test_is_right_as_often_as_it_says() -> None:
    """Its p-values for uniform ranks are uniform: at most 5 % below 0.05 within binomial error."""
    rng = np.random.default_rng(8)
    p = np.array([band(rng.integers(0, 20, 50), 20, seed=n) for n in range(200)])
    assert 1 <= np.sum(p <= 0.05) <= 20
    assert stats.kstest(p, "uniform").pvalue > 0.001


@pytest.mark.parametrize("test", [chi_square, band])
def test_ranks_out_of_range_are_refused(test: object) -> None:
    with pytest.raises(InputError, match="ranks must be whole numbers from 0 to 19"):
        test(np.array([3, 20]), 20)  # type: ignore[operator]
    with pytest.raises(InputError, match="levels must be a multiple of bins; given 30 and 20"):
        chi_square(np.array([3, 20]), 30)
