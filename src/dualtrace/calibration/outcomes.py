"""Predicted arms to predicted effects: standardised differences and log odds ratios, as trials would report them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dualtrace.calibration.moderation import INTERACTION, Covariate, covariates_of, interaction, slope
from dualtrace.calibration.predict import Constants, Course, follow, learner_of, symptoms_left
from dualtrace.calibration.targets import Standard
from dualtrace.errors import InputError
from dualtrace.mechanism.arrays import xp
from dualtrace.simulation.scale import at_baseline, reliability

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dualtrace.calibration.courses import Courses, Population
    from dualtrace.calibration.moderation import Moderation
    from dualtrace.calibration.targets import PlaceboChange, Subject, Target
    from dualtrace.evidence.instrument import Criterion
    from dualtrace.mechanism.arrays import Array
    from dualtrace.mechanism.parameters import Lookup
    from dualtrace.simulation.scale import Scale

SLOTS = 5
"""Most arms that one effect speaks of."""

PLACEBO = -1
"""Standard of a change with placebo."""

_STANDARDS = tuple(Standard)
_COVARIATES = tuple(Covariate)
_LEAST = 1e-4
_NEVER = -1e6


class Rows(NamedTuple):
    """Effects, placebo changes and findings on moderators as arrays; ``R`` rows.

    Attributes
    ----------
    arms
        The arms it speaks of, up to :data:`SLOTS`, ``(R, slots)``; unused slots repeat the first.
    treated, reference
        Weight of each of them in the two sides, ``(R, slots)``.
    trial, disorder
        Number of the trial and of its disorder.
    session, wait_h, weeks
        When, ``(R,)``; ``session`` counts from 0.
    standard
        Place in :class:`dualtrace.calibration.targets.Standard`; -1 for a placebo change, 4 for an interaction.
    covariate, patients
        Of an interaction: place in :class:`dualtrace.calibration.moderation.Covariate`, and patients per arm.
    baseline, spread, error
        True score at baseline as distance from the best score, in baseline SDs ``(R, n)``; the SD of observed
        scores is 1; the error's SD ``(R,)``.
    response, remission
        Distance from the best score at which the criterion is met: ``response`` as a share of the baseline's
        distance (with ``response_points`` taken off), in SDs.
    y, v, lower, upper, exact
        What was reported.
    """

    arms: Array
    treated: Array
    reference: Array
    trial: Array
    disorder: Array
    session: Array
    wait_h: Array
    weeks: Array
    standard: Array
    covariate: Array
    patients: Array
    baseline: Array
    error: Array
    response_share: Array
    response_points: Array
    remission: Array
    y: Array
    v: Array
    lower: Array
    upper: Array
    exact: Array


def rows_of(
    subjects: Sequence[Subject],
    numbers: Sequence[tuple[int, ...]],
    population: Population,
    disorders: Sequence[str],
    lookup: Lookup,
) -> Rows:
    """Lay out what the trials say."""
    rows: list[dict[str, Any]] = []
    for t, (subject, own) in enumerate(zip(subjects, numbers, strict=True)):
        shared = _of_trial(subject, population, lookup) | {
            "covariate": 0,
            "patients": 1.0,
            "trial": t,
            "disorder": disorders.index(subject.trial.disorder.value),
        }
        rows += [shared | _of_target(own, target) for target in subject.targets]
        rows += [shared | _of_placebo(own, subject.plan.reference, change) for change in subject.placebo]
        rows += [shared | _of_moderation(own, finding) for finding in subject.moderations]
    return Rows._make(xp.asarray(np.stack([row[name] for row in rows])) for name in Rows._fields)


def _of_target(own: Sequence[int], target: Target) -> dict[str, Any]:
    effect = target.effect
    return {
        **_slots(own, target.arms, target.shares, target.reference),
        "session": target.session - 1,
        "wait_h": target.wait_h,
        "weeks": target.weeks,
        "standard": _STANDARDS.index(target.standard),
        "y": 0.0 if effect.yi is None else effect.yi,
        "v": effect.vi,
        "lower": effect.lower,
        "upper": effect.upper,
        "exact": effect.is_exact,
    }


def _of_placebo(own: Sequence[int], reference: int, change: PlaceboChange) -> dict[str, Any]:
    return {
        **_slots(own, (reference,), (1.0,), ()),
        "session": change.session - 1,
        "wait_h": change.wait_h,
        "weeks": change.weeks,
        "standard": PLACEBO,
        "y": change.change,
        "v": change.variance,
        "lower": -np.inf,
        "upper": np.inf,
        "exact": True,
    }


def _of_moderation(own: Sequence[int], finding: Moderation) -> dict[str, Any]:
    shares = (1 / len(finding.arms),) * len(finding.arms)
    return {
        **_slots(own, finding.arms, shares, finding.reference),
        "session": finding.session - 1,
        "wait_h": finding.wait_h,
        "weeks": finding.weeks,
        "standard": INTERACTION,
        "covariate": _COVARIATES.index(finding.covariate),
        "patients": finding.patients,
        "y": 0.0,
        "v": 1.0,
        "lower": finding.lower,
        "upper": finding.upper,
        "exact": False,
    }


def _slots(
    own: Sequence[int], treated: Sequence[int], shares: Sequence[float], reference: Sequence[int]
) -> dict[str, NDArray[Any]]:
    """Arms of one effect and their weights; ``own`` are the numbers of the trial's arms among all."""
    used = [*treated, *reference]
    if len(used) > SLOTS:
        raise InputError(f"an effect may compare up to {SLOTS} arms; given {len(used)}")
    empty = SLOTS - len(used)
    return {
        "arms": np.array([own[place] for place in [*used, *[used[0]] * empty]]),
        "treated": np.array([*shares, *[0.0] * (SLOTS - len(shares))]),
        "reference": np.array([*[0.0] * len(treated), *[1 / len(reference) for _ in reference], *[0.0] * empty]),
    }


