"""Predicted arms to predicted effects: standardised differences and log odds ratios, as trials would report them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dualtrace.calibration.moderation import INTERACTION, Covariate, covariates_of, interaction, slope
from dualtrace.calibration.predict import Constants, Course, follow, learner_of, symptoms_left
from dualtrace.calibration.targets import Standard
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
        The arms it speaks of, ``(R, slots)``; unused slots repeat the last.
    treated, reference
        Weight of each of them in the two sides, ``(R, slots)``.
    trial, disorder
        Number of the trial and of its disorder.
    session, wait_h, weeks
        When, ``(R,)``; ``session`` counts from 0.
    standard
        Place in :class:`dualtrace.calibration.targets.Standard`; -1 for a placebo change, 4 for an interaction. Known
        when a program is compiled, as is ``exact``: what need not be worked out of a row is not in the program.
    covariate, patients
        Of an interaction: place in :class:`dualtrace.calibration.moderation.Covariate`, and patients per arm.
    baseline, spread, error
        True score at baseline as distance from the best score, in baseline SDs ``(R, n)``; the SD of observed
        scores is 1; the error's SD ``(R,)``.
    response, remission
        Distance from the best score at which the criterion is met: ``response`` as a share of the baseline's
        distance (with ``response_points`` taken off), in SDs.
    y, v, lower, upper, exact
        What was reported: a number, or the interval in which it lies.
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


class Reported(NamedTuple):
    """What differs between real trials and the same ones made up, ``(R,)``: numbers and ends of intervals."""

    y: Array
    lower: Array
    upper: Array


def reported_in(rows: Rows) -> Reported:
    """Return what the rows report."""
    return Reported(rows.y, rows.lower, rows.upper)


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
    most = max((len(row["arms"]) for row in rows), default=0)
    rows = [row | _padded(row, most) for row in rows]
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
    return {
        "arms": np.array([own[place] for place in [*treated, *reference]]),
        "treated": np.array([*shares, *[0.0] * len(reference)]),
        "reference": np.array([*[0.0] * len(treated), *[1 / len(reference) for _ in reference]]),
    }


def _padded(row: dict[str, Any], slots: int) -> dict[str, NDArray[Any]]:
    """Arms and weights of a row in as many slots as the row with the most arms has."""
    empty = slots - len(row["arms"])
    weights = {side: np.pad(row[side], (0, empty)) for side in ("treated", "reference")}
    return {"arms": np.pad(row["arms"], (0, empty), mode="edge"), **weights}


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

    Interactions are the expected statistic of drug by covariate. Each row is worked out in its own currency alone.
    """
    course = follow(courses, population, constants, lookup)
    left = _left(rows, course, population, constants, lookup)
    standard, found, places = np.asarray(rows.standard), [], []
    for currency in sorted(set(standard.tolist())):
        mine = np.flatnonzero(standard == currency)
        of_currency = Rows._make(column[mine] for column in rows)
        scores = of_currency.baseline[:, None] * left[mine]
        if currency == INTERACTION:
            found.append(_moderated(of_currency, courses, course, of_currency.baseline[:, None] - scores, lookup))
        else:
            found.append(_IN_CURRENCY[currency](of_currency, scores))
        places.append(mine)
    return xp.concatenate(found)[np.argsort(np.concatenate(places))]


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


def _fall(rows: Rows, scores: Array) -> Array:
    """Mean score of the reference less that of the treated."""
    mean = xp.mean(scores, axis=-1)
    return xp.einsum("rc,rc->r", rows.reference, mean) - xp.einsum("rc,rc->r", rows.treated, mean)


def _by_score(rows: Rows, scores: Array) -> Array:
    """Difference in SDs of the scores."""
    return _fall(rows, scores) / xp.sqrt(_sides(rows, xp.var(scores, axis=-1)) + rows.error**2)


def _by_change(rows: Rows, scores: Array) -> Array:
    """Difference in SDs of the change, which has the error of two scores."""
    change = xp.var(rows.baseline[:, None] - scores, axis=-1)
    return _fall(rows, scores) / xp.sqrt(_sides(rows, change) + 2 * rows.error**2)


def _responders(rows: Rows, scores: Array) -> Array:
    mark = rows.response_share[:, None, None] * rows.baseline[:, None] - rows.response_points[:, None, None]
    return _log_odds(rows, scores, mark)


def _remitters(rows: Rows, scores: Array) -> Array:
    return _log_odds(rows, scores, rows.remission[:, None, None])


def _with_placebo(rows: Rows, scores: Array) -> Array:
    """Mean fall from baseline in the one arm spoken of."""
    return xp.mean(rows.baseline, axis=-1) - xp.einsum("rc,rc->r", rows.treated, xp.mean(scores, axis=-1))


def _sides(rows: Rows, variance: Array) -> Array:
    """Variance pooled over the two sides."""
    return xp.einsum("rc,rc->r", rows.treated + rows.reference, variance) / 2


def _log_odds(rows: Rows, scores: Array, mark: Array) -> Array:
    """Log odds ratio of meeting a criterion, the error of measurement integrated out."""
    import jax

    met = jax.scipy.stats.norm.cdf((mark - scores) / rows.error[:, None, None])
    share = xp.clip(xp.mean(met, axis=-1), _LEAST, 1 - _LEAST)
    treated, reference = (xp.einsum("rc,rc->r", side, share) for side in (rows.treated, rows.reference))
    return xp.log(treated / (1 - treated)) - xp.log(reference / (1 - reference))


def _moderated(rows: Rows, courses: Courses, course: Course, gain: Array, lookup: Lookup) -> Array:
    """Expected statistic of drug by covariate, ``(R,)``; ``gain`` is ``(R, slots, n)``."""
    every = covariates_of(courses, course, rows.arms, rows.session)
    mine = xp.take_along_axis(every, rows.covariate[None, :, None, None], axis=0)[0]
    b, variance = slope(
        mine,
        gain,
        noise=xp.asarray(lookup("clinic.suds_noise", "1") / 100.0),
        error=rows.error[:, None],
        patients=rows.patients[:, None],
    )
    return interaction(b, variance, rows.treated, rows.reference)


_IN_CURRENCY = {
    PLACEBO: _with_placebo,
    _STANDARDS.index(Standard.SCORE): _by_score,
    _STANDARDS.index(Standard.CHANGE): _by_change,
    _STANDARDS.index(Standard.RESPONSE): _responders,
    _STANDARDS.index(Standard.REMISSION): _remitters,
}
