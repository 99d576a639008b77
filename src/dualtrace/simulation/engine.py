"""The engine: blocks of patients through every arm, compiled once, in bounded memory, the same bytes however cut.

Patients are simulated in blocks of one fixed size; what a block gives depends on nothing but the plan, the seed and
the numbers of its patients. Chunks, devices and workers only say how many blocks go through at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np

from dualtrace.mechanism.arrays import xp
from dualtrace.mechanism.chain import Switches, build
from dualtrace.mechanism.memory.dual_trace import DualTrace
from dualtrace.simulation.course import Course, Lived, follow
from dualtrace.simulation.draws import uniforms
from dualtrace.simulation.dual_trace_learner import DualTraceLearner
from dualtrace.simulation.learner import AnyLearner
from dualtrace.simulation.patients import Patients, count_of, patients_of
from dualtrace.simulation.supply import Capsules, Placebo, Supply
from dualtrace.simulation.symptoms import Scores, Symptoms

if TYPE_CHECKING:
    from dualtrace.mechanism.arrays import Array
    from dualtrace.mechanism.memory.contract import Memory
    from dualtrace.mechanism.parameters import Lookup
    from dualtrace.simulation.plan import ArmPlan, Plan


@final
@dataclass(frozen=True)
class Mechanism:
    memory: Memory[Any, Any]
    switches: Switches = Switches()


class ArmCourse(NamedTuple):
    lived: Lived
    scores: Scores


def lookup_in(lookup: Lookup, dtype: Any) -> Lookup:  # noqa: ANN401
    """Return a lookup whose values have one precision."""

    def cast(name: str, unit: str) -> Any:  # noqa: ANN401
        return xp.asarray(lookup(name, unit), dtype)

    return cast


def through(plan: Plan, arm: ArmPlan, mechanism: Mechanism, patients: Patients, lookup: Lookup) -> ArmCourse:
    """Follow patients through one arm."""
    memory = mechanism.memory
    base = getattr(memory, "base", memory)
    if isinstance(base, DualTrace):
        learner: Any = DualTraceLearner(memory.theta(lookup), patients.traits)
    else:
        learner = AnyLearner(memory, lookup, patients.traits)
    outside = learner.fear_outside(learner.start())
    names = () if arm.rule is None else arm.rule.names
    symptoms = Symptoms(plan, patients, outside, lookup, names)
    dtype = patients.quality.dtype
    dose_mg = xp.asarray(arm.source.dose_for(patients.covariates.weight), dtype)
    course = Course(plan, arm, patients, learner, symptoms, _supply(plan, arm, mechanism, patients, lookup), dose_mg, lookup)
    lived, states = follow(course)
    return ArmCourse(lived, symptoms.scores(learner, states))


def _supply(plan: Plan, arm: ArmPlan, mechanism: Mechanism, patients: Patients, lookup: Lookup) -> Supply:
    import jax

    if arm.source.is_placebo or not arm.dosed.any():
        return Placebo()
    switches, dtype = mechanism.switches, patients.quality.dtype
    chain = build(patients.covariates, [arm.source.meal], lookup, deviations=patients.deviations, switches=switches)
    chain = jax.tree.map(lambda leaf: xp.asarray(leaf, dtype), chain)
    return Capsules(plan, arm, chain, switches.kernel, patients.quality)


def block(plan: Plan, mechanism: Mechanism, lookup: Lookup, seed: int, ids: Array, dtype: Any):
    lk = lookup_in(lookup, dtype)
    patients = patients_of(plan, lk, uniforms(seed, ids, count_of(plan), dtype))
    return patients, tuple(through(plan, arm, mechanism, patients, lk) for arm in plan.arms)
