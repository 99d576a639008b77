"""One block of patients through every arm: a pure function of the plan, the constants, the seed and their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dualtrace.mechanism import receptor
from dualtrace.mechanism.agents import agent_chain
from dualtrace.mechanism.arrays import xp
from dualtrace.mechanism.chain import Structure, build
from dualtrace.mechanism.memory.dual_trace import DualTrace
from dualtrace.mechanism.memory.registry import memory_model
from dualtrace.mechanism.population import agent_deviations_of, deviations_of, transit_deviations_of
from dualtrace.simulation.capsule import extra_gain
from dualtrace.simulation.course import Course, Lived, follow
from dualtrace.simulation.dual_trace_learner import DualTraceLearner
from dualtrace.simulation.learner import AnyLearner
from dualtrace.simulation.patients import patients_of
from dualtrace.simulation.supply import Capsules, Placebo
from dualtrace.simulation.symptoms import Scores, Symptoms

if TYPE_CHECKING:
    from dualtrace.mechanism.arrays import Array
    from dualtrace.mechanism.chain import Chain, Switches
    from dualtrace.mechanism.parameters import Lookup
    from dualtrace.simulation.learner import Learner
    from dualtrace.simulation.mechanism import Mechanism
    from dualtrace.simulation.patients import Patients
    from dualtrace.simulation.plan import ArmPlan, Plan
    from dualtrace.simulation.supply import Supply


class ArmCourse(NamedTuple):
    """One arm of a block: what was lived session by session, and the scores at every visit."""

    lived: Lived
    scores: Scores


class Block(NamedTuple):
    """The same patients in every arm."""

    patients: Patients
    arms: tuple[ArmCourse, ...]


def simulate_block(
    plan: Plan, mechanism: Mechanism, lookup: Lookup, uniform: Array, softness: float | None = None
) -> Block:
    """Follow patients through every arm.

    Parameters
    ----------
    plan, mechanism, lookup
        What happens, by which mechanism, with which constants (in the precision of ``uniform``).
    uniform
        Uniform numbers of the patients, ``(count_of(plan), n)``.
    softness
        Width of the comparisons of dosing rules, for gradients; ``None``: hard.
    """
    return follow_block(plan, mechanism, lookup, patients_of(plan, lookup, uniform), softness)


def follow_block(
    plan: Plan, mechanism: Mechanism, lookup: Lookup, patients: Patients, softness: float | None = None
) -> Block:
    """Follow patients that are known already; see :func:`simulate_block`."""
    return Block(patients, tuple(_through(plan, arm, mechanism, patients, lookup, softness) for arm in plan.arms))


def _through(
    plan: Plan, arm: ArmPlan, mechanism: Mechanism, patients: Patients, lookup: Lookup, softness: float | None
) -> ArmCourse:
    learner = learner_of(mechanism, patients, lookup)
    outside = learner.fear_outside(learner.start())
    symptoms = Symptoms(plan, patients, outside, lookup, () if arm.rule is None else arm.rule.names)
    dose_mg = xp.asarray(arm.source.dose_for(patients.covariates.weight), patients.quality.dtype)
    supply = supply_of(plan, arm, mechanism, patients, lookup)
    lived, states = follow(Course(plan, arm, patients, learner, symptoms, supply, dose_mg, lookup, softness))
    return ArmCourse(lived, symptoms.scores(learner, states))


def learner_of(mechanism: Mechanism, patients: Patients, lookup: Lookup) -> Learner[Any, Any]:
    """The patients as learners by the mechanism's memory model."""
    model = memory_model(mechanism.memory)
    if isinstance(getattr(model, "base", model), DualTrace):
        return DualTraceLearner(model.theta(lookup), patients.traits)
    return AnyLearner(model, lookup, patients.traits)


def supply_of(plan: Plan, arm: ArmPlan, mechanism: Mechanism, patients: Patients, lookup: Lookup) -> Supply:
    """What the capsules of an arm do, by the whole chain of the mechanism."""
    like, switches = patients.quality, mechanism.switches
    without = arm.source.is_placebo or not arm.dosed.any()
    if without and not switches.antagonists_um:
        return Placebo(xp.zeros_like(like))
    chain = _in_precision(_chain(arm, switches, patients, lookup), like)
    if without:
        return Placebo(extra_gain(chain, xp.zeros_like(like)))
    return Capsules(plan, arm, chain, mechanism.switches.kernel, like)


def _chain(arm: ArmPlan, switches: Switches, patients: Patients, lookup: Lookup) -> Chain:
    plain = switches.without_antidepressant()
    chain = _built(arm, plain, patients, lookup)
    if switches.antidepressant is receptor.Antidepressant.NONE:
        return chain
    return _for_some(patients.antidepressant, _built(arm, switches, patients, lookup), chain)


def _built(arm: ArmPlan, switches: Switches, patients: Patients, lookup: Lookup) -> Chain:
    normals = list(patients.kinetics)
    if arm.agent is not None:
        deviations = agent_deviations_of(arm.agent.spread.model_dump(), normals[:4])
        weight = patients.covariates.weight
        return agent_chain(arm.agent, weight, lookup, deviations=deviations, switches=switches)
    if switches.structure is Structure.TRANSIT:
        deviations = transit_deviations_of(lookup, normals[:4])
    else:
        deviations = deviations_of(lookup, normals)
    return build(patients.covariates, [arm.source.meal], lookup, deviations=deviations, switches=switches)


def _for_some(chosen: Array, yes: Chain, no: Chain) -> Chain:
    """Site, affinity and lost sites of one chain for some patients, of the other for the rest."""

    def mixed(a: Any, b: Any) -> Any:  # noqa: ANN401
        flag = chosen[:, None] if xp.ndim(a) else chosen
        return xp.where(flag > 0, a, b)

    def each(a: Any, b: Any) -> Any:  # noqa: ANN401
        return type(a)(*(mixed(x, y) for x, y in zip(a, b, strict=True)))

    return no._replace(
        site=each(yes.site, no.site), drug=each(yes.drug, no.drug), sites_lost=mixed(yes.sites_lost, no.sites_lost)
    )


def _in_precision(chain: Chain, like: Array) -> Chain:
    import jax

    cast: Chain = jax.tree.map(lambda leaf: xp.asarray(leaf, like.dtype), chain)
    return cast
