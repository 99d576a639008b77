"""Parts of the virtual trial against independent answers: the general memory model, the chain, JAX's generator."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import pytest
from jax.extend.random import threefry_2x32
from scipy import stats

from dualtrace.experiments.board import prior_draws
from dualtrace.mechanism.agents import agent_chain
from dualtrace.mechanism.arrays import xp
from dualtrace.mechanism.chain import Structure, Switches, build, consolidation_boost
from dualtrace.mechanism.consolidation import Kernel
from dualtrace.mechanism.linear import Doses
from dualtrace.mechanism.memory.dual_trace import DualTrace, Traces
from dualtrace.mechanism.memory.pinned import Pinned
from dualtrace.mechanism.parameters import load_parameters
from dualtrace.mechanism.plasma import Covariates
from dualtrace.mechanism.population import agent_deviations_of, deviations_of, transit_deviations_of
from dualtrace.mechanism.receptor import Antidepressant
from dualtrace.simulation import block, capsule
from dualtrace.simulation.draws import key_of, normal, threefry, uniforms
from dualtrace.simulation.dual_trace_learner import DualTraceLearner
from dualtrace.simulation.learner import AnyLearner, Traits
from dualtrace.simulation.load import parse_protocol
from dualtrace.simulation.mechanism import Mechanism, lookup_in
from dualtrace.simulation.patients import count_of, patients_of
from dualtrace.simulation.plan import plan_of
from virtual_blocks import PLACEBO, PRE, VISITS, text_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dualtrace.mechanism.chain import Chain
    from dualtrace.simulation.patients import Patients
    from dualtrace.simulation.plan import Plan

LEARNERS = 300


def drawn_for(key: Any, patients: Any, count: int, dtype: Any) -> Any:
    """Uniform numbers by NumPy."""
    return uniforms(key, patients, count, dtype)


def words(key: Any, high: Any, low: Any) -> Any:
    """Random words by whichever arrays are given."""
    return threefry(key, high, low)


def learners(seed: int) -> tuple[DualTraceLearner, AnyLearner]:
    """The same patients, each with constants of their own from the prior, in the small form and in the general one."""
    rng: Any = np.random.default_rng(seed)
    threat, learning, share = (
        rng.uniform(0.4, 1.6, LEARNERS),
        np.exp(rng.normal(0, 0.5, LEARNERS)),
        rng.random(LEARNERS),
    )
    traits = Traits(threat, learning, share)
    lookup = load_parameters().lookup_with(prior_draws(DualTrace(), LEARNERS, seed))
    general = Pinned(DualTrace(), {"dual_trace.context_salience": 0.0}, name="cue", title="Cue alone")
    one: Any = np.zeros((LEARNERS, 3))
    bound: Any = np.zeros((LEARNERS, 3, 2))
    calm: Any = np.zeros(LEARNERS)
    threats = one.copy()
    threats[:, 0] = np.minimum(threat, np.asarray(lookup("dual_trace.threat_max", "1")))
    acquired = Traces(threats, one, *(bound,) * 5, one, bound, bound, calm, calm, calm)
    return DualTraceLearner(DualTrace().theta(lookup), traits), AnyLearner(general, lookup, traits, acquired)


def test_the_dual_trace_of_one_cue_is_the_general_one_with_its_context_unseen() -> None:
    """Seven sessions of random length and spacing, gains up and down, the drug on board, and mishaps."""
    rng: Any = np.random.default_rng(5)
    small, general = learners(5)
    here, there = small.start(), general.start()

    def same(stage: str) -> None:
        np.testing.assert_allclose(small.fear(here), general.fear(there), rtol=0, atol=1e-12, err_msg=stage)
        outside = small.fear_outside(here), general.fear_outside(there)
        np.testing.assert_allclose(*outside, rtol=0, atol=1e-12, err_msg=stage)

    for session in range(7):
        hours, pace_h = rng.choice([12.0, 48.0, 168.0, 900.0]), rng.uniform(0.02, 0.3)
        quality, drug = rng.random(LEARNERS), rng.choice([0.0, 0.3], LEARNERS)
        here, there = small.wait(here, hours), general.wait(there, hours)
        paces = small.pace(here, pace_h), general.pace(there, pace_h)
        for exposure in range(rng.integers(1, 12)):
            if exposure == 2:
                happens = rng.integers(0, 2, LEARNERS).astype(float)
                here = small.mishap(here, happens, quality, drug)
                there = general.mishap(there, happens, quality, drug)
                same(f"mishap {session}")
            here = small.expose(here, paces[0], quality, drug)
            there = general.expose(there, paces[1], quality, drug)
        same(f"exposures {session}")
        gain = rng.uniform(-1.2, 1.5, LEARNERS)
        here, there = small.close(here, gain), general.close(there, gain)
        same(f"closed {session}")
    for name in ("safety", "recalled", "sessions", "wait", "waiting"):
        np.testing.assert_allclose(
            getattr(here, name), getattr(there, name)[:, 0, 0], rtol=0, atol=1e-12, err_msg=name
        )
    for name in ("threat", "mismatch"):
        np.testing.assert_allclose(getattr(here, name), getattr(there, name)[:, 0], rtol=0, atol=1e-12, err_msg=name)
    assert np.ptp(small.fear(here)) > 0.5
    assert (np.abs(here.threat - small.traits.threat) > 0.01).mean() > 0.5


PEOPLE = 8
NONE: Any = np.zeros(PEOPLE)
COURSE = (
    "{minutes: 60, exposures: 4}, {day: 1, minutes: 90, exposures: 4}, {day: 2, minutes: 60, exposures: 4}, "
    "{day: 5.4, minutes: 60, exposures: 4}, {day: 6, minutes: 20, exposures: 4}, {day: 34, minutes: 60, exposures: 4}"
)
SKIPPED = np.array([[1, 1, 1, 1, 1, 1], [1, 0, 1, 0, 0, 1], [0, 1, 1, 1, 1, 0], [1, 1, 0, 1, 1, 1]], float)
"""Sessions at 24 h, at 14 h and after weeks; capsules taken by four kinds of patients."""


def arm_text(agent: str, timing: str) -> str:
    return f"{{id: drug, label: drug, agent: {agent}, dose_mg: 100, {timing}}}"


def planned(agent: str, timing: str, more: str = "") -> tuple[Plan, Patients]:
    plan = plan_of(parse_protocol(text_of([arm_text(agent, timing), PLACEBO], sessions=COURSE, more=more)))
    lookup = lookup_in(Mechanism().values(), np.float64)
    uniform = drawn_for(key_of(11), np.arange(PEOPLE, dtype=np.uint32), count_of(plan), np.float64)
    return plan, patients_of(plan, lookup, uniform)


def chain_of_one(plan: Plan, switches: Switches, patients: Patients, i: int) -> Chain:
    """The chain of one patient, put together here once more from scalars."""
    lookup, normals = load_parameters().number, list(patients.kinetics[:, i])
    own = switches if patients.antidepressant[i] > 0 else switches.without_antidepressant()
    person = Covariates(*(float(np.broadcast_to(part, PEOPLE)[i]) for part in patients.covariates))
    arm = plan.arms[0]
    if arm.agent is not None:
        deviations = agent_deviations_of(arm.agent.spread.model_dump(), normals[:4])
        return agent_chain(arm.agent, person.weight, lookup, deviations=deviations, switches=own)
    if own.structure is Structure.TRANSIT:
        return build(
            person, [arm.source.meal], lookup, deviations=transit_deviations_of(lookup, normals[:4]), switches=own
        )
    return build(person, [arm.source.meal], lookup, deviations=deviations_of(lookup, normals), switches=own)


def boosts(plan: Plan, patients: Patients, switches: Switches, taken: Any) -> NDArray[np.float64]:
    """``M`` of every session as the virtual trial carries it along, ``(sessions, n)``."""
    mechanism = Mechanism(switches=switches)
    lookup = lookup_in(mechanism.values(), np.float64)
    supply = block.supply_of(plan, plan.arms[0], mechanism, patients, lookup)
    body, found = supply.start(), []
    for session in range(plan.sessions):
        row = {name: values[session] for name, values in supply.rows().items()}
        found.append(supply.boost(body, row, 100 * taken[session]))
        body = supply.swallow(body, row, 100 * taken[session])
    return np.array(found)


def chain_boosts(plan: Plan, patients: Patients, switches: Switches, taken: Any) -> NDArray[np.float64]:
    """The same by the chain: all capsules up to the session's own at once."""
    arm = plan.arms[0]
    swallowed: Any = plan.start_h + [arm.swallowed_h(minutes) for minutes in plan.minutes]
    ends = plan.start_h + plan.minutes / 60
    found = np.empty(taken.shape)
    for i, session in itertools.product(range(PEOPLE), range(plan.sessions)):
        chain = chain_of_one(plan, switches, patients, i)
        doses = Doses(swallowed[: session + 1], 100 * taken[: session + 1, i])  # 0 mg are no dose
        found[session, i] = consolidation_boost(chain, doses, ends[session], switches.kernel)
    return found


