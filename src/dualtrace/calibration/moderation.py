"""What trials found about when the drug helps: an interaction of the drug with how exposure went, as data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, final

import numpy as np
from scipy.special import ndtri

from dualtrace.mechanism.arrays import xp

if TYPE_CHECKING:
    from dualtrace.calibration.courses import Courses
    from dualtrace.calibration.predict import Course
    from dualtrace.evidence.record import Moderator, Trial
    from dualtrace.evidence.statistic import P
    from dualtrace.mechanism.arrays import Array
    from dualtrace.simulation.plan import Plan

INTERACTION = 4
"""Standard of an interaction: it follows those of :class:`dualtrace.calibration.targets.Standard`."""

_USUAL = 0.05
"""Level at which a trial says that something did, or did not, depend on something else."""

_FEWEST = 3.0
_LEAST = 1e-9


class Covariate(StrEnum):
    """How a patient's exposure went, as the mechanism has it; each is a key of the evidence."""

    END_FEAR = "end_of_session_fear"  # mean fear at the end of sessions
    WITHIN = "within_session_extinction"  # mean fall from start to end
    BETWEEN = "between_session_extinction"  # fall of the fear at the start, from the first session to the last
    SUCCESS = "exposure_success"  # successful: fear fell within the session

    @property
    def sign(self) -> int:
        """Sign of the interaction under the dual effect: helped more by little end fear, or by much extinction."""
        return -1 if self is Covariate.END_FEAR else 1


@final
@dataclass(frozen=True, slots=True)
class Moderation:
    """One finding: where the statistic of drug by covariate lies.

    Attributes
    ----------
    covariate
        With what the drug interacted.
    lower, upper
        Bounds of the statistic (estimate over its standard error); positive: more of the covariate, more benefit.
    arms, reference
        Places of the arms in the plan.
    patients
        Per arm.
    session, wait_h, weeks
        When the outcome was measured: sessions that are over, hours since, weeks from the first session.
    """

    covariate: Covariate
    lower: float
    upper: float
    arms: tuple[int, ...]
    reference: tuple[int, ...]
    patients: float
    session: int
    wait_h: float
    weeks: float


def moderations_of(trial: Trial, plan: Plan, when: tuple[int, float, float]) -> tuple[Moderation, ...]:
    """Findings on the dual effect that the mechanism has a covariate for, in the order of the record.

    ``supports`` says on which side of 0 the statistic lies, beyond what a printed p-value of the interaction allows;
    ``against`` says that it is not significant. What is ``mixed`` or ``silent`` on the dual effect says nothing.
    Findings of one covariate are one datum.

    Parameters
    ----------
    trial, plan
        The record and its plan.
    when
        Sessions that are over, hours since, and weeks from the first session when the outcome was measured.
    """
    arms = tuple(p for p, arm in enumerate(plan.arms) if p != plan.reference and not arm.source.is_placebo)
    covariates = {covariate.value: covariate for covariate in Covariate}
    found: dict[Covariate, Moderation] = {}
    for finding in trial.moderators:
        covariate = covariates.get(finding.moderator)
        if covariate is None or covariate in found or finding.dual_effect not in ("supports", "against") or not arms:
            continue
        low, high = _bounds(finding, covariate)
        patients = max(plan.protocol.patients / len(plan.arms), _FEWEST)
        found[covariate] = Moderation(covariate, low, high, arms, (plan.reference,), patients, *when)
    return tuple(found.values())


def _bounds(finding: Moderator, covariate: Covariate) -> tuple[float, float]:
    usual = _beyond(_USUAL)
    if finding.dual_effect == "against":
        return -usual, usual
    printed = [one.p for one in finding.statistics if one.p is not None and "by" in one.term.split()]
    least = max((_least(p) for p in printed), default=0.0)
    return (least, np.inf) if covariate.sign > 0 else (-np.inf, -least)


def _least(p: P) -> float:
    return 0.0 if p.relation == ">" else _beyond(p.value)


def _beyond(p: float) -> float:
    """Return the normal deviate of a two-sided p-value."""
    return float(-ndtri(p / 2))


def covariates_of(courses: Courses, course: Course, arms: Array, session: Array) -> Array:
    """Every covariate of some arms, each row's up to a session of its own.

    Parameters
    ----------
    courses, course
        All arms, and what happened to their patients; fear 0 to 1.
    arms, session
        Arms and sessions (from 0) of each row, ``(R, slots)`` and ``(R,)``.

    Returns
    -------
    Array
        In the order of :class:`Covariate`, ``(4, R, slots, n)``.
    """
    exposures, start, end = courses.exposures[arms], course.start[arms], course.end[arms]
    over = np.arange(exposures.shape[-1]) <= session[:, None, None]
    held = xp.where((exposures > 0) & over, xp.ones_like(exposures), 0)
    share = held / xp.maximum(xp.sum(held, axis=-1, keepdims=True), 1)
    at_start, at_end = (xp.einsum("rsk,rskn->rsn", share, fear) for fear in (start, end))
    latest = course.start[arms, session[:, None]]
    return xp.stack([at_end, at_start - at_end, start[:, :, 0] - latest, at_start - at_end])


def slope(covariate: Array, gain: Array, *, noise: Array, error: Array, patients: Array) -> tuple[Array, Array]:
    r"""Expected regression of gain on covariate in one arm, patients last: the slope and its sampling variance.

    .. math:: b = \frac{\mathrm{cov}(x, y)}{\sigma_x^2 + \nu^2}, \qquad
              \mathrm{var}(b) = \frac{\sigma_y^2 + 2 \epsilon^2 - b\,\mathrm{cov}(x, y)}{m\,(\sigma_x^2 + \nu^2)}

    Parameters
    ----------
    covariate, gain
        Of each patient, without error of measurement.
    noise, error
        SD of the covariate's error and of a score's.
    patients
        Analysed.
    """
    x = covariate - xp.mean(covariate, axis=-1, keepdims=True)
    y = gain - xp.mean(gain, axis=-1, keepdims=True)
    spread = xp.mean(x**2, axis=-1) + noise**2
    together = xp.mean(x * y, axis=-1)
    b = together / spread
    residual = xp.mean(y**2, axis=-1) + 2 * error**2 - b * together
    return b, residual / (patients * spread)


def interaction(b: Array, variance: Array, treated: Array, reference: Array) -> Array:
    """Expected statistic of drug by covariate from the arms' slopes and weights of either side, ``(..., slots)``."""
    side = treated - reference
    return xp.sum(side * b, axis=-1) / xp.sqrt(xp.sum(side**2 * variance, axis=-1) + _LEAST)
