"""Sums over patients: all that summaries, records and figures of a virtual trial need, whatever its size.

Every sum is taken within a block first and then block after block in order, so that it does not depend on how the
blocks were cut into chunks or shared among devices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dualtrace.mechanism.arrays import xp
from dualtrace.simulation.scale import remission, response

if TYPE_CHECKING:
    from dualtrace.mechanism.arrays import Array
    from dualtrace.simulation.block import ArmCourse, Block
    from dualtrace.simulation.plan import Plan

GAIN_EDGES = np.round(np.arange(-1.525, 1.526, 0.05), 3)
"""Edges of the histogram of each patient's own benefit, in SDs at baseline; the outer bins are open.

No benefit lies in the middle of a bin: at an edge, rounding would decide where a patient without capsules is counted.
"""

FEAR_BINS = 10
"""Bins of fear at the end of a session, 0 to 100 SUDS."""

_MARGIN = 0.1


class Tally(NamedTuple):
    """Sums; ``A`` arms, ``V`` visits with the baseline, ``S`` scales, ``K`` sessions.

    The first group counts patients in the arm they were allotted to, as a trial does; the second counts every
    patient in every arm against the same patient in the reference arm, as no trial can.

    Attributes
    ----------
    allotted
        Patients of each arm, ``(A,)``.
    seen, total, square
        Patients measured, their scores and squared scores, ``(A, V, S)``.
    change, change_square
        The same of the change from baseline.
    sloped, slope, slope_square
        Patients with two or more scores of the primary scale during treatment, and their own slopes (points a week)
        by least squares, ``(A,)``.
    responded, remitted
        Patients with a response and in remission, by the instrument's rule.
    attended, suds, suds_square
        Patients at each session ``(A, K)``; start, peak and end SUDS ``(A, K, 3)`` of those with exposures.
    exposed
        Patients who gave these SUDS, ``(A, K)``.
    due, dosed, boost
        Capsules due and swallowed with drug, and the boost summed, ``(A, K)``.
    people
        Patients in all, ``()``.
    true, true_square
        True primary score of every patient in every arm, ``(A, V)``.
    gain, gain_square
        Benefit against the reference arm in SDs at baseline (positive is better), ``(A, V)``.
    gain_counts
        Histogram of that benefit at the last visit of treatment by :data:`GAIN_EDGES`, ``(A, bins)``.
    better, worse
        Patients better or worse off by a tenth of an SD or more, ``(A, V)``.
    moderated, moderated_gain
        Sessions with drug, all but the last, by :data:`FEAR_BINS` of their end fear, and by how much more fear
        (SUDS) fell from the start of the session to the start of the next one than in the reference arm,
        ``(A, bins)``.
    """

    allotted: Array
    seen: Array
    total: Array
    square: Array
    change: Array
    change_square: Array
    sloped: Array
    slope: Array
    slope_square: Array
    responded: Array
    remitted: Array
    attended: Array
    exposed: Array
    suds: Array
    suds_square: Array
    due: Array
    dosed: Array
    boost: Array
    people: Array
    true: Array
    true_square: Array
    gain: Array
    gain_square: Array
    gain_counts: Array
    better: Array
    worse: Array
    moderated: Array
    moderated_gain: Array


def tally(plan: Plan, block: Block, arm_of: Array, counted: Array) -> Tally:
    """Sum over a block.

    Parameters
    ----------
    plan, block
        What was simulated.
    arm_of
        Place of the arm each patient was allotted to, ``(n,)``.
    counted
        Whether the patient exists (the last block may be padded), ``(n,)``.
    """
    parts = [
        _as_trial(plan, arm, (arm_of == place) & counted) + _as_twins(plan, place, block, counted)
        for place, arm in enumerate(block.arms)
    ]
    stacked = [xp.stack(column) for column in zip(*parts, strict=True)]
    first = len(_OWN)
    return Tally._make([*stacked[:first], _count(counted), *stacked[first:]])


_OWN = Tally._fields[: Tally._fields.index("people")]


def _as_trial(plan: Plan, arm: ArmCourse, mine: Array) -> tuple[Array, ...]:
    lived, scores = arm.lived, arm.scores.observed
    seen = present(plan, lived.stays)[:, None] & plan.measured[:, :, None] & mine
    change = scores - scores[:1]
    responses = xp.stack([response(s, scores[0, k], scores[:, k]) for k, s in enumerate(plan.scales)], axis=1)
    remissions = xp.stack([remission(s, scores[:, k]) for k, s in enumerate(plan.scales)], axis=1)
    slope, has_slope = _slopes(plan, scores[:, 0], seen[:, 0])
    here = (lived.attended > 0) & mine
    exposed = here & (plan.exposures > 0)[:, None]
    suds = (lived.start, lived.peak, lived.end)
    return (
        _count(mine),
        _count(seen),
        _sum(scores, seen),
        _sum(scores**2, seen),
        _sum(change, seen),
        _sum(change**2, seen),
        _count(has_slope),
        _sum(slope, has_slope),
        _sum(slope**2, has_slope),
        _sum(responses, seen),
        _sum(remissions, seen),
        _count(here),
        _count(exposed),
        xp.stack([_sum(one, exposed) for one in suds], axis=1),
        xp.stack([_sum(one**2, exposed) for one in suds], axis=1),
        _sum(lived.due, here),
        _count((lived.dose_mg > 0) & here),
        _sum(lived.boost, here),
    )


def present(plan: Plan, stays: Array) -> Array:
    """Who is still in treatment at each visit, the baseline first, ``(V, n)``, from who stays after each session."""
    # Rows are picked, not joined: a join inside an elementwise kernel costs it the vector registers.
    over = np.array([0, *(visit.session - 1 for visit in plan.visits)])
    return xp.asarray((stays[over] > 0) | (np.arange(over.size) == 0)[:, None])


def _slopes(plan: Plan, scores: Array, seen: Array) -> tuple[Array, Array]:
    """Each patient's slope over the visits up to the end of treatment, and whether there is one."""
    upto = plan.last_of_treatment + 1
    weeks = xp.asarray([0.0, *(visit.weeks for visit in plan.visits)][:upto], scores.dtype)[:, None]
    weight = seen[:upto].astype(scores.dtype)
    count = xp.maximum(xp.sum(weight, axis=0), 1)
    centred = weeks - xp.sum(weight * weeks, axis=0) / count
    spread = xp.sum(weight * centred**2, axis=0)
    slope = xp.sum(weight * centred * scores[:upto], axis=0) / xp.where(spread > 0, spread, 1)
    return slope, spread > 0