CASES = {
    "default": ("d-cycloserine", Switches(), ""),
    "transit": ("d-cycloserine", Switches(structure=Structure.TRANSIT), ""),
    "d-serine": ("d-serine", Switches(), ""),
    "no tolerance": ("d-cycloserine", Switches(tolerance=False), ""),
    "step": ("d-cycloserine", Switches(kernel=Kernel.STEP), ""),
    "half on an antidepressant": (
        "d-cycloserine",
        Switches(antidepressant=Antidepressant.WHOLE_SITE),
        "people: {antidepressants: 0.5}",
    ),
    "another drug": ("d-cycloserine", Switches(arousal=0.5, antagonists_um={"ketamine": 0.1}), ""),
}
TIMES = {
    "before": "give: before, minutes: 60",
    "at the start": "give: before, minutes: 0",
    "at the end": "give: after, minutes: 0",
    "later": "give: after, minutes: 45",
}


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("case", CASES)
def test_every_boost_is_that_of_the_chain(monkeypatch: pytest.MonkeyPatch, case: str, time: str) -> None:
    """With what earlier capsules left, tolerance, and capsules that were not taken; then with the nodes as shipped."""
    agent, switches, more = CASES[case]
    plan, patients = planned(agent, TIMES[time], more)
    taken = np.tile(SKIPPED, (PEOPLE // 4, 1)).T
    right = chain_boosts(plan, patients, switches, taken)
    assert right.max() > 0.02
    shipped = boosts(plan, patients, switches, taken)
    np.testing.assert_allclose(shipped, right, rtol=0, atol=1e-6 if time == "before" else 1e-4)
    monkeypatch.setattr(capsule, "_NODES", 32)
    np.testing.assert_allclose(boosts(plan, patients, switches, taken), right, rtol=0, atol=1e-10)


def test_both_kinds_of_patients_are_among_those_on_an_antidepressant() -> None:
    _, patients = planned("d-cycloserine", TIMES["before"], CASES["half on an antidepressant"][2])
    assert 0 < patients.antidepressant.sum() < PEOPLE


def test_the_generator_is_jaxs_threefry() -> None:
    rng: Any = np.random.default_rng(1)
    key = rng.integers(0, 2**32, 2, dtype=np.uint32)
    high, low = rng.integers(0, 2**32, (2, 1000), dtype=np.uint32)
    reference = threefry_2x32(tuple(key), np.concatenate([high, low]))
    np.testing.assert_array_equal(np.concatenate(words(key, high, low)), reference)
    np.testing.assert_array_equal(np.concatenate(words(*(jax.numpy.asarray(a) for a in (key, high, low)))), reference)


def test_numbers_are_words_of_the_generator_and_do_not_depend_on_how_many_are_drawn() -> None:
    key, ids = key_of(2**40 + 3), np.array([0, 5, 2**32 - 1], np.uint32)
    assert key.tolist() == [3, 2**8]
    many, few = drawn_for(key, ids, 9, np.float64), drawn_for(key, ids, 4, np.float64)
    np.testing.assert_array_equal(many[:4], few)
    expected = [words(key, ids, np.full(3, place // 2, np.uint32))[place % 2] for place in range(9)]
    np.testing.assert_array_equal(many, (np.array(expected) // 2**9 + 0.5) / 2**23)
    np.testing.assert_array_equal(drawn_for(key, ids, 9, np.float32).astype(float), many)
    assert drawn_for(key, ids, 9, np.float32).max() < 1


def test_numbers_are_uniform_and_unrelated_between_places_patients_and_seeds() -> None:
    n, places = 2**15, 24
    drawn = drawn_for(key_of(12), np.arange(n, dtype=np.uint32), places, np.float64)
    assert drawn.min() > 0
    assert drawn.max() < 1
    distances = [stats.kstest(row, "uniform").pvalue for row in drawn]
    assert min(distances) > 1e-3 / places
    other = drawn_for(key_of(13), np.arange(n, dtype=np.uint32), places, np.float64)
    allowed = 5 / np.sqrt(n)
    between = np.corrcoef(np.concatenate([drawn, other]))
    assert np.abs(between - np.eye(2 * places)).max() < allowed
    next_one = [np.corrcoef(row[:-1], row[1:])[0, 1] for row in drawn]
    assert np.abs(next_one).max() < allowed
    cells = np.histogram2d(drawn[0], drawn[1], bins=16, range=[[0, 1], [0, 1]])[0]
    assert stats.chisquare(cells.ravel()).pvalue > 1e-4


@pytest.mark.parametrize("array", [np.asarray, xp.asarray])
def test_equal_patients_of_different_plans_share_the_numbers_of_the_person(array: Any) -> None:
    """A further session changes what happens in sessions, not who the patient is."""
    people = []
    for sessions in ("{count: 2, minutes: 60, exposures: 4}", "{count: 5, minutes: 60, exposures: 4}"):
        plan = plan_of(parse_protocol(text_of([PRE, PLACEBO], sessions=sessions, visits=VISITS[1:2])))
        uniform = array(drawn_for(key_of(4), np.arange(50, dtype=np.uint32), count_of(plan), np.float64))
        people.append(patients_of(plan, lookup_in(Mechanism().values(), np.float64), uniform))
    for one, other in zip(people[0][:7], people[1][:7], strict=True):
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
            np.testing.assert_array_equal(a, b)


def test_another_drug_at_the_receptor_weakens_sessions_with_placebo_as_the_chain_has_it() -> None:
    """Whoever takes it takes it in every arm: the arms differ by their capsules alone."""
    switches = CASES["another drug"][1]
    plan, patients = planned("d-cycloserine", TIMES["before"])
    mechanism = Mechanism(switches=switches)
    lookup = lookup_in(mechanism.values(), np.float64)
    found = []
    for arm in plan.arms:
        supply = block.supply_of(plan, arm, mechanism, patients, lookup)
        row = {name: values[0] for name, values in supply.rows().items()}
        found.append(supply.boost(supply.start(), row, NONE))
    right = chain_boosts(plan, patients, switches, np.zeros((plan.sessions, PEOPLE)))[0]
    assert right.max() < -0.01
    np.testing.assert_allclose(found, [right, right], rtol=0, atol=1e-12)


def test_normals_are_those_of_scipys_quantile_function_in_both_precisions() -> None:
    places: Any = np.concatenate([[0, 2**22, 2**23 - 1], np.linspace(1, 2**23 - 2, 100_001).astype(int)])
    uniform = (places + 0.5) / 2**23
    right = stats.norm.ppf(uniform)
    np.testing.assert_allclose(normal(uniform), right, rtol=1e-13, atol=1e-15)
    single = np.asarray(normal(uniform.astype(np.float32)))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, right, rtol=2e-5, atol=2e-6)
