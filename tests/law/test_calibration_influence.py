"""Laws of influence: what says nothing moves nothing, known weights give known shifts, priors hold their own draws."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

import dualtrace as dt
from dualtrace.calibration.assurance import prior_check
from dualtrace.calibration.curves import prior_scores
from dualtrace.calibration.gather import rows_of_problem
from dualtrace.calibration.influence import influence, of_kinds, of_trials
from dualtrace.calibration.model import Problem, likelihoods_of, priors_of, problem_of
from dualtrace.calibration.moderation import INTERACTION
from dualtrace.calibration.outcomes import PLACEBO
from dualtrace.calibration.rivals import rival
from dualtrace.calibration.targets import subjects_of
from dualtrace.mechanism.arrays import xp
from made_posterior import made_posterior

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dualtrace.calibration.posterior import Posterior

CHOSEN = ("hofmann2013", "otto2010", "smits2020", "storch2010")
DRAWS = 4000
DUAL = rival("dual_trace")


@pytest.fixture(scope="module")
def problem(compiled_programs: None) -> Problem:  # noqa: ARG001 - for what it sets
    return problem_of(subjects_of(trial for trial in dt.evidence.load() if trial.id in CHOSEN), points=2)


def _posterior(draws: int, predicted: NDArray[np.float64], trials: tuple[str, ...] = ("x",)) -> Posterior:
    scores = {name: part[None] for name, part in prior_scores(DUAL, draws, 3).items()}
    return made_posterior(DUAL.name, scores, trials=trials, predicted=predicted)


def test_what_says_nothing_moves_nothing() -> None:
    (found,) = of_trials(_posterior(DRAWS, np.zeros((1, DRAWS, 1))))
    assert found.shift == pytest.approx(0, abs=1e-9)
    assert found.effective == pytest.approx(DRAWS)
    assert found.is_reliable


def test_leaving_out_a_tilt_moves_the_tilted_parameter_by_it() -> None:
    r"""Draws :math:`N(0, 1)` weighed by :math:`e^{-a u}` are :math:`N(-a, 1)`: a shift of ``-a`` SDs, worth
    :math:`S e^{-a^2}` draws."""
    posterior = _posterior(DRAWS, np.zeros((1, DRAWS, 1)))
    names, tilt = list(priors_of(DUAL)), 0.5
    place = names.index("tolerance.jump")
    found = influence(posterior, "x", tilt * posterior.scores["shared"][0, :, place])
    assert found.most == "tolerance.jump"
    assert found.most_shift == pytest.approx(-tilt, abs=0.05)
    assert found.effective == pytest.approx(DRAWS * np.exp(-(tilt**2)), rel=0.1)
    assert abs(found.shift) < 0.06


def test_weights_of_few_draws_are_said_to_be_unreliable() -> None:
    posterior = _posterior(DRAWS, np.zeros((1, DRAWS, 1)))
    heavy = -5 * np.abs(np.random.default_rng(4).standard_t(2, DRAWS))
    assert not influence(posterior, "x", heavy).is_reliable


def test_draws_that_are_all_the_same_have_no_prior_sensitivity() -> None:
    """An approximation whose weights are worth one draw must still be shown, as failed."""
    posterior = _posterior(200, np.zeros((1, 200, 1)))
    same = {name: np.repeat(part[:, :1], 200, axis=1) for name, part in posterior.scores.items()}
    stuck = replace(posterior, scores=same, effective=1.0, pareto_k=1.2)
    assert all(np.isnan(one.sensitivity) and not one.hangs_on_priors for one in stuck.estimates)
    assert len(stuck.failures) == 2
    assert of_trials(stuck)[0].most_shift == 0


def test_hiding_a_kind_of_information_hides_its_rows_alone(problem: Problem) -> None:
    """Kinds are independent where a trial has one row: then what is hidden adds up to everything."""
    draws = 50
    rows = np.asarray(problem.rows.standard).size
    expected = np.random.default_rng(5).normal(0, 0.3, (1, draws, rows))
    posterior = _posterior(draws, expected, tuple(s.trial.id for s in problem.subjects))
    kinds = [row.kind for row in rows_of_problem(problem)]
    assert {one.left_out for one in of_kinds(problem, posterior, kinds)} == set(kinds) - {"placebo"}
    shared = {name: values[0, 0] for name, values in posterior.values.items()}
    whole = np.asarray(likelihoods_of(problem, DUAL, shared, expected[0, 0])[0])
    hidden = np.where([kind == "moderator" for kind in kinds], PLACEBO, np.asarray(problem.rows.standard))
    without = replace(problem, rows=problem.rows._replace(standard=xp.asarray(hidden)))
    left = np.asarray(likelihoods_of(without, DUAL, shared, expected[0, 0])[0])
    moderated = {s.trial.id for s in problem.subjects if s.moderations}
    changed = {s.trial.id for s, a, b in zip(problem.subjects, whole, left, strict=True) if abs(a - b) > 1e-12}
    assert changed == moderated


def test_rows_are_named_in_the_order_of_the_problem(problem: Problem) -> None:
    standard, exact = np.asarray(problem.rows.standard), np.asarray(problem.rows.exact)
    ids = [subject.trial.id for subject in problem.subjects]
    for row, number, is_exact, place in zip(
        rows_of_problem(problem), standard, exact, np.asarray(problem.rows.trial), strict=True
    ):
        assert row.trial == ids[place]
        assert (row.kind == "moderator") == (number == INTERACTION)
        assert (row.kind == "placebo") == (number == PLACEBO)
        assert row.is_effect == (0 <= number < INTERACTION)
        if row.is_effect:
            assert (row.kind == "number") == is_exact


def test_a_prior_holds_what_it_is_told_to_expect(problem: Problem) -> None:
    """Numbers in the middle of what "no effect" expects lie within its band, numbers far out do not."""
    exact = np.asarray(problem.rows.exact) & (np.asarray(problem.rows.standard) >= 0)

    def within(value: float) -> int:
        rows = problem.rows._replace(y=xp.asarray(np.where(exact, value, np.asarray(problem.rows.y))))
        return prior_check(replace(problem, rows=rows), rival("none"), 200).within

    numbers = prior_check(problem, rival("none"), 200).numbers
    assert numbers == exact.sum()
    assert within(0.0) == numbers
    assert within(9.0) == 0
