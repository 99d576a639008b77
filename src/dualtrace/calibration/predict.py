"""What the mechanism predicts of every arm of every trial, in one compiled program with gradients.

Sessions are solved in closed form: while nothing bad happens, each exposure misses the US by what is still expected,
so that what is missed falls geometrically. What fades within a session (hours against days) is left out, as are
mishaps; a test holds the difference to the stepwise simulation small. The patients are the last axis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dualtrace.calibration.courses import Courses
from dualtrace.mechanism.arrays import xp
from dualtrace.mechanism.memory.registry import memory_model
from dualtrace.simulation.dual_trace_learner import DualTraceLearner, Single
from dualtrace.simulation.learner import Traits
from dualtrace.simulation.patients import logistic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dualtrace.calibration.courses import Population
    from dualtrace.mechanism.arrays import Array
    from dualtrace.mechanism.parameters import Lookup

_SUDS = 100.0
_SOFT = 5.0
"""Width (SUDS points) over which a contingent capsule goes from given to withheld."""

_WORTH_TWO = 0.75
"""Most that two groups of arms may cost, as a share of one, to be worth a second program."""

_LEAST_LEFT = 1e-9
"""Share of the miss that one exposure leaves at least: a power of 0 has no gradient where nothing is exposed."""


class Constants(NamedTuple):
    """What is calibrated, arm by arm ``(C,)`` where disorders differ, else numbers.

    Attributes
    ----------
    learning
        Log factor on the rate of safety learning.
    quality
        Logit of the share of an exposure that is taken in.
    nonspecific
        Logit of the share of symptoms that goes without fear learning.
    safety_strength, threat_strength
        Factor on the drug's boost of safety and of threat.
    arousal
        Share of the boost lost when a session ends in full fear (the rival account: a filled glycine site).
    jump, recovery_h
        Tolerance.
    """

    learning: Array
    quality: Array
    nonspecific: Array
    safety_strength: Array
    threat_strength: Array
    arousal: Array
    jump: Array
    recovery_h: Array


class Course(NamedTuple):
    """Where every patient stands after each session; leaves ``(C, K, n)``.

    Attributes
    ----------
    state
        The learner.
    start, end
        Fear at the start and at the end of the session (0 to 1).
    """

    state: Single
    start: Array
    end: Array


def learner_of(population: Population, lookup: Lookup, learning: Array) -> DualTraceLearner:
    """Patients as learners; ``learning`` is the log factor of their disorder."""
    person = population.person
    shared = lookup("clinic.severity_threat", "1")
    own = shared * person["severity"] + xp.sqrt(1 - shared**2) * person["threat"]
    general = lookup("clinic.generalisation", "1")
    spread = lookup("clinic.omega_generalisation", "1") * person["generalisation"]
    traits = Traits(
        threat=lookup("clinic.threat", "1") * xp.exp(lookup("clinic.omega_threat", "1") * own),
        learning=xp.exp(learning + lookup("clinic.omega_learning", "1") * person["learning"]),
        generalisation=logistic(xp.log(general / (1 - general)) + spread),
    )
    return DualTraceLearner(memory_model("dual_trace").theta(lookup), traits)


def exposed(learner: DualTraceLearner, state: Single, exposures: Array, quality: Array, drug: Array) -> Single:
    r"""Return the state after a session's exposures, in closed form.

    .. math:: V_{e+1} = V_e\,(1 - a),\quad \sum_e V_e = V_0 \frac{1 - (1 - a)^E}{a},\qquad a = \eta_S q h

    ``V`` is what is expected and missed (never below 0), ``h`` the expectancy of the US.
    """
    missed = xp.maximum(state.threat * state.hope - state.recalled - state.fresh, 0)
    rate = learner.theta.safety_rate * quality * state.hope
    left = xp.clip(1 - rate, _LEAST_LEFT, 1.0)
    total = missed * (1 - left**exposures) / xp.maximum(rate, 1e-9)
    return state._replace(
        fresh=state.fresh + rate * total,
        mismatch=state.mismatch + total,
        waiting=state.waiting + exposures,
        drug=xp.maximum(state.drug, drug),
    )


def follow(courses: Courses, population: Population, constants: Constants, lookup: Lookup) -> Course:
    """Follow every patient through every arm.

    Short courses are followed apart from long ones where that saves much: sessions that only fill up cost as much as
    any. What a short course ended with stands in its place until the longest ends.
    """
    import jax

    length = (np.asarray(courses.exposures) > 0) * np.arange(1, courses.exposures.shape[1] + 1)
    groups = by_length(length.max(axis=1, initial=1))
    parts = [_follow_together(courses, population, constants, lookup, *group) for group in groups]
    order = np.argsort(np.concatenate([arms for arms, _ in groups]))
    found: Course = jax.tree.map(lambda *leaves: xp.concatenate(leaves)[order], *parts)
    return found


def by_length(length: NDArray[np.int64]) -> list[tuple[NDArray[np.intp], int]]:
    """Numbers of the arms that are followed together, and for how many sessions: one group, or the best two.

    Parameters
    ----------
    length
        Sessions of each arm.
    """
    longest, ends = int(length.max()), np.unique(length)
    cost = np.array([np.where(length <= end, end, longest).sum() for end in ends])
    best = int(np.argmin(cost))
    if cost[best] > _WORTH_TWO * longest * length.size:
        return [(np.arange(length.size), longest)]
    short = length <= ends[best]
    return [(np.flatnonzero(short), int(ends[best])), (np.flatnonzero(~short), longest)]


def _follow_together(
    courses: Courses,
    population: Population,
    constants: Constants,
    lookup: Lookup,
    arms: NDArray[np.intp],
    sessions: int,
) -> Course:
    """Follow some arms for their sessions; the last of these stands for all later ones."""
    import jax

    per_arm = courses.exposures.shape[:1]
    own = Courses._make(leaf[arms] if leaf.shape == per_arm else leaf[arms, :sessions] for leaf in courses)
    mine = constants._replace(
        learning=constants.learning[arms], quality=constants.quality[arms], nonspecific=constants.nonspecific[arms]
    )
    axes = Constants(learning=0, quality=0, nonspecific=0, **dict.fromkeys(Constants._fields[3:]))  # type: ignore[arg-type]
    people = population._replace(quality=population.quality[:sessions])
    found = jax.vmap(lambda arm, its: _follow_arm(arm, people, its, lookup), in_axes=(0, axes))(own, mine)
    last = np.minimum(np.arange(courses.exposures.shape[1]), sessions - 1)
    stretched: Course = jax.tree.map(lambda leaf: leaf[:, last], found)
    return stretched


def _follow_arm(arm: Courses, population: Population, own: Constants, lookup: Lookup) -> Course:
    import jax

    learner = learner_of(population, lookup, own.learning)
    between = lookup("clinic.omega_quality", "1") * population.person["quality"]
    quality = logistic(own.quality + between + lookup("clinic.sigma_quality", "1") * population.quality)
    none = xp.zeros_like(quality[0])

    def step(carried: tuple[Single, Array], row: dict[str, Any]) -> tuple[Any, tuple[Single, Array, Array]]:
        state, lost = carried
        state = learner.wait(state, row["gap_h"])
        before = row["taken"] * arm.before
        on_board = row["boost"] * (1 - lost) * before
        start = learner.fear(state)
        shown = exposed(learner, state, row["exposures"], row["quality"], xp.maximum(on_board, 0))
        end = learner.fear(shown)
        given = xp.where(xp.isfinite(arm.below), logistic((arm.below - _SUDS * end) / _SOFT), 1.0)
        taken = row["taken"] * (arm.before + (1 - arm.before) * given)
        boost = row["boost"] * taken * (1 - lost) * (1 - own.arousal * end)
        closed = _closed(learner, shown, boost, own)
        there = row["exposures"] > 0
        state = jax.tree.map(lambda a, b: xp.where(there, a, b), closed, state)
        lost = (lost + own.jump * taken * (1 - lost)) * xp.exp(-row["swallow_gap_h"] / own.recovery_h)
        return (state, lost), (state, start, end)

    rows = {
        "gap_h": arm.gap_h,
        "exposures": arm.exposures,
        "taken": arm.taken,
        "boost": arm.boost,
        "swallow_gap_h": arm.swallow_gap_h,
        "quality": quality,
    }
    checkpointed = jax.checkpoint(step)  # a gradient that works a session out again is a fifth faster, and smaller
    return Course(*jax.lax.scan(checkpointed, (learner.start(), none), rows)[1])


def _closed(learner: DualTraceLearner, state: Single, boost: Array, own: Constants) -> Single:
    """End a session with one boost for safety and another for threat: each trace from its own closing."""
    safety = learner.close(state, own.safety_strength * boost)
    threat = learner.close(state, own.threat_strength * boost)
    return safety._replace(threat=threat.threat)


def symptoms_left(
    population: Population,
    learner: DualTraceLearner,
    state: Single,
    *,
    wait_h: Array,
    weeks: Array,
    nonspecific: Array,
    lookup: Lookup,
) -> Array:
    """Share of the symptoms that is left some time after a session; see :class:`dualtrace.simulation.symptoms`."""
    first = learner.fear_outside(learner.start())
    fear = learner.fear_outside(learner.wait(state, wait_h))
    spread = lookup("clinic.omega_nonspecific", "1") * population.person["nonspecific"]
    most = xp.minimum(logistic(nonspecific) * xp.exp(spread), 1.0)
    other = most * (1 - xp.exp(-weeks / lookup("clinic.nonspecific_weeks", "week")))
    return xp.asarray((1 - lookup("clinic.fear_share", "1") * (1 - fear / first)) * (1 - other))
