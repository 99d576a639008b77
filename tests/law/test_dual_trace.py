"""Laws of the dual trace that hold for every draw of its prior, not for one tuned point."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dualtrace.experiments.board import prior_draws
from dualtrace.mechanism.arrays import xp
from dualtrace.mechanism.memory.contract import Event, Rest, Sizes, Timeline, follow
from dualtrace.mechanism.memory.dual_trace import Constants, DualTrace, covered, restabilised, sigmoid, stored_part
from dualtrace.mechanism.memory.registry import memory_model
from dualtrace.mechanism.parameters import load_parameters

DRAWS = 200
MODEL = DualTrace()


def theta_of(seed: int = 3, model: Any = MODEL, **pins: float) -> Any:
    drawn = prior_draws(model, DRAWS, seed)
    drawn |= {f"dual_trace.{name}": np.full(DRAWS, value) for name, value in pins.items()}
    return model.theta(load_parameters().lookup_with({name: values[:, None] for name, values in drawn.items()}))


def extinction(gains: list[float], *, pairings: int = 4, exposures: int = 8, quality: float = 1.0) -> Timeline:
    """Pairings, a day, exposures, a day, a test; one group per drug gain in the window of the exposures."""
    rows, groups = pairings + exposures + 1, len(gains)
    shape = (rows, 1, groups)
    hours, closes, us, gain = (np.zeros(shape) for _ in range(4))
    us[:pairings] = 1
    hours[1:] = 0.03
    for t in (pairings, pairings + exposures):
        hours[t], closes[t] = 24, 1
    gain[pairings + exposures] = np.array(gains)
    one, zero = np.ones(shape), np.zeros(shape)
    cue = np.ones((*shape, 1))
    event = Event(*map(xp.asarray, (cue, cue, us, one, quality * one, zero, zero)))
    return Timeline(Rest(*map(xp.asarray, (hours, closes, gain, gain))), event, xp.asarray(zero + np.inf))


def fear_at_test(timeline: Timeline, theta: Any, model: Any = MODEL) -> Any:
    rows, _, groups = timeline.gate.shape
    return np.asarray(follow(model, theta, timeline, Sizes((DRAWS, groups), 1, 1, rows)).fear)[-1]


def test_extinction_only_is_never_harmed_by_an_agonist() -> None:
    """Without restabilisation a gain can only add safety: fear at the test falls, or stays."""
    model = memory_model("extinction_only")
    for exposures in (1, 3, 8, 20):
        for quality in (0.1, 1.0):
            fear = fear_at_test(
                extinction([0.0, 0.3, 0.6], exposures=exposures, quality=quality), theta_of(model=model), model
            )
            assert (np.diff(fear, axis=1) <= 1e-12).all()


def test_restabilisation_alone_can_only_harm() -> None:
    """Where nothing can be stored as safety the drug has nothing but the threat trace: fear rises, or stays."""
    theta = theta_of(storage_opens=1e6)
    for exposures in (1, 3, 8, 20):
        fear = fear_at_test(extinction([0.0, 0.3, 0.6], exposures=exposures), theta)
        assert (np.diff(fear, axis=1) >= -1e-12).all()


def test_a_full_block_stores_no_safety_and_a_full_session_needs_no_drug() -> None:
    """The gate: full block leaves fear of an untouched threat or more; where all is covered a gain adds nothing."""
    theta = theta_of(restabilisation=0.0, basal=0.0)
    blocked, plain = fear_at_test(extinction([-1.0, 0.0], exposures=12), theta).T
    none = fear_at_test(extinction([0.0], exposures=0), theta)[:, 0]
    np.testing.assert_allclose(blocked, none, atol=1e-9)
    assert (plain <= blocked + 1e-12).all()
    steep = theta_of(restabilisation=0.0, storage_opens=0.2, switch_steepness=20.0, fresh_h=48.0)
    gained, without = fear_at_test(extinction([0.6, 0.0], exposures=400), steep).T
    assert np.abs(gained - without).max() < 0.01


def test_under_a_full_block_the_basal_part_is_stored_and_no_more() -> None:
    theta = theta_of()
    zero = xp.zeros((DRAWS, 1))
    blocked = stored_part(theta, zero + 0.7, zero, zero - 1.0)
    np.testing.assert_allclose(blocked, theta.basal, rtol=1e-12)
    assert (stored_part(theta, zero + 0.7, zero, zero) > blocked).all()


def test_soon_after_a_us_little_is_stored() -> None:
    """The immediate extinction deficit: right after a US nothing lasts, and the more the longer ago it was."""
    theta = theta_of()
    zero = xp.zeros((DRAWS, 1))
    naive = MODEL.init(theta, Sizes((DRAWS, 1), 1, 1, 1))
    learned = naive._replace(threat=naive.threat + 0.9, fresh=naive.fresh + 0.6, seen=naive.seen + 1)
    stored = []
    for hours in (0.0, 1.0, 24.0, 1e6):
        alarmed = learned._replace(alarm=zero + np.exp(-hours / np.asarray(theta.alarm_h)))
        stored.append(np.asarray(MODEL.rest(theta, alarmed, Rest(zero, zero + 1, zero, zero)).safety)[..., 0, 0])
    np.testing.assert_array_equal(stored[0], 0)
    assert (np.diff(np.stack(stored), axis=0) >= 0).all()
    assert (stored[-1] > stored[1]).all()


def test_the_share_covered_rises_with_safety_falls_with_threat_and_has_a_bounded_slope() -> None:
    """Old and fresh safety count alike; beside next to no threat the share cannot jump from none to all."""
    some = np.linspace(0, 2, 41)
    share = np.asarray(covered(xp.asarray(some[None]), xp.asarray(some[:, None])))
    assert (share >= 0).all()
    assert (share <= 1).all()
    assert (np.diff(share, axis=0) >= 0).all()
    assert (np.diff(share, axis=1) <= 0).all()
    np.testing.assert_allclose(covered(xp.asarray(0.99), xp.asarray(0.5)), 0.5, rtol=1e-12)
    assert float(covered(xp.asarray(0.0), xp.asarray(1e-4))) == pytest.approx(0.01)


def test_a_session_elsewhere_neither_stores_nor_refreshes_safety() -> None:
    """Only what a session presented, where it was presented, is changed when it closes."""
    theta = theta_of()
    state = MODEL.init(theta, Sizes((DRAWS, 1), 1, 2, 1))
    state = state._replace(threat=state.threat + 0.9, safety=state.safety + 0.5, recalled=state.recalled + 0.2)
    one, zero = xp.ones((1, 1)), xp.zeros((1, 1))
    here = np.zeros((1, 1, 2))
    here[..., 0] = 1
    shown, _ = MODEL.present(theta, state, Event(xp.ones((1, 1, 1)), xp.asarray(here), zero, one, one, zero, zero))
    closed = MODEL.rest(theta, shown, Rest(zero, one, zero, zero))
    for before, after in ((state.safety, closed.safety), (state.recalled, closed.recalled)):
        np.testing.assert_array_equal(np.asarray(after)[..., 0, 1], np.asarray(before)[..., 0, 1])
        assert (np.asarray(after)[..., 0, 0] > np.asarray(before)[..., 0, 0]).any()


def test_a_us_ends_what_was_missed_and_leaves_what_was_learned_safe() -> None:
    """Only omissions that stand when the session ends count; they are gone after a US, whatever came before."""
    theta = theta_of()
    state = MODEL.init(theta, Sizes((DRAWS, 1), 1, 1, 1))
    one, zero, cue = xp.ones((1, 1)), xp.zeros((1, 1)), xp.ones((1, 1, 1))
    for us in (1, 1, 1, 0, 0, 0):
        state, _ = MODEL.present(theta, state, Event(cue, cue, zero + us, one, one, zero, zero))
    assert (np.asarray(state.mismatch)[..., 0] > 0).all()
    learned = np.asarray(state.fresh)[..., 0, 0]
    assert (learned > 0).all()
    state, _ = MODEL.present(theta, state, Event(cue, cue, one, one, one, zero, zero))
    np.testing.assert_array_equal(state.mismatch[..., 0], 0)
    np.testing.assert_array_equal(state.fresh[..., 0, 0], learned)


def test_a_us_that_is_less_than_expected_lowers_the_threat() -> None:
    """Overexpectation: two cues that each predict a US predict two together, and lose threat when one comes."""
    theta = theta_of(context_salience=0.0)
    state = MODEL.init(theta, Sizes((DRAWS, 1), 2, 1, 1))
    state = state._replace(threat=state.threat + 0.9)
    one, zero, here = xp.ones((1, 1)), xp.zeros((1, 1)), xp.ones((1, 1, 1))
    both = xp.ones((1, 1, 2))
    after, info = MODEL.present(theta, state, Event(both, here, one, one, one, zero, zero))
    np.testing.assert_allclose(info.error, -0.8, rtol=1e-9)
    expected = np.maximum(0.9 - 0.8 * theta.threat_rate, 0)
    np.testing.assert_allclose(np.asarray(after.threat)[..., 0], expected, rtol=1e-9)


def test_the_effect_of_the_drug_is_continuous_at_no_drug() -> None:
    fear = fear_at_test(extinction([0.0, 1e-7, -1e-7]), theta_of())
    assert np.abs(fear[:, 1:] - fear[:, :1]).max() < 1e-5


def test_block_and_gain_pull_the_threat_trace_apart() -> None:
    """For an open trace below its bound a gain raises it and a block lowers it; a closed trace does not move."""
    theta = theta_of()
    zero = xp.zeros((DRAWS, 1, 1))
    naive = MODEL.init(theta, Sizes((DRAWS, 1), 1, 1, 1))
    state = naive._replace(threat=zero + 0.8)
    openness = zero + 0.7
    up, down = (restabilised(theta, state, openness, zero + gain) for gain in (0.5, -0.5))
    assert (up > 0).all()
    assert (down < 0).all()
    np.testing.assert_array_equal(restabilised(theta, state, zero, zero + 0.5), 0)


def test_traces_stay_within_their_bounds_over_many_augmented_sessions() -> None:
    """Unbounded, a strengthened trace would explode over sessions; both are bounded."""
    theta = theta_of()
    sizes = Sizes((DRAWS, 1), 1, 1, 400)
    state = MODEL.init(theta, sizes)
    one, zero, cue = xp.ones((1, 1)), xp.zeros((1, 1)), xp.ones((1, 1, 1))
    for t in range(400):
        rest = Rest(zero + 24, one, one, one) if t % 5 == 0 else Rest(zero + 0.03, zero, zero, zero)
        state = MODEL.rest(theta, state, rest)
        state, _ = MODEL.present(theta, state, Event(cue, cue, one if t % 50 < 5 else zero, one, one, zero, zero))
        threat, safety = np.asarray(state.threat), np.asarray(state.safety)
        assert (threat >= 0).all()
        assert (threat <= theta.threat_max[..., None] + 1e-12).all()
        assert (np.asarray(state.recalled) >= 0).all()
        assert (np.asarray(state.recalled) <= safety + 1e-12).all()


def test_more_exposures_never_leave_more_fear_without_a_drug() -> None:
    theta = theta_of()
    last = [fear_at_test(extinction([0.0], exposures=n), theta)[:, 0] for n in (1, 2, 4, 8, 16, 32)]
    assert (np.diff(last, axis=0) <= 1e-9).all()


def test_no_exposure_is_no_target() -> None:
    """A gain after a day on which nothing was presented does nothing: there is no open session."""
    timeline = extinction([0.0, 0.6])
    event = timeline.event._replace(
        cue=timeline.event.cue.copy(), context=timeline.event.context.copy(), length=timeline.event.length.copy()
    )
    event.cue[4:12] = event.context[4:12] = 0
    event.length[4:12] = 0
    fear = fear_at_test(timeline._replace(event=event), theta_of())
    np.testing.assert_allclose(fear[:, 0], fear[:, 1], rtol=0, atol=1e-12)


def test_expected_safety_learning_halves_when_half_is_taken_in() -> None:
    """In the first unreinforced presentation fresh safety is proportional to the share taken in."""
    theta = theta_of()
    fear = {
        q: np.asarray(
            follow(MODEL, theta, extinction([0.0], exposures=2, quality=q), Sizes((DRAWS, 1), 1, 1, 7)).expectation
        )[4:6, :, 0]
        for q in (0.5, 1.0)
    }
    fade = np.exp(-0.03 / theta.fresh_h)[:, 0]
    drop = {q: values[0] - values[1] for q, values in fear.items()}
    np.testing.assert_allclose(drop[1.0] / fade, 2 * drop[0.5] / fade, rtol=1e-9)


@pytest.mark.parametrize("value", [-800.0, -1.0, 0.0, 1.0, 800.0])
def test_the_logistic_function_does_not_overflow(value: float) -> None:
    expected = 1 / (1 + np.exp(-value)) if value > -700 else 0.0
    assert sigmoid(np.float64(value)) == pytest.approx(expected, abs=1e-15)


def test_constants_are_named_once() -> None:
    assert MODEL.constants == tuple(f"dual_trace.{name}" for name in Constants._fields)