def _as_twins(plan: Plan, place: int, block: Block, counted: Array) -> tuple[Array, ...]:
    arm, reference = block.arms[place], block.arms[plan.reference]
    true, gain = arm.scores.true[:, 0], own_gain(plan, arm, reference)
    at_least = gain[plan.last_of_treatment] >= xp.asarray(GAIN_EDGES, gain.dtype)[:, None]
    reached = xp.concatenate([_count(counted)[None], _count(at_least & counted), xp.zeros_like(true, float, shape=1)])
    source, none = plan.arms[place], xp.zeros_like(true, float, shape=FEAR_BINS)
    has_drug = source.dosed.any() and not source.source.is_placebo
    moderated = _moderated(arm, reference, counted) if has_drug else (none, none)
    return (
        _sum(true, counted),
        _sum(true**2, counted),
        _sum(gain, counted),
        _sum(gain**2, counted),
        reached[:-1] - reached[1:],
        _count((gain >= _MARGIN) & counted),
        _count((gain <= -_MARGIN) & counted),
        *moderated,
    )


def _moderated(arm: ArmCourse, reference: ArmCourse, counted: Array) -> tuple[Array, Array]:
    fear = xp.clip(xp.floor(FEAR_BINS * arm.lived.end_fear), 0, FEAR_BINS - 1)[:-1]
    less = xp.diff(reference.lived.start, axis=0) - xp.diff(arm.lived.start, axis=0)
    both = (arm.lived.attended[1:] > 0) & (reference.lived.attended[1:] > 0) & xp.isfinite(less) & counted
    both = both & (arm.lived.dose_mg[:-1] > 0)
    by_fear = (fear[None] == xp.asarray(np.arange(FEAR_BINS), fear.dtype)[:, None, None]) & both[None]
    return xp.sum(_count(by_fear), axis=-1), xp.sum(_sum(less[None], by_fear), axis=-1)


def own_gain(plan: Plan, arm: ArmCourse, reference: ArmCourse) -> Array:
    """Benefit of each patient against the same patient in the reference arm, SDs at baseline, ``(V, n)``."""
    if arm is reference:
        return xp.zeros_like(arm.scores.true[:, 0])
    scale = plan.scales[0]
    side = float(np.sign(scale.worst - scale.best))
    return xp.asarray(side * (reference.scores.true[:, 0] - arm.scores.true[:, 0]) / plan.primary_sd)


def _sum(values: Array, chosen: Array) -> Array:
    """Sum over the patients chosen, in double precision."""
    return xp.sum(xp.where(chosen, values.astype(float), 0.0), axis=-1)


def tally_shapes(plan: Plan) -> dict[str, tuple[int, ...]]:
    """Shape of every field of a tally of this plan."""
    arms, visits, scales, sessions = len(plan.arms), 1 + len(plan.visits), len(plan.scales), plan.sessions
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(Tally._fields, (arms, sessions))
    other: dict[tuple[int, ...], tuple[str, ...]] = {
        (arms,): ("allotted", "sloped", "slope", "slope_square"),
        (arms, visits, scales): ("seen", "total", "square", "change", "change_square", "responded", "remitted"),
        (arms, visits): ("true", "true_square", "gain", "gain_square", "better", "worse"),
        (arms, sessions, 3): ("suds", "suds_square"),
        (arms, FEAR_BINS): ("moderated", "moderated_gain"),
        (arms, GAIN_EDGES.size + 1): ("gain_counts",),
        (): ("people",),
    }
    return shapes | {name: shape for shape, names in other.items() for name in names}


def _count(chosen: Array) -> Array:
    """How many patients are chosen; whole numbers are faster to add up and exact."""
    return xp.sum(chosen, axis=-1, dtype=np.int32).astype(float)


def add(tallies: list[Tally]) -> Tally:
    """Add tallies one after the other."""
    total = tallies[0]
    for one in tallies[1:]:
        total = Tally(*(a + b for a, b in zip(total, one, strict=True)))
    return total
