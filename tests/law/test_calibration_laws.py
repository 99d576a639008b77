"""Calibration: the likelihood against dense normal laws and SciPy, sessions in closed form against steps, accounts."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import dualtrace as dt
from dualtrace.calibration.likelihood import log_inside, placebo_log_likelihood, trial_log_likelihoods
from dualtrace.calibration.model import (
    Problem,
    constants_at,
    deviations_of,
    log_likelihoods,
    predictions,
    priors_of,
    problem_of,
)
from dualtrace.calibration.moderation import INTERACTION
from dualtrace.calibration.outcomes import Rows
from dualtrace.calibration.place import from_normal, middle, potential, shared_at
from dualtrace.calibration.predict import by_length, exposed, follow
from dualtrace.calibration.rivals import RIVALS, rival
from dualtrace.calibration.targets import DISORDERS, Standard, subjects_of
from dualtrace.errors import InputError
from dualtrace.mechanism.memory.dual_trace import DualTrace
from dualtrace.mechanism.parameters import load_parameters
from dualtrace.simulation.dual_trace_learner import DualTraceLearner
from dualtrace.simulation.learner import Traits

CHOSEN = ("dekleine2012", "difede2014", "farrell2022", "kushner2007", "otto2010", "smits2020")
NO_DEVIATION = jnp.zeros(len(DISORDERS))


@pytest.fixture(scope="module")
def problem() -> Problem:
    return problem_of(subjects_of([t for t in dt.evidence.load() if t.id in CHOSEN]), points=8)


def test_exact_rows_of_a_trial_follow_the_dense_normal_law(problem: Problem) -> None:
    """Independent answer: a multivariate normal with the shared component in its covariance."""
    rows = problem.rows._replace(exact=jnp.ones_like(problem.rows.exact))
    predicted, tau, rho = jnp.linspace(-0.3, 0.4, rows.y.size), 0.25, 0.6
    found = trial_log_likelihoods(rows, predicted, trials=problem.trials, heterogeneity=tau, shared=rho)
    for trial in range(problem.trials):
        mine = np.flatnonzero((np.asarray(rows.trial) == trial) & (np.asarray(rows.standard) >= 0))
        v = np.asarray(rows.v)[mine]
        ratio = np.isin(np.asarray(rows.standard)[mine], (2, 3))
        effects = np.asarray(rows.standard)[mine] < INTERACTION
        common = effects * np.sqrt(rho * v + (np.where(ratio, np.pi / np.sqrt(3), 1) * tau) ** 2)
        alone = 1 + tau**2 * np.asarray(rows.patients)[mine] / 2
        law = stats.multivariate_normal(
            np.asarray(predicted)[mine], np.outer(common, common) + np.diag(np.where(effects, (1 - rho) * v, alone))
        )
        assert float(found[trial]) == pytest.approx(law.logpdf(np.asarray(rows.y)[mine]), abs=1e-6)


def test_an_interval_counts_the_probability_of_its_inside(problem: Problem) -> None:
    """Independent answer: one row alone, by SciPy's normal law."""
    alone = int(np.flatnonzero(np.asarray(problem.rows.standard) == 0)[0])
    rows = Rows(*(leaf[alone : alone + 1] for leaf in problem.rows))
    rows = rows._replace(
        trial=jnp.array([0]), exact=jnp.array([False]), lower=jnp.array([-0.2]), upper=jnp.array([0.5])
    )
    found = trial_log_likelihoods(rows, jnp.array([0.1]), trials=1, heterogeneity=0.3, shared=0.6)
    law = stats.norm(0.1, np.sqrt(float(rows.v[0]) + 0.09))
    assert float(found[0]) == pytest.approx(np.log(law.cdf(0.5) - law.cdf(-0.2)), abs=1e-8)


@pytest.mark.parametrize(("low", "high"), [(-np.inf, 0.0), (5.0, 6.0), (-9.0, -8.5), (-1.0, 2.0), (8.0, np.inf)])
def test_the_probability_of_an_interval_is_accurate_in_both_tails(low: float, high: float) -> None:
    bounds = (jnp.clip(jnp.array(bound), -38, 38) for bound in (low, high))
    tail = stats.norm.sf if low > 0 else stats.norm.cdf
    exact = np.log(abs(tail(high) - tail(low)))
    assert float(log_inside(*bounds)) == pytest.approx(exact, rel=1e-8)


