"""Virtual patients: how they differ, from the uniform numbers of :mod:`dualtrace.simulation.draws`.

Every patient has a list of numbers: first those of the person, then those of each session, then those of each
assessment. Rates differ by log-normal factors, shares by logit-normal ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dualtrace.mechanism.arrays import xp
from dualtrace.mechanism.plasma import Covariates
from dualtrace.simulation.draws import normal, uniforms_at
from dualtrace.simulation.learner import Traits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dualtrace.mechanism.arrays import Array, ArrayLike
    from dualtrace.mechanism.parameters import Lookup
    from dualtrace.simulation.plan import Plan

KINETICS = ("clearance", "volume", "absorption", "lag", "occasion")
"""In the order of :class:`dualtrace.mechanism.plasma.Deviations`."""

PERSON = (
    "severity",
    "threat",
    "learning",
    "generalisation",
    "quality",
    "nonspecific",
    *KINETICS,
    "weight",
    "renal",
    "antidepressant",
    "place",
)
"""What a person's numbers are for; the last two are used as uniform numbers."""

SESSION = ("quality", "start_noise", "end_noise", "mishap", "capsule", "dropout")
"""What a session's numbers are for; the last three are used as uniform numbers."""

_STRATUM = {"antidepressants": "antidepressant", "severity": "severity"}
"""Which of a person's numbers a stratum is decided by."""

_MEDIAN = 0.5
"""Whoever is more severe than half of all patients has a positive normal number."""


class Patients(NamedTuple):
    """Patients, every array ``(n,)`` unless said otherwise.

    Attributes
    ----------
    severity
        Standard normal: how severe at baseline, relative to the others.
    traits
        As learners.
    quality
        Logit of the share of an exposure that is taken in, before the session's own deviation.
    nonspecific
        Factor on improvement that has nothing to do with fear learning.
    covariates
        For the kinetics of the drug.
    kinetics
        Standard normal deviations by :data:`KINETICS`, ``(5, n)``; the model of the drug scales them.
    antidepressant
        1 for those on an antidepressant.
    place
        Uniform number that orders patients for randomisation.
    session
        Numbers of each session by name, ``(sessions, n)``: normal or uniform.
    noise
        Standard normal errors of measurement, ``(1 + visits, scales, n)``; the first visit is the baseline.
    """

    severity: Array
    traits: Traits
    quality: Array
    nonspecific: Array
    covariates: Covariates
    kinetics: Array
    antidepressant: Array
    place: Array
    session: dict[str, Array]
    noise: Array


def count_of(plan: Plan) -> int:
    """How many uniform numbers a patient of this plan needs."""
    return len(PERSON) + len(SESSION) * plan.sessions + (1 + len(plan.visits)) * len(plan.scales)


def patients_of(plan: Plan, lookup: Lookup, uniform: Array) -> Patients:
    """Make patients of uniform numbers, shape ``(count_of(plan), n)``."""
    n, people, sessions = uniform.shape[-1], len(PERSON), len(SESSION) * plan.sessions
    person = dict(zip(PERSON, uniform[:people], strict=True))
    flat = [name for name in PERSON if name not in ("antidepressant", "place")]
    person.update(zip(flat, normal(uniform[: len(flat)]), strict=True))
    in_session = uniform[people : people + sessions].reshape(len(SESSION), plan.sessions, n)
    session = dict(zip(SESSION, in_session, strict=True))
    session.update(zip(SESSION[:3], normal(in_session[:3]), strict=True))
    noise = normal(uniform[people + sessions :]).reshape(1 + len(plan.visits), len(plan.scales), n)
    return Patients(
        severity=person["severity"],
        traits=_traits(person, lookup),
        quality=_of(lookup, "quality") + _of(lookup, "omega_quality") * person["quality"],
        nonspecific=xp.exp(_of(lookup, "omega_nonspecific") * person["nonspecific"]),
        covariates=_covariates(plan, person, lookup),
        kinetics=xp.stack([person[name] for name in KINETICS]),
        antidepressant=xp.where(person["antidepressant"] < plan.antidepressants, 1.0, 0.0).astype(uniform.dtype),
        place=person["place"],
        session=session,
        noise=noise,
    )


def strata_of(plan: Plan, key: NDArray[np.uint32], patients: NDArray[np.uint32]) -> NDArray[np.int8]:
    """Stratum of each patient by the plan's own strata, ``(n,)``, from the few numbers that decide it."""
    wanted = plan.protocol.randomisation.strata
    places = np.array([PERSON.index(_STRATUM[name]) for name in wanted], int)
    drawn = uniforms_at(xp.asarray(key), xp.asarray(patients), places, np.float64)
    strata = np.zeros(patients.size, np.int8)
    for name, uniform in zip(wanted, drawn, strict=True):
        on = uniform < plan.antidepressants if name == "antidepressants" else uniform > _MEDIAN
        strata = (2 * strata + on).astype(np.int8)
    return strata


def _of(lookup: Lookup, name: str) -> ArrayLike:
    value: ArrayLike = lookup(f"clinic.{name}", "1")
    return value


def _traits(person: dict[str, Array], lookup: Lookup) -> Traits:
    shared = xp.asarray(_of(lookup, "severity_threat"))
    own = shared * person["severity"] + xp.sqrt(1 - shared**2).astype(person["threat"].dtype) * person["threat"]
    general = xp.asarray(_of(lookup, "generalisation"))
    logit = xp.log(general / (1 - general)) + _of(lookup, "omega_generalisation") * person["generalisation"]
    return Traits(
        threat=xp.asarray(_of(lookup, "threat") * xp.exp(_of(lookup, "omega_threat") * own)),
        learning=xp.exp(_of(lookup, "omega_learning") * person["learning"]),
        generalisation=logistic(logit),
    )


def logistic(logit: Array) -> Array:
    """``1 / (1 + exp(-x))``, safe far from 0."""
    return 0.5 * (1 + xp.tanh(0.5 * logit))


def _covariates(plan: Plan, person: dict[str, Array], lookup: Lookup) -> Covariates:
    mean, sd = plan.weight_kg.mean, plan.weight_kg.sd
    shared = xp.asarray(_of(lookup, "weight_renal"))
    own = shared * person["weight"] + xp.sqrt(1 - shared**2).astype(person["weight"].dtype) * person["renal"]
    crcl, spread = lookup("subject.crcl", "mL/min"), lookup("clinic.crcl_sd", "mL/min")
    weight = xp.maximum(mean + sd * person["weight"], mean / 4)
    none = xp.zeros_like(weight)
    return Covariates(
        weight=weight,
        crcl=xp.maximum(crcl + spread * own, crcl / 4),
        tb_patient=none,
        child=none + plan.is_child,
        fat_free_mass=weight * lookup("subject.fat_free_share", "1"),
    )
