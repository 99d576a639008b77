"""Laws of identifiability: known matrices give known counts, second derivatives agree, silent trials tell nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import numpy as np
import pytest

import dualtrace as dt
from dualtrace.calibration.curves import prior_scores
from dualtrace.calibration.identifiability import Identified, identified, information, read_off
from dualtrace.calibration.model import Problem, problem_of
from dualtrace.calibration.place import at
from dualtrace.calibration.posterior import columns_of
from dualtrace.calibration.rivals import rival
from dualtrace.calibration.targets import subjects_of
from dualtrace.mechanism.arrays import xp
from made_posterior import made_posterior

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dualtrace.mechanism.arrays import Array

CHOSEN = ("guastella2008", "otto2010")
"""Of social anxiety disorder and panic disorder only."""

SEED = 5


@pytest.fixture(scope="module")
def problem(compiled_programs: None) -> Problem:  # noqa: ARG001 - for what it sets
    return problem_of(subjects_of(trial for trial in dt.evidence.load() if trial.id in CHOSEN), points=2)


def test_eigenvalues_of_a_known_matrix_are_counted_and_named() -> None:
    turn = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
    found = read_off(turn @ np.diag([9.0, 0.5, 1.2]) @ turn.T, ["a", "b", "c"], draws=1)
    assert found.told == pytest.approx((9.0, 1.2, 0.5))
    assert [one.told for one in found.leading] == pytest.approx([9.0, 1.2])
    assert [name for name, _ in found.leading[0].parts] == ["a", "b", "c"]
    assert [weight for _, weight in found.leading[0].parts] == pytest.approx([0.8, 0.6, 0.0], abs=1e-9)
    assert found.alone["c"] == pytest.approx(1 - 1 / np.sqrt(2.2), abs=1e-5)


def test_without_data_nothing_is_told() -> None:
    found = read_off(np.zeros((2, 2)), ["a", "b"], draws=1)
    assert found.leading == ()
    assert found.alone == {"a": 0.0, "b": 0.0}


def test_counts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="1 combinations of 1 are told of; 0, 1 named"):
        Identified(draws=1, told=(2.0,), leading=(), alone={"a": 0.4})


@pytest.fixture(scope="module", params=["disorder", "dual_trace"])
def turned(request: pytest.FixtureRequest, problem: Problem) -> tuple[str, NDArray[np.float64], list[str]]:
    """Account, information, and names of its rows, from parts in the reverse of their usual order."""
    account: str = request.param
    places = prior_scores(rival(account), 1, SEED)
    reverse = {name: places[name] for name in reversed(places)}
    return account, information(problem, account, reverse), [name for name, _ in columns_of(account, reverse)]


def test_information_along_a_line_is_the_second_derivative_by_jax(
    problem: Problem, turned: tuple[str, NDArray[np.float64], list[str]]
) -> None:
    """Central differences of gradients against forward over reverse: within 0.001 of the largest number."""
    account, found, names = turned
    places = prior_scores(rival(account), 1, SEED)
    ends = np.cumsum([part.shape[1] for part in places.values()])[:-1]

    def likelihood(scores: Array) -> Array:
        trials, placebo = at(problem, rival(account), dict(zip(places, xp.split(scores, ends), strict=True)))
        return xp.asarray(trials.sum() + placebo)

    scores = np.concatenate(list(places.values()), axis=1)[0]
    line = np.random.default_rng(7).standard_normal(scores.size)
    curved = jax.jit(lambda at, along: jax.jvp(jax.grad(likelihood), (at,), (along,))[1])
    exact = -np.asarray(curved(xp.asarray(scores), xp.asarray(line)))
    order = [names.index(name) for name, _ in columns_of(account, places)]
    assert found[np.ix_(order, order)] @ line == pytest.approx(exact, abs=1e-3 * np.abs(exact).max())
    assert np.array_equal(found, found.T)


def test_trials_of_two_disorders_tell_of_no_other(turned: tuple[str, NDArray[np.float64], list[str]]) -> None:
    _, found, names = turned
    silent = [name.endswith(("[OCD]", "[PTSD]", "[specific_phobia]", "[mixed_anxiety]")) for name in names]
    assert not found[silent].any()
    spoken = [name.startswith(("learning", "effect")) and name.endswith(("[SAD]", "[PD]")) for name in names]
    assert found[spoken].any(axis=1).all()


def test_no_more_combinations_are_told_of_than_there_are_data(problem: Problem) -> None:
    """The account of one effect per disorder: two disorders with trials, a mean, and two spreads."""
    scores = {name: part[None] for name, part in prior_scores(rival("disorder"), 20, 3).items()}
    found = identified(problem, made_posterior("disorder", scores), 8)
    assert found.draws == 8
    assert list(found.alone) == [name for name, _ in columns_of("disorder", scores)]
    assert np.count_nonzero(np.abs(found.told) > 1e-9) <= 5