def test_changes_with_placebo_are_normal_and_effects_do_not_enter(problem: Problem) -> None:
    rows = problem.rows
    placebo = np.asarray(rows.standard) < 0
    assert placebo.sum() == 1
    predicted = jnp.where(rows.standard < 0, 2.0, jnp.nan_to_num(rows.y))
    found = placebo_log_likelihood(rows, predicted, placebo_sd=0.5)
    sd = np.sqrt(float(rows.v[placebo][0]) + 0.25)
    assert float(found) == pytest.approx(stats.norm(2.0, sd).logpdf(float(rows.y[placebo][0])), rel=1e-10)


def test_a_session_in_closed_form_is_its_exposures_one_by_one() -> None:
    """Equal to 1e-12 when nothing fades between exposures."""
    rng = np.random.default_rng(3)
    n = 200
    traits = Traits(*(jnp.asarray(x) for x in (np.exp(0.1 * rng.standard_normal(n)), np.ones(n), np.full(n, 0.6))))
    learner = DualTraceLearner(DualTrace().theta(load_parameters().number), traits)
    quality, drug = jnp.asarray(rng.uniform(0, 1, n)), jnp.asarray(rng.uniform(0, 0.5, n))
    state, at_once = learner.start(), learner.start()
    still = learner.pace(state, 0.0)
    for exposures in (3, 12):
        for _ in range(exposures):
            state = learner.expose(state, still, quality, drug)
        at_once = exposed(learner, at_once, jnp.asarray(float(exposures)), quality, drug)
        for name in ("threat", "fresh", "mismatch", "waiting", "drug"):
            np.testing.assert_allclose(getattr(at_once, name), getattr(state, name), rtol=1e-12, atol=1e-12)
        state, at_once = learner.close(state, drug), learner.close(at_once, drug)


