"""Laws of the curves: no dose has no effect, groups of patients add up, what an account leaves out does nothing."""

from __future__ import annotations

import re

import numpy as np
import pytest

from dualtrace.calibration.curves import (
    FEAR_EDGES,
    Answers,
    Stage,
    of_setting,
    posterior_answers,
    prior_answers,
    prior_scores,
    stage,
)
from dualtrace.calibration.imagined import DOSES_MG, MINUTES, USUAL, Setting, imagined
from dualtrace.calibration.posterior import Method, Posterior, thinned
from dualtrace.calibration.rivals import rival
from dualtrace.errors import InputError
from dualtrace.evidence.record import Disorder

SMALL = (Disorder.PD,)
DRAWS = 6


@pytest.fixture(scope="module")
def at(compiled_programs: None) -> Stage:  # noqa: ARG001 - for what it sets
    return stage(SMALL, points=4)


@pytest.fixture(scope="module")
def answers(at: Stage) -> Answers:
    return prior_answers(at, rival("dual_trace"), DRAWS)


def test_no_dose_and_no_augmented_session_have_no_effect(at: Stage, answers: Answers) -> None:
    for setting in (Setting.DOSE, Setting.AUGMENTED):
        x, effect = of_setting(at, answers, 0, setting)
        assert x[0] == 0
        np.testing.assert_array_equal(effect[:, 0], 0.0)
        assert np.abs(effect[:, 1:]).min() > 0


def test_the_usual_arm_lies_on_every_curve(at: Stage, answers: Answers) -> None:
    """50 mg an hour before every session with exposures is one arm of each curve."""
    usual = answers.effect[:, at.numbers[0][USUAL]]
    for setting, value in ((Setting.DOSE, 50.0), (Setting.MINUTES, -60.0)):
        x, effect = of_setting(at, answers, 0, setting)
        np.testing.assert_allclose(effect[:, x.index(value)], usual, rtol=1e-10)
    np.testing.assert_allclose(of_setting(at, answers, 0, Setting.AUGMENTED)[1][:, -1], usual, rtol=1e-10)


def test_shares_of_patients_add_up_to_all_and_their_benefits_to_the_effect(at: Stage, answers: Answers) -> None:
    np.testing.assert_allclose(answers.share.sum(axis=-1), 1.0, rtol=1e-12)
    summed = np.nansum(answers.share * answers.by_fear, axis=-1)[:, 0]
    np.testing.assert_allclose(summed, answers.effect[:, at.numbers[0][USUAL]], atol=1e-12)
    np.testing.assert_array_equal(np.isnan(answers.by_fear), answers.share == 0)
    assert len(of_setting(at, answers, 0, Setting.END_FEAR)[0]) == len(FEAR_EDGES) - 1


def test_without_a_boost_of_threat_the_drug_leaves_the_threat_trace_as_it_is(at: Stage) -> None:
    """Extinction only: safety grows with the drug; what is unlearned within sessions is the same."""
    found = prior_answers(at, rival("extinction_only"), DRAWS)
    assert (found.on_safety > 0).all()
    assert np.abs(found.on_threat).max() < 0.02
    assert (found.effect >= -0.01).all()


def test_statistical_accounts_have_no_curves(at: Stage) -> None:
    with pytest.raises(InputError, match="curves need an account with a mechanism, such as dual_trace; given none"):
        prior_answers(at, rival("none"), 2)


def test_answers_of_a_posterior_are_those_of_its_thinned_draws(at: Stage, answers: Answers) -> None:
    scores = {name: part[None] for name, part in prior_scores(rival("dual_trace"), DRAWS, 1).items()}
    empty = np.zeros((1, DRAWS, 1))
    posterior = Posterior(
        account="dual_trace",
        method=Method.NUTS,
        trials=("x",),
        scores=scores,
        log_likelihood=empty,
        predicted=empty,
    )
    np.testing.assert_array_equal(posterior_answers(at, posterior, 100).effect, answers.effect)
    kept = thinned(posterior, 3)["shared"]
    np.testing.assert_array_equal(kept, scores["shared"][0][[0, 2, 5]])


@pytest.mark.parametrize("disorder", list(Disorder)[:5])
def test_imaginary_trials_change_one_thing_at_a_time(disorder: Disorder) -> None:
    made = imagined(disorder)
    arms = [arm.source for arm in made.plan.arms]
    assert [arm.is_placebo for arm in arms] == [True] + [False] * (len(arms) - 1)
    usual = arms[USUAL].model_dump(exclude={"id", "label"})
    for points in made.points.values():
        for _, place in points:
            if place:
                own = arms[place].model_dump(exclude={"id", "label"})
                assert {name for name in own if own[name] != usual[name]} <= {
                    "dose_mg",
                    "give",
                    "minutes",
                    "sessions",
                }
    assert [value for value, _ in made.points[Setting.DOSE]] == list(DOSES_MG)
    assert [value for value, _ in made.points[Setting.MINUTES]] == list(MINUTES)
    after = [arms[place] for value, place in made.points[Setting.MINUTES] if value > 0]
    assert {arm.give for arm in after} == {"after"}
    assert re.fullmatch(r"imagined_[a-z_]+", made.plan.protocol.id)