def _of_trial(subject: Subject, population: Population, lookup: Lookup) -> dict[str, Any]:
    """Baseline and criteria of the trial's primary scale, as distances from its best score in baseline SDs."""
    scale = subject.plan.scales[0]
    sd = subject.plan.primary_sd
    if scale.baseline is None:  # a scale of change: from no change to the best
        none = float(lookup("clinic.change_none", "1"))
        first = np.full(population.person["severity"].shape, abs(none - scale.best))
        error = float(lookup("clinic.change_noise", "1"))
    else:
        true = at_baseline(scale, xp.asarray(population.person["severity"]), lookup)
        first = np.abs(np.asarray(true, float) - scale.best) / sd
        error = float(np.sqrt(1 - np.asarray(reliability(scale, lookup))))
    share, points = _response(scale, sd)
    return {
        "baseline": first,
        "error": error,
        "response_share": share,
        "response_points": points,
        "remission": _remission(scale, sd),
    }


def _response(scale: Scale, sd: float) -> tuple[float, float]:
    """Distance at which response is met: ``share`` of the baseline's distance less ``points``.

    A relative fall is one of the score itself, so it is exact where the scale's best score is 0.
    """
    rule = scale.instrument.response
    if rule is None:
        return 1.0, -_NEVER
    if rule.relative_fall is not None:
        return 1 - rule.relative_fall, 0.0
    if rule.fall is not None:
        return 1.0, rule.fall / sd
    return 0.0, -_distance(scale, rule, sd)


def _remission(scale: Scale, sd: float) -> float:
    rule = scale.instrument.remission
    return _NEVER if rule is None else _distance(scale, rule, sd)


def _distance(scale: Scale, rule: Criterion, sd: float) -> float:
    mark = rule.at_most if rule.at_most is not None else rule.at_least
    return _NEVER if mark is None else abs(mark - scale.best) / sd


