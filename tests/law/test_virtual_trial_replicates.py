"""Many trials at once are the same trials one by one, however the engine cuts its work; analysed together as alone."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest

from dualtrace.analysis.ancova import ancova
from dualtrace.errors import InputError
from dualtrace.simulation.engine import BLOCK, Engine
from dualtrace.simulation.load import parse_protocol
from dualtrace.simulation.mechanism import Mechanism
from dualtrace.simulation.plan import plan_of
from dualtrace.simulation.replicates import MOST, Replicates, run_trials, trials_of
from dualtrace.simulation.virtual_trial import VirtualTrial
from virtual_blocks import PLACEBO, PRE, SMALL, VISITS, text_of

EACH, TRIALS = 60, 80
CHANCE = text_of([PRE, PLACEBO], visits=VISITS[1:2])


@functools.cache
def engine() -> Engine:
    return Engine(plan_of(parse_protocol(SMALL)), Mechanism(), threads=1)


@functools.cache
def trials() -> Replicates:
    return trials_of(engine(), TRIALS, EACH, 7)


def test_the_first_trial_is_the_trial_run_alone() -> None:
    """The arms of a patient to the letter; scores come from another compiled program and may differ in rounding."""
    alone, first = VirtualTrial(engine(), EACH, 7, engine().sums(EACH, 7)).rows, trials()
    np.testing.assert_array_equal(first.arm[0], alone.arm)
    np.testing.assert_allclose(first.scores[0], alone.observed[:, 0].T, rtol=1e-11)
    there = alone.lived["attended"] > 0
    np.testing.assert_allclose(first.end[0], np.where(there, alone.lived["end"], np.nan).T, rtol=1e-10, atol=1e-9)


def test_trials_together_are_the_patients_of_one_large_trial_who_are_in_the_same_arm_there() -> None:
    large = engine().rows(EACH * TRIALS, 7)
    same = trials().arm.ravel() == large.arm
    assert 0.2 < same.mean() < 0.6
    np.testing.assert_allclose(
        trials().scores.reshape(-1, large.observed.shape[0])[same], large.observed[:, 0].T[same], rtol=1e-11
    )


def test_every_trial_is_balanced_by_itself_within_strata() -> None:
    """Blocks of 3 and 6 leave at most two patients of an arm too many in each of the two strata."""
    counts = np.stack([(trials().arm == place).sum(axis=1) for place in range(3)])
    assert (counts.max(axis=0) - counts.min(axis=0) <= 4).all()
    assert len({trial.tobytes() for trial in trials().arm}) == TRIALS
    severe = engine().rows(EACH * TRIALS, 7).person["severity"].reshape(TRIALS, EACH) > 0
    for place in range(3):
        split = ((trials().arm == place) & severe).sum(axis=1) - severe.sum(axis=1) / 3
        assert np.abs(split).max() <= 2


def test_fewer_trials_are_the_first_of_many() -> None:
    few = trials_of(engine(), 3, EACH, 7)
    for one, other in ((few.arm, trials().arm), (few.scores, trials().scores), (few.end, trials().end)):
        assert one.tobytes() == other[:3].tobytes()


@pytest.mark.parametrize(("chunk", "threads"), [(1, 1), (3, 2), (32, 4)])
def test_chunks_and_threads_change_no_byte(chunk: int, threads: int) -> None:
    assert EACH * TRIALS > 4 * BLOCK
    other = trials_of(replace(engine(), chunk=chunk, threads=threads), TRIALS, EACH, 7)
    assert other.arm.tobytes() == trials().arm.tobytes()
    assert other.scores.tobytes() == trials().scores.tobytes()
    assert other.end.tobytes() == trials().end.tobytes()


def test_analysed_together_as_one_by_one() -> None:
    found, plan = trials().ancova(), engine().plan
    names = np.array([arm.source.id for arm in plan.arms])
    assert found.arms == ("placebo", "earned", "scored")
    post = [visit.id for visit in plan.visits].index("post") + 1
    for r in range(TRIALS):
        one = trials().scores[r]
        alone = ancova(one[:, post], one[:, 0], names[trials().arm[r]], reference="placebo")
        for name in ("estimate", "se", "p", "df", "adjusted", "n"):
            np.testing.assert_allclose(getattr(found, name)[r], getattr(alone, name), rtol=1e-9)


def test_the_visit_to_analyse_can_be_named() -> None:
    month = trials().ancova("month")
    last = ancova(trials().scores[..., 3], trials().scores[..., 0], trials().arm, reference=2)
    np.testing.assert_array_equal(month.estimate, last.estimate)
    with pytest.raises(InputError, match="LSAS is assessed at mid, post, month; given week"):
        trials().ancova("week")


def test_by_chance_arms_are_those_of_one_large_trial() -> None:
    protocol = parse_protocol(CHANCE)
    many = run_trials(protocol, trials=8, patients=EACH, seed=7)
    large = Engine(plan_of(protocol), Mechanism()).rows(8 * EACH, 7)
    np.testing.assert_array_equal(many.arm.ravel(), large.arm)


def test_without_capsules_that_do_anything_the_test_rejects_at_its_level() -> None:
    """Two placebo arms: p below 0.05 in about one trial of twenty, 400 trials."""
    arms = ["{id: a, label: a, agent: placebo}", "{id: b, label: b, agent: placebo}"]
    null = run_trials(parse_protocol(text_of(arms, visits=VISITS[1:2])), trials=400, patients=60, seed=3)
    share = float((null.ancova().p < 0.05).mean())
    assert abs(share - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 400)


def test_the_arrays_cannot_be_written() -> None:
    for array in (trials().arm, trials().scores, trials().end):
        assert not array.flags.writeable


@pytest.mark.parametrize(
    ("count", "each", "message"),
    [
        (0, 60, "1 or more trials of 1 or more patients; given 0 of 60"),
        (5, 0, "1 or more trials of 1 or more patients; given 5 of 0"),
        (MOST, 2, "outcomes of at most 10,000,000 patients are kept; given 10,000,000 trials of 2"),
    ],
)
def test_impossible_numbers_of_trials_are_refused(count: int, each: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        trials_of(engine(), count, each)
