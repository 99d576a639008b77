"""One course of treatment: session by session, what every patient lives through, learns, swallows and shows.

The patients are the last axis of every array, the sessions the first. The arm is fixed; everything random is in
the patients, so that the same patients can be followed through every arm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np

from dualtrace.mechanism.arrays import xp
from dualtrace.simulation.patients import logistic
from dualtrace.simulation.rule import evaluate, soften
from dualtrace.simulation.symptoms import Symptoms, visit_rows

if TYPE_CHECKING:
    from dualtrace.mechanism.arrays import Array
    from dualtrace.mechanism.parameters import Lookup
    from dualtrace.simulation.learner import Learner
    from dualtrace.simulation.patients import Patients
    from dualtrace.simulation.plan import ArmPlan, Plan
    from dualtrace.simulation.supply import Supply

_MINUTES = 60.0
_SUDS = 100.0
_LEAST = 1e-6


class Lived(NamedTuple):
    """What a session leaves in the records, each ``(sessions, n)``; SUDS as the patient reports them, 0 to 100.

    Attributes
    ----------
    attended
        1 for patients who were still in treatment; the chance of it when rules are softened.
    start, peak, end
        SUDS of the first exposure, the worst moment and the end; true fear is ``end_fear``, 0 to 1.
    known
        What the rule decided on (the values named in it), ``(names, n)`` a session; empty without a rule.
    due, given, dose_mg
        Whether a capsule was due, the share of it that the rule gave (0 or 1 unless softened), milligrams swallowed.
    boost
        ``M`` of the session.
    mishap
        1 where the feared event came true.
    stays
        1 for patients who go on after the session.
    """

    attended: Array
    start: Array
    peak: Array
    end: Array
    end_fear: Array
    known: tuple[Array, ...]
    due: Array
    given: Array
    dose_mg: Array
    boost: Array
    mishap: Array
    stays: Array


class Memorised(NamedTuple):
    """Where the course stands between sessions; all ``(n,)``."""

    learner: Any
    body: Any
    attends: Array
    score: Array  # latest observed primary score; the baseline's until a dosing rule asks for more
    last: tuple[Array, ...]  # start, peak, end SUDS of the last session, end SUDS of the one before; NaN: none yet


@final
@dataclass(frozen=True, slots=True)
class Course:
    """Everything fixed for one arm: see :func:`follow`."""

    plan: Plan
    arm: ArmPlan
    patients: Patients
    learner: Learner[Any, Any]
    symptoms: Symptoms
    supply: Supply
    dose_mg: Array
    lookup: Lookup
    softness: float | None = None
    """Width of the rule's comparisons in SUDS points; ``None``: hard. Softened, patients leave in parts: nobody is
    sent away, and the chance to have stayed weighs what is measured, so that everything has a gradient."""


def follow(course: Course) -> tuple[Lived, Any]:
    """Follow every patient through one arm.

    Returns
    -------
    tuple
        What was lived, and the learner's state after each session, its leaves ``(sessions, n)``.
    """
    import jax

    def step(now: Memorised, row: dict[str, Array]) -> tuple[Memorised, tuple[Lived, Any]]:
        return _session(course, now, row)

    rows = {**_rows(course), **course.supply.rows(), **course.patients.session}
    remembered = jax.checkpoint(step, prevent_cse=False)  # a gradient keeps sessions, not exposures
    followed: tuple[Lived, Any] = jax.lax.scan(remembered, _before(course), rows)[1]
    return followed


def _rows(course: Course) -> dict[str, Array]:
    """What differs between sessions, the same for all patients."""
    plan, dtype = course.plan, course.patients.quality.dtype
    return {
        "number": xp.asarray(np.arange(1, plan.sessions + 1), dtype),
        "gap_h": xp.asarray(plan.gap_h, dtype),
        "exposures": xp.asarray(plan.exposures),
        "pace_h": xp.asarray(plan.minutes / np.maximum(plan.exposures, 1) / _MINUTES, dtype),
        "due": xp.asarray(course.arm.dosed, dtype),
        **visit_rows(plan, dtype),
    }


def _before(course: Course) -> Memorised:
    like = course.patients.quality
    unknown = xp.full_like(like, xp.nan)
    return Memorised(
        learner=course.learner.start(),
        body=course.supply.start(),
        attends=xp.ones_like(like),
        score=course.symptoms.first_score(),
        last=(unknown,) * 4,
    )


def _session(course: Course, now: Memorised, row: dict[str, Array]) -> tuple[Memorised, tuple[Lived, Any]]:
    learner, arm, supply, lookup = course.learner, course.arm, course.supply, course.lookup
    dose_mg = course.dose_mg
    rested = learner.wait(now.learner, row["gap_h"])
    score = course.symptoms.known_score(now.score)
    before = _decided(course, now.last, row, score)
    here = xp.where(now.attends > 0, 1.0, 0.0).astype(dose_mg.dtype)
    taken = here * row["due"] * xp.where(row["capsule"] < lookup("clinic.adherence", "1"), 1.0, 0.0)
    ready_mg = dose_mg * taken * (before if arm.before else 0.0)
    on_board = supply.boost(now.body, row, ready_mg) if arm.before else xp.zeros_like(dose_mg)
    mishap = xp.where(row["mishap"] < lookup("clinic.mishap", "1"), 1.0, 0.0) * (row["exposures"] > 0)
    state, suds = _exposed(course, rested, row, xp.maximum(on_board, 0), mishap.astype(dose_mg.dtype))
    seen = tuple(xp.where(now.attends > 0, new, old) for new, old in zip((*suds, now.last[2]), now.last, strict=True))
    given = before if arm.before else _decided(course, seen, row, score)
    swallowed = dose_mg * taken * given
    gain = on_board if arm.before else supply.boost(now.body, row, swallowed)
    end_fear = learner.fear(state)
    closed = learner.close(state, gain)
    kept = _where(now.attends * (row["exposures"] > 0), closed, rested)
    stays = now.attends * _staying(course, row, end_fear)
    latest = now.score
    if course.symptoms.matters_to_rule:
        latest = course.symptoms.latest_score(row, learner, kept, now.score)
    after = Memorised(kept, supply.swallow(now.body, row, swallowed), stays, latest, seen)
    known = _known(course, now.last if arm.before else seen, row, score)
    lived = Lived(
        now.attends, *suds, end_fear, known, now.attends * row["due"], given, swallowed, gain, mishap, stays
    )
    return after, (lived, kept)


def _exposed(
    course: Course,
    state: Any,  # noqa: ANN401
    row: dict[str, Array],
    drug: Array,
    mishap: Array,
) -> tuple[Any, tuple[Array, Array, Array]]:
    """Exposures of a session, the mishap halfway; SUDS at the first, at the worst and after the last."""
    learner, lookup = course.learner, course.lookup
    quality = logistic(course.patients.quality + lookup("clinic.sigma_quality", "1") * row["quality"])
    pace = learner.pace(state, row["pace_h"])
    start = learner.fear(state)

    most = int(course.plan.exposures.max(initial=0))
    shown = xp.asarray(np.arange(most)) < row["exposures"]
    state = learner.expose_often(state, pace, quality, drug, shown[: most // 2])
    state = learner.mishap(state, mishap, quality, drug)
    shaken = learner.fear(state)
    state = learner.expose_often(state, pace, quality, drug, shown[most // 2 :])
    end = learner.fear(state)
    peak = xp.maximum(xp.maximum(start, end), shaken)
    noise = lookup("clinic.suds_noise", "1")
    reported = [_reported(fear, noise * row[name]) for fear, name in ((start, "start_noise"), (end, "end_noise"))]
    worst = xp.maximum(_reported(peak, noise * row["start_noise"]), xp.maximum(*reported))
    none = xp.full_like(start, xp.nan)
    exposed = row["exposures"] > 0
    first, last = (xp.where(exposed, value, none) for value in reported)
    return state, (first, xp.where(exposed, worst, none), last)


def _reported(fear: Array, error: Array) -> Array:
    return xp.clip(_SUDS * fear + error, 0.0, _SUDS)


def _staying(course: Course, row: dict[str, Array], end_fear: Array) -> Array:
    """Whether a patient goes on, 0 or 1; when rules are softened, the chance of it."""
    hazard = _hazard(course, end_fear)
    if course.softness is not None:
        return 1 - xp.clip(hazard, 0.0, 1.0)
    return xp.where(row["dropout"] < hazard, 0.0, 1.0).astype(end_fear.dtype)


def _hazard(course: Course, end_fear: Array) -> Array:
    r"""Chance to leave after this session.

    .. math:: h = \left(1 - (1 - d)^{1/K}\right) e^{\beta (f - f_0)}

    with ``d`` the share expected to leave over ``K`` sessions, ``f`` the fear the session ended with.
    """
    lookup = course.lookup
    usual = 1 - (1 - course.plan.dropout) ** (1 / course.plan.sessions)
    slope, middle = lookup("clinic.dropout_slope", "1"), lookup("clinic.dropout_middle", "1")
    return xp.asarray(usual * xp.exp(slope * (end_fear - middle)))


def _known(
    course: Course, suds: tuple[Array, ...], row: dict[str, Array], score: dict[str, Array]
) -> tuple[Array, ...]:
    """Values that the rule names, as they are known when the dose is decided."""
    rule = course.arm.rule
    if rule is None:
        return ()
    start, peak, end, before = suds
    everything = {
        "session": xp.zeros_like(end) + row["number"],
        "start_suds": start,
        "peak_suds": peak,
        "last_suds": end,
        "suds_drop": peak - end,
        "previous_suds": before,
        **score,
    }
    return tuple(everything[name] for name in rule.names)


def _decided(course: Course, suds: tuple[Array, ...], row: dict[str, Array], score: dict[str, Array]) -> Array:
    """Share of the dose that the rule gives: 0 or 1, or between when softened."""
    rule = course.arm.rule
    if rule is None:
        return xp.ones_like(suds[0])
    values = dict(zip(rule.names, _known(course, suds, row, score), strict=True))
    if course.softness is not None:
        return soften(rule, values, course.softness)
    return xp.where(evaluate(rule, values), 1.0, 0.0).astype(suds[0].dtype)


def _where(chosen: Array, yes: Any, no: Any) -> Any:  # noqa: ANN401
    import jax

    return jax.tree.map(lambda a, b: xp.where(chosen > 0, a, b), yes, no)
