"""What is kept of every patient: all that tables show, or the outcomes that a trial's analysis needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dualtrace.mechanism.arrays import xp
from dualtrace.simulation.tally import present

if TYPE_CHECKING:
    from dualtrace.mechanism.arrays import Array
    from dualtrace.simulation.block import Block
    from dualtrace.simulation.plan import Plan


class Rows(NamedTuple):
    """What tables keep of every patient; the patients are the last axis, arms and visits come before.

    Attributes
    ----------
    arm
        Place of the arm the patient was allotted to.
    observed
        Scores in that arm, ``(visits, scales, n)``, NaN where not assessed or gone.
    twin
        True primary score in every arm, ``(arms, visits, n)``.
    lived
        What happened in that arm, session by session, ``(sessions, n)`` by name.
    person
        Traits of the patient by name.
    known
        What each arm's dosing rule knew, ``(names, sessions, n)`` by arm; empty without rules.
    """

    arm: Array
    observed: Array
    twin: Array
    lived: dict[str, Array]
    person: dict[str, Array]
    known: dict[str, Array]


class Outcomes(NamedTuple):
    """The primary scale in the arm each patient was allotted to; the patients are the last axis.

    Attributes
    ----------
    arm
        Place of that arm.
    observed
        Score at every visit, the baseline first, ``(1 + visits, n)``, NaN where not assessed or gone.
    end
        SUDS at the end of every session, ``(sessions, n)``, NaN where there was no exposure or the patient was gone.
    """

    arm: Array
    observed: Array
    end: Array


def rows_of(plan: Plan, block: Block, arm_of: Array) -> Rows:
    """Keep of a block what tables show."""
    arms = block.arms
    fields = [name for name in arms[0].lived._fields if name != "known"]
    people = block.patients
    return Rows(
        arm=arm_of,
        observed=_shown(plan, block, arm_of),
        twin=xp.stack([arm.scores.true[:, 0] for arm in arms]),
        lived={name: _mine(arm_of, [getattr(arm.lived, name) for arm in arms]) for name in fields},
        person={
            "severity": people.severity,
            "weight_kg": xp.asarray(people.covariates.weight),
            "antidepressant": people.antidepressant,
            "threat": people.traits.threat,
            "learning": people.traits.learning,
            "generalisation": people.traits.generalisation,
        },
        known={
            plan_arm.source.id: xp.stack(arm.lived.known)
            for plan_arm, arm in zip(plan.arms, arms, strict=True)
            if arm.lived.known
        },
    )


def outcomes_of(plan: Plan, block: Block, arm_of: Array) -> Outcomes:
    """Keep of a block what the analysis of a trial needs."""
    lived = [arm.lived for arm in block.arms]
    end = _mine(arm_of, [one.end for one in lived])
    attended = _mine(arm_of, [one.attended for one in lived])
    return Outcomes(arm_of, _shown(plan, block, arm_of)[:, 0], xp.where(attended > 0, end, xp.full_like(end, xp.nan)))


def _shown(plan: Plan, block: Block, arm_of: Array) -> Array:
    """Observed scores in the allotted arm, NaN where not assessed or gone."""
    observed = _mine(arm_of, [arm.scores.observed for arm in block.arms])
    stays = _mine(arm_of, [arm.lived.stays for arm in block.arms])
    shown = present(plan, stays)[:, None] & plan.measured[:, :, None]
    return xp.where(shown, observed, xp.full_like(stays[0], xp.nan))


def _mine(arm_of: Array, leaves: list[Array]) -> Array:
    """Of arrays by arm, the one of the arm each patient was allotted to."""
    chosen = leaves[0]
    for place, leaf in enumerate(leaves[1:], 1):
        chosen = xp.where(arm_of == place, leaf, chosen)
    return chosen