def test_short_courses_followed_apart_end_as_those_followed_to_the_longest(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sessions in which nothing happens change nothing: equal to 1e-12."""
    account = rival("dual_trace")
    place = {name: jnp.full_like(at, 0.3) for name, at in middle(account).items()}
    deviations = {name: place[name] for name in deviations_of(account)}
    constants, lookup = constants_at(account, shared_at(account, place), deviations, problem.disorder_of_arm)
    held = np.asarray(problem.courses.exposures) > 0
    assert [sessions for _, sessions in by_length(held.sum(axis=1))] == [4, 10]
    apart = follow(problem.courses, problem.population, constants, lookup)
    monkeypatch.setattr("dualtrace.calibration.predict._WORTH_TWO", 0.0)
    assert [sessions for _, sessions in by_length(held.sum(axis=1))] == [10]
    together = follow(problem.courses, problem.population, constants, lookup)
    for one, other in zip(apart.state, together.state, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(np.asarray(apart.end)[held], np.asarray(together.end)[held], rtol=1e-12)


@pytest.mark.parametrize("name", ["dual_trace", "no_gap"])
def test_a_drug_without_strength_has_no_effect_under_any_mechanism(problem: Problem, name: str) -> None:
    account = rival(name)
    shared = shared_at(account, middle(account)) | {"calibration.strength": jnp.asarray(0.0)}
    found = predictions(problem, account, shared, dict.fromkeys(deviations_of(account), NO_DEVIATION))
    effects = np.asarray(found)[np.asarray(problem.rows.standard) >= 0]
    np.testing.assert_allclose(effects, 0, atol=1e-12)


def test_accounts_that_differ_in_one_idea_agree_when_it_is_switched_off(problem: Problem) -> None:
    """Dual trace with no restabilisation and no tolerance is extinction only; so is occupancy without arousal."""
    dual, only, occupancy = rival("dual_trace"), rival("extinction_only"), rival("occupancy")
    still = dict.fromkeys(deviations_of(dual), NO_DEVIATION)
    base = shared_at(only, middle(only))
    without = base | {
        "dual_trace.restabilisation": jnp.asarray(0.0),
        "tolerance.jump": jnp.asarray(0.0),
        "tolerance.recovery": jnp.asarray(7.0),
    }
    expected = predictions(problem, only, base, still)
    np.testing.assert_allclose(predictions(problem, dual, without, still), expected, atol=1e-12)
    calm = base | {"calibration.arousal": jnp.asarray(0.0)}
    np.testing.assert_allclose(predictions(problem, occupancy, calm, still), expected, atol=1e-12)


@pytest.mark.parametrize("name", ["dual_trace", "occupancy"])
def test_single_precision_changes_neither_density_nor_slope_in_draws_of_the_prior(
    problem: Problem, name: str
) -> None:
    """The density moves by less than 0.002, its gradient by less than a thousandth of its length."""
    import jax

    account, rng = rival(name), np.random.default_rng(4)
    places = {n: jnp.asarray(rng.standard_normal((20, *at.shape))) for n, at in middle(account).items()}
    precise, rounded = (
        jax.lax.map(jax.value_and_grad(lambda place, p=p: potential(p, account, place)), places)
        for p in (problem, problem.in_precision(np.float32))
    )
    np.testing.assert_allclose(rounded[0], precise[0], atol=2e-3)
    slopes, others = (np.hstack([np.asarray(part) for part in one[1].values()]) for one in (precise, rounded))
    assert (np.linalg.norm(slopes - others, axis=1) < 1e-3 * np.linalg.norm(slopes, axis=1)).all()


@pytest.mark.parametrize("name", ["disorder", "dual_trace", "occupancy"])
def test_an_account_has_a_finite_density_with_gradient_at_its_prior_medians(problem: Problem, name: str) -> None:
    import jax

    account = rival(name)
    value, gradient = jax.value_and_grad(lambda place: potential(problem, account, place))(middle(account))
    assert np.isfinite(value)
    assert all(np.isfinite(part).all() for part in gradient.values())


def test_a_trial_that_is_left_out_does_not_count(problem: Problem) -> None:
    account = rival("disorder")
    place = middle(account)
    mask = jnp.asarray(np.eye(problem.trials)[2])
    whole, part = potential(problem, account, place), potential(problem, account, place, mask)
    trials, _ = log_likelihoods(problem, account, shared_at(account, place), {"effect": place["effect"]})
    assert float(part - whole) == pytest.approx(float(trials[2]), abs=1e-12)


@pytest.mark.parametrize("name", sorted({name for account in RIVALS for name in priors_of(account)}))
def test_parameters_come_from_the_quantiles_of_their_priors(name: str) -> None:
    prior = load_parameters().parameter(name).prior
    scores = np.linspace(-2.5, 2.5, 11)
    np.testing.assert_allclose(
        from_normal(prior, jnp.asarray(scores)), prior.quantile(stats.norm.cdf(scores)), rtol=1e-6
    )


def test_every_reported_effect_keeps_its_number_and_its_currency(problem: Problem) -> None:
    targets = [target for subject in problem.subjects for target in subject.targets]
    rows = problem.rows
    of_effects = (np.asarray(rows.standard) >= 0) & (np.asarray(rows.standard) < INTERACTION)
    assert of_effects.sum() == len(targets)
    exact = sorted(t.effect.yi for t in targets if t.effect.yi is not None)
    found = np.sort(np.asarray(rows.y)[of_effects & np.asarray(rows.exact)])
    np.testing.assert_allclose(found, exact)
    assert {Standard.SCORE, Standard.CHANGE, Standard.RESPONSE} <= {target.standard for target in targets}


def test_an_unknown_account_is_refused() -> None:
    with pytest.raises(InputError, match="an account must be one of none, disorder"):
        rival("dual")


def test_someone_who_learns_all_in_one_exposure_has_a_gradient() -> None:
    """Courses are padded with sessions of no exposure: a power of 0 there must not spoil every gradient."""
    import jax

    n = 3
    traits = Traits(*(jnp.asarray(x) for x in (np.ones(n), np.full(n, 30.0), np.full(n, 0.6))))
    learner = DualTraceLearner(DualTrace().theta(load_parameters().number), traits)
    exposures = jnp.array([0.0, 1.0, 12.0])

    def fresh(quality: jnp.ndarray) -> jnp.ndarray:
        return exposed(learner, learner.start(), exposures, quality, jnp.zeros(n)).fresh.sum()

    assert float(np.max(np.asarray(learner.theta.safety_rate))) > 1, (
        "the case must be one in which nothing is left to miss"
    )
    assert np.isfinite(jax.grad(fresh)(jnp.ones(n))).all()
