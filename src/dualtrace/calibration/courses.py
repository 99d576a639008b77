"""All arms of all trials as arrays of one shape, so that one compiled program predicts them together.

Sessions are padded to the longest course with sessions in which nothing happens. What the drug does to a session
(its boost ``M`` before tolerance) is worked out once by the whole chain for every quasi-random patient: plasma, brain
and receptor stay at their values here, how strongly the boost acts is calibrated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from dualtrace.mechanism.arrays import xp
from dualtrace.simulation.block import supply_of
from dualtrace.simulation.draws import sobol
from dualtrace.simulation.mechanism import Mechanism, lookup_in
from dualtrace.simulation.patients import PERSON, SESSION, patients_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dualtrace.mechanism.arrays import Array
    from dualtrace.simulation.patients import Patients
    from dualtrace.simulation.plan import ArmPlan, Plan

_MIDDLE = 0.5


class Planned(Protocol):
    """Whatever has a plan: a trial with what it reports, or an imaginary one."""

    @property
    def plan(self) -> Plan:
        """The plan."""


class Courses(NamedTuple):
    """Arms of trials; ``C`` arms, ``K`` sessions of the longest course, ``n`` patients.

    Attributes
    ----------
    exposures, gap_h
        Exposures of each session (0: nothing happens) and hours since the one before, ``(C, K)``.
    taken
        1 where the patient swallows the session's capsule if it is given, ``(C, K, n)``.
    boost
        ``M`` of that capsule alone, before tolerance, ``(C, K, n)``.
    before
        1 where capsules come before the session, ``(C,)``.
    below
        SUDS at the end of the session below which a capsule is given, infinite without a rule, ``(C,)``.
    swallow_gap_h
        Hours from the time of one capsule to that of the next, ``(C, K)``.
    """

    exposures: Array
    gap_h: Array
    taken: Array
    boost: Array
    before: Array
    below: Array
    swallow_gap_h: Array


class Population(NamedTuple):
    """Quasi-random patients: standard normal numbers of the person by name, and of each session, ``(K, n)``."""

    person: dict[str, Array]
    quality: Array


def lay_out(
    subjects: Sequence[Planned], *, points: int, seed: int
) -> tuple[Courses, Population, tuple[tuple[int, ...], ...]]:
    """Lay out every arm of every trial.

    Parameters
    ----------
    subjects
        The trials.
    points, seed
        Quasi-random patients (a power of two), and how they are scrambled.

    Returns
    -------
    tuple
        Arms, patients, and the number of each trial's arms among all arms.
    """
    longest = max(subject.plan.sessions for subject in subjects)
    uniform = sobol(len(PERSON) + len(SESSION) * longest, points, seed)
    rows: list[dict[str, Any]] = []
    numbers: list[tuple[int, ...]] = []
    for subject in subjects:
        numbers.append(tuple(range(len(rows), len(rows) + len(subject.plan.arms))))
        people = _people(subject.plan, uniform, longest)
        rows += [_row(subject.plan, arm, people, longest) for arm in subject.plan.arms]
    courses = Courses._make(xp.asarray(np.stack([row[name] for row in rows])) for name in Courses._fields)
    return courses, population(uniform, longest), tuple(numbers)


def population(uniform: NDArray[np.float64], longest: int) -> Population:
    """Patients as the learning part needs them; the same for all trials."""
    from scipy.special import ndtri

    person = dict(zip(PERSON, ndtri(uniform[: len(PERSON)]), strict=True))
    sessions = uniform[len(PERSON) :].reshape(len(SESSION), longest, -1)
    return Population(person, ndtri(sessions[SESSION.index("quality")]))


def _people(plan: Plan, uniform: NDArray[np.float64], longest: int) -> Patients:
    sessions = uniform[len(PERSON) :].reshape(len(SESSION), longest, -1)[:, : plan.sessions]
    noise = np.full(((1 + len(plan.visits)) * len(plan.scales), uniform.shape[1]), _MIDDLE)
    own = np.concatenate([uniform[: len(PERSON)], sessions.reshape(-1, uniform.shape[1]), noise])
    return patients_of(plan, lookup_in(Mechanism().values(), np.float64), xp.asarray(own))


def _row(plan: Plan, arm: ArmPlan, people: Patients, longest: int) -> dict[str, Any]:
    lookup = lookup_in(Mechanism().values(), np.float64)
    n = people.quality.size
    dose = arm.source.dose_for(people.covariates.weight).astype(float)
    supply = supply_of(plan, arm, Mechanism(), people, lookup)
    tables = {name: np.asarray(values) for name, values in supply.rows().items()}
    boost, taken = np.zeros((longest, n)), np.zeros((longest, n))
    for k in np.flatnonzero(arm.dosed):
        row = {name: values[k] for name, values in tables.items()}
        boost[k] = np.asarray(supply.boost(supply.start(), row, dose))
        taken[k] = (np.asarray(people.session["capsule"][k]) < lookup("clinic.adherence", "1")) & (dose > 0)
    swallowed = plan.start_h + [arm.swallowed_h(minutes) for minutes in plan.minutes]
    return {
        "exposures": _padded(plan.exposures, longest),
        "gap_h": _padded(plan.gap_h, longest),
        "taken": taken,
        "boost": boost,
        "before": np.float64(arm.before),
        "below": np.float64(_below(arm)),
        "swallow_gap_h": _padded(np.diff(swallowed, append=swallowed[-1]), longest),
    }


def _padded(values: Any, longest: int) -> NDArray[np.float64]:  # noqa: ANN401
    return np.pad(np.asarray(values, float), (0, longest - len(values)))


def _below(arm: ArmPlan) -> float:
    """Threshold of a rule ``last_suds < X`` after the session; other rules are not calibrated and count as none."""
    from dualtrace.simulation.rule import thresholds

    rule = arm.rule
    if rule is None or rule.names != ("last_suds",) or len(thresholds(rule)) != 1 or arm.before:
        return np.inf
    return float(thresholds(rule)[0])
