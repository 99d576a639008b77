"""Laws of virtual trials, patient by patient: what arms, doses, rules, order and precision can and cannot change."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

from virtual_blocks import EARNED, PLACEBO, POST, SESSIONS, arms_of, text_of

PRE_TWICE = "{id: pre, label: before, agent: d-cycloserine, dose_mg: 50, give: before, minutes: 60, sessions: [2, 4]}"
COURSE = f"{{minutes: 60, exposures: 0}}, {SESSIONS}"


def ruled(arm: str, rule: str) -> str:
    return EARNED.replace("id: earned", f"id: {arm}").replace("last_suds < 40", rule)


def dosed(arm: str, dose_mg: str) -> str:
    return POST.replace("id: post", f"id: {arm}").replace("dose_mg: 50", f"dose_mg: {dose_mg}")


MANY = text_of(
    [
        PLACEBO,
        PRE_TWICE,
        POST,
        EARNED,
        ruled("always", "session >= 1"),
        ruled("never", "session < 1"),
        dosed("trace", "0.001"),
        dosed("less", "0.000001"),
    ],
    sessions=COURSE,
)
TWO = text_of([EARNED, PRE_TWICE], sessions=COURSE)
"""Two arms of :data:`MANY` in the other order, without the rest."""

RULED = text_of([EARNED, PLACEBO], sessions=COURSE)

ROUNDING = 1e-9
"""Points of a scale of 144: a drug that is not there leaves a boost of 1e-16."""


def furthest(one: Any, other: Any) -> float:
    """Largest difference anywhere between two arms; missing must be missing in both."""
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return max(float(np.max(np.abs(np.nan_to_num(a, nan=-1e3) - np.nan_to_num(b, nan=-1e3)))) for a, b in pairs)


def symptoms(arms: dict[str, Any]) -> dict[str, Any]:
    """True primary score of every arm, ``(visits, n)``."""
    return {name: arm.scores.true[:, 0] for name, arm in arms.items()}


@pytest.fixture(scope="module")
def arms() -> dict[str, Any]:
    return arms_of(MANY)


def test_law_capsules_nobody_swallows_leave_every_arm_as_placebo() -> None:
    arms = arms_of(MANY, clinic__adherence=0)
    for name, arm in arms.items():
        assert arm.lived.dose_mg.max() == 0
        assert furthest(arm.scores, arms["placebo"].scores) < ROUNDING, name


def test_law_the_effect_is_proportional_to_a_vanishing_dose(arms: dict[str, Any]) -> None:
    true = symptoms(arms)
    trace, less = (true[name][-1] - true["placebo"][-1] for name in ("trace", "less"))
    assert 1e-5 < np.abs(trace).max() < 1e-2
    np.testing.assert_allclose(1000 * less, trace, atol=1e-3 * np.abs(trace).max())


def test_law_a_rule_that_always_holds_is_no_rule_and_one_that_never_holds_is_placebo(arms: dict[str, Any]) -> None:
    assert furthest(arms["always"].scores, arms["post"].scores) == 0
    np.testing.assert_array_equal(arms["always"].lived.dose_mg, arms["post"].lived.dose_mg)
    assert arms["never"].lived.dose_mg.max() == 0
    assert furthest(arms["never"].scores, arms["placebo"].scores) < ROUNDING
    assert furthest(arms["post"].scores, arms["placebo"].scores) > 1


def test_law_order_and_company_of_arms_do_not_matter(arms: dict[str, Any]) -> None:
    for name, arm in arms_of(TWO).items():
        assert furthest(arm, arms[name]) < ROUNDING


def test_law_every_arm_has_the_same_patients(arms: dict[str, Any]) -> None:
    first = {name: (arm.scores.observed[0], arm.lived.start[1]) for name, arm in arms.items()}
    assert all(furthest(one, first["placebo"]) == 0 for one in first.values())
    for name, arm in arms.items():
        np.testing.assert_array_equal(arm.lived.mishap, arms["placebo"].lived.mishap, err_msg=name)


def test_law_a_patient_is_the_same_wherever_in_the_population() -> None:
    here, there = arms_of(TWO, range(512)), arms_of(TWO, range(100, 612))
    for name in here:
        mine = jax.tree.map(lambda leaf: leaf[..., 100:], here[name])
        assert furthest(jax.tree.map(lambda leaf: leaf[..., :412], there[name]), mine) == 0
    far = arms_of(TWO, np.arange(2**32 - 512, 2**32, dtype=np.uint32))
    assert all(np.isfinite(arm.scores.true).all() for arm in far.values())


def test_law_another_seed_is_another_population_with_the_same_mean() -> None:
    one, other = (arms_of(TWO, seed=seed)["pre"].scores.true[0, 0] for seed in (1, 2))
    assert np.abs(one - other).min() > 0
    assert abs(one.mean() - other.mean()) < 4 * one.std() * np.sqrt(2 / one.size)


def test_law_without_restabilisation_an_agonist_harms_nobody_whose_fear_did_not_come_true() -> None:
    """The rest is new threat: the drug strengthens what a session with the feared event itself has taught."""
    arms = arms_of(MANY, dual_trace__restabilisation=0)
    spared = arms["placebo"].lived.mishap.max(axis=0) == 0
    true = symptoms(arms)
    assert 0.5 < spared.mean() < 1
    for name in ("pre", "post", "earned"):
        harm = true[name] - true["placebo"]
        assert harm[:, spared].max() < ROUNDING
        assert harm[:, ~spared].max() > 0.1
        assert harm.mean(axis=-1)[-1] < 0


def test_law_extinction_only_is_the_dual_trace_without_restabilisation() -> None:
    pinned = arms_of(TWO, dual_trace__restabilisation=0)
    rival = arms_of(TWO, memory="extinction_only")
    assert all(furthest(rival[name], pinned[name]) < ROUNDING for name in rival)


def test_law_the_soft_rule_tends_to_the_hard_one(arms: dict[str, Any]) -> None:
    """Of patients who stay to the end: a softened rule lets the others leave in parts."""
    hard = arms["earned"]
    stay = hard.lived.stays[-1] > 0
    wide, narrow = (arms_of(RULED, softness=width)["earned"] for width in (5.0, 1e-7))
    assert 0.01 < np.abs(wide.lived.given - hard.lived.given)[1:, stay].mean() < 0.2
    assert ((wide.lived.given > 0) & (wide.lived.given < 1)).mean() > 0.5
    assert np.abs(narrow.lived.given - hard.lived.given)[1:, stay].max() < 1e-9
    assert np.abs(narrow.scores.true - hard.scores.true)[..., stay].max() < 1e-6


def test_law_single_precision_gives_the_same_patients_to_stated_digits(arms: dict[str, Any]) -> None:
    """Points of the LSAS: SD at baseline about 25."""
    single = arms_of(TWO, dtype=np.float32)
    for name, arm in single.items():
        assert arm.scores.true.dtype == np.float32
        difference = arm.scores.true[:, 0] - arms[name].scores.true[:, 0]
        assert np.quantile(np.abs(difference), 0.99) < 1e-4
        assert np.abs(difference.mean(axis=-1)).max() < 1e-4
        np.testing.assert_array_equal(arm.lived.dose_mg > 0, arms[name].lived.dose_mg > 0)


def test_law_capsules_that_are_not_due_are_not_swallowed(arms: dict[str, Any]) -> None:
    swallowed = arms["pre"].lived.dose_mg
    assert swallowed[[0, 2]].max() == 0
    assert np.isin(swallowed[[1, 3]], (0, 50)).all()
    assert (arms["pre"].lived.due[[0, 2]] == 0).all()
    there = arms["pre"].lived.attended[1] > 0
    assert (swallowed[1, there] > 0).mean() == pytest.approx(0.95, abs=0.03)


def test_law_a_patient_who_has_left_gets_nothing_and_learns_nothing() -> None:
    """Without improvement of other kinds a patient who has left only forgets safety: symptoms never fall again."""
    arms = arms_of(MANY, clinic__nonspecific=0, clinic__dropout_slope=5)
    for name, arm in arms.items():
        lived = arm.lived
        assert (np.diff(lived.attended, axis=0) <= 0).all()
        np.testing.assert_array_equal(lived.stays[:-1], lived.attended[1:])
        gone = lived.attended == 0
        assert gone[-1].sum() > 25, name
        assert lived.dose_mg[gone].max() == 0
        assert lived.due[gone].max() == 0
        left_early = lived.stays[0] == 0  # before the first of three later visits
        assert left_early.sum() > 5
        assert np.diff(arm.scores.true[1:, 0, left_early], axis=0).min() > -ROUNDING
        assert np.diff(arm.scores.true[1:3, 0, ~left_early], axis=0).mean() < -1


def test_law_who_left_before_the_first_capsule_is_as_with_placebo(arms: dict[str, Any]) -> None:
    left = arms["placebo"].lived.stays[0] == 0
    assert left.any()
    for name in ("pre", "earned"):
        difference = symptoms(arms)[name] - symptoms(arms)["placebo"]
        assert np.abs(difference[:, left]).max() < ROUNDING
        assert np.abs(difference[:, ~left]).max() > 0.1
