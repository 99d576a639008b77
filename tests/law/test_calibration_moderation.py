"""Calibration: findings on when the drug helps, against regressions of simulated patients and SciPy's normal law."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import dualtrace as dt
from dualtrace.calibration.model import HETEROGENEITY, Problem, log_likelihoods, predictions, problem_of
from dualtrace.calibration.moderation import INTERACTION, Covariate, interaction, moderations_of, slope
from dualtrace.calibration.place import middle, shared_at
from dualtrace.calibration.rivals import rival
from dualtrace.calibration.targets import subjects_of
from dualtrace.simulation.from_trial import protocol_of
from dualtrace.simulation.plan import plan_of

WHEN = (1, 24.0, 1.0)


@pytest.fixture(scope="module")
def problem() -> Problem:
    chosen = ("dekleine2012", "tart2013", "rothbaum2014")
    return problem_of(subjects_of([t for t in dt.evidence.load() if t.id in chosen]), points=16)


def test_slope_and_statistic_are_those_of_regressions_of_simulated_trials() -> None:
    """4,000 trials of 60 a side: mean slopes within 1 %, SD of slopes and mean statistic within 4 %."""
    rng = np.random.default_rng(5)
    trials, n, noise, error = 4000, 60, 0.3, 0.5
    weights = (0.8, 0.2)
    fear = rng.normal(0.4, 0.6, (2, trials, n))
    gain = np.stack([w * x for w, x in zip(weights, fear, strict=True)]) + rng.normal(0, 0.4, fear.shape)
    seen = fear + noise * rng.standard_normal(fear.shape)
    scored = gain + np.sqrt(2) * error * rng.standard_normal(fear.shape)
    x = seen - seen.mean(-1, keepdims=True)
    b = (x * scored).sum(-1) / (x**2).sum(-1)
    residual = scored - scored.mean(-1, keepdims=True) - b[..., None] * x
    statistic = (b[0] - b[1]) / np.sqrt(((residual**2).sum(-1) / (n - 2) / (x**2).sum(-1)).sum(0))

    every = np.moveaxis(fear, 1, 0), np.moveaxis(gain, 1, 0)
    expected = slope(
        *(jnp.asarray(np.concatenate(list(part), axis=-1)) for part in every),
        noise=jnp.asarray(noise),
        error=jnp.full(2, error),
        patients=jnp.full(2, float(n)),
    )
    np.testing.assert_allclose(expected[0], b.mean(-1), atol=0.01)
    np.testing.assert_allclose(np.sqrt(expected[1]), b.std(-1), rtol=0.04)
    found = interaction(*expected, jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0]))
    assert float(found) == pytest.approx(statistic.mean(), rel=0.04)


def test_without_a_drug_effect_nothing_is_moderated_and_findings_have_their_normal_probability(
    problem: Problem,
) -> None:
    """Independent answer: the probability of each interval under the normal law of a statistic."""
    none = rival("none")
    place = middle(none)
    trials, _ = log_likelihoods(problem, none, shared_at(none, place), {})
    rows = problem.rows
    findings = np.asarray(rows.standard) == INTERACTION
    narrow = rows._replace(
        lower=jnp.where(findings, rows.lower, -jnp.inf),
        upper=jnp.where(findings, rows.upper, jnp.inf),
        exact=jnp.zeros_like(rows.exact),
    )
    alone = Problem(problem.subjects, problem.courses, problem.population, narrow, problem.disorder_of_arm)
    found, _ = log_likelihoods(alone, none, shared_at(none, place), {})
    tau = float(shared_at(none, place)[HETEROGENEITY])
    law = stats.norm(scale=np.sqrt(1 + tau**2 * np.asarray(rows.patients) / 2))
    inside = np.log(law.cdf(np.asarray(rows.upper)) - law.cdf(np.asarray(rows.lower)))
    expected = np.bincount(np.asarray(rows.trial)[findings], inside[findings], minlength=problem.trials)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert not np.allclose(found, trials)


def test_a_drug_without_strength_is_moderated_by_nothing_and_with_it_by_what_exposure_did(problem: Problem) -> None:
    account = rival("dual_trace")
    place = middle(account)
    findings = np.asarray(problem.rows.standard) == INTERACTION
    still = {name: part for name, part in place.items() if name != "shared"}
    shared = shared_at(account, place)
    without = predictions(problem, account, shared | {"calibration.strength": jnp.asarray(0.0)}, still)
    np.testing.assert_allclose(np.asarray(without)[findings], 0, atol=1e-9)
    with_drug = np.asarray(predictions(problem, account, shared, still))[findings]
    assert (np.abs(with_drug) > 0.01).all()


def test_findings_are_read_with_their_sign_and_their_p_value() -> None:
    trials = {trial.id: trial for trial in dt.evidence.load()}
    found = {
        name: moderations_of(trials[name], plan_of(protocol_of(trials[name])), WHEN)
        for name in ("tart2013", "hofmann2013", "rothbaum2014", "dekleine2012", "farrell2018", "smits2020")
    }
    assert [(f.covariate, f.lower) for f in found["tart2013"]] == [(Covariate.END_FEAR, -np.inf)]
    assert found["tart2013"][0].upper == pytest.approx(stats.norm.ppf(0.005))
    assert [(f.lower, f.upper) for f in found["hofmann2013"]] == [(-np.inf, 0.0)]
    # the printed p-value is of the drug arm alone and says nothing of the interaction's size
    assert [(f.lower, f.upper) for f in found["rothbaum2014"]] == [(0.0, np.inf)]
    assert [f.covariate for f in found["dekleine2012"]] == [Covariate.WITHIN, Covariate.BETWEEN]
    assert all(f.upper == -f.lower == pytest.approx(stats.norm.ppf(0.975)) for f in found["dekleine2012"])
    assert found["farrell2018"] == found["smits2020"] == ()