def predicted(rows: Rows, courses: Courses, population: Population, constants: Constants, lookup: Lookup) -> Array:
    """Predicted effect of every row, ``(R,)``: positive favours the drug; placebo changes in baseline SDs.

    Interactions are the expected statistic of drug by covariate.
    """
    course = follow(courses, population, constants, lookup)
    left = _left(rows, course, population, constants, lookup)
    scores = rows.baseline[:, None] * left
    mean = xp.mean(scores, axis=-1)
    between = xp.mean(scores**2, axis=-1) - mean**2
    change = (
        xp.mean((rows.baseline[:, None] - scores) ** 2, axis=-1)
        - (xp.mean(rows.baseline, axis=-1)[:, None] - mean) ** 2
    )
    noise = rows.error**2
    sd_score = xp.sqrt(_sides(rows, between) + noise)
    sd_change = xp.sqrt(_sides(rows, change) + 2 * noise)
    fall = xp.einsum("rc,rc->r", rows.reference, mean) - xp.einsum("rc,rc->r", rows.treated, mean)
    response = _log_odds(
        rows, scores, rows.response_share[:, None, None] * rows.baseline[:, None], rows.response_points
    )
    remission = _log_odds(rows, scores, rows.remission[:, None, None], xp.zeros_like(rows.remission))
    placebo = xp.mean(rows.baseline, axis=-1) - xp.einsum("rc,rc->r", rows.treated, mean)
    moderated = _moderated(rows, courses, course, rows.baseline[:, None] - scores, lookup)
    every = xp.stack([fall / sd_score, fall / sd_change, response, remission, moderated, placebo])
    return xp.take_along_axis(every, rows.standard[None], axis=0)[0]


def _left(rows: Rows, course: Course, population: Population, constants: Constants, lookup: Lookup) -> Array:
    """Share of symptoms left at the time of each row in the arms it speaks of, ``(R, slots, n)``."""
    import jax

    def at(arm: Array, session: Array, wait_h: Array, weeks: Array) -> Array:
        learner = learner_of(population, lookup, constants.learning[arm])
        then = jax.tree.map(lambda leaf: leaf[arm, session], course.state)
        other = constants.nonspecific[arm]
        return symptoms_left(population, learner, then, wait_h=wait_h, weeks=weeks, nonspecific=other, lookup=lookup)

    every_arm = jax.vmap(at, in_axes=(0, None, None, None))
    return jax.vmap(every_arm)(rows.arms, rows.session, rows.wait_h, rows.weeks)


def _moderated(rows: Rows, courses: Courses, course: Course, gain: Array, lookup: Lookup) -> Array:
    """Expected statistic of drug by covariate, ``(R,)``; ``gain`` is ``(R, slots, n)``."""
    every = covariates_of(courses, course)
    mine = every[rows.covariate[:, None], rows.arms, rows.session[:, None]]
    b, variance = slope(
        mine,
        gain,
        noise=xp.asarray(lookup("clinic.suds_noise", "1") / 100.0),
        error=rows.error[:, None],
        patients=rows.patients[:, None],
    )
    return interaction(b, variance, rows.treated, rows.reference)


def _sides(rows: Rows, variance: Array) -> Array:
    """Variance pooled over the two sides."""
    treated, reference = (xp.einsum("rc,rc->r", side, variance) for side in (rows.treated, rows.reference))
    return xp.where(rows.standard >= 0, (treated + reference) / 2, treated)


def _log_odds(rows: Rows, scores: Array, mark: Array, points: Array) -> Array:
    """Log odds ratio of meeting a criterion, the error of measurement integrated out."""
    import jax

    met = jax.scipy.stats.norm.cdf((mark - points[:, None, None] - scores) / rows.error[:, None, None])
    share = xp.clip(xp.mean(met, axis=-1), _LEAST, 1 - _LEAST)
    treated, reference = (xp.einsum("rc,rc->r", side, share) for side in (rows.treated, rows.reference))
    reference = xp.clip(reference, _LEAST, 1 - _LEAST)
    return xp.log(treated / (1 - treated)) - xp.log(reference / (1 - reference))
