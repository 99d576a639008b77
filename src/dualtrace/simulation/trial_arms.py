"""The arms of a published record as arms of a protocol: doses, times, and rules in words."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from dualtrace.errors import InputError
from dualtrace.simulation.arm import PLACEBO, Band, DosedSessions, ProtocolArm, dose_limit_mg
from dualtrace.simulation.gaps import NOT_REPORTED

if TYPE_CHECKING:
    from dualtrace.evidence.record import Arm, Trial
    from dualtrace.simulation.gaps import Gaps

_BAND_KG = 46.0
_TWO_DOSES = re.compile(r"(\d+(?:\.\d+)?) or (\d+(?:\.\d+)?) mg .*weight")
_FROM_WEIGHT = re.compile(r"from about (\d+(?:\.\d+)?) kg")
_FEAR = r"(?:fear|distress|anxiety|SUDS)"
_BELOW = re.compile(rf"\b{_FEAR}\b[^.;]*?\b(below|under|less than|at most)\b (\d+)\b(?! ?%)", re.IGNORECASE)
_SHARE = re.compile(rf"\b{_FEAR}\b[^.;]*?\bf(?:ell|alls|allen)\b[^.;]*? (\d+) ?%", re.IGNORECASE)
_POINTS = re.compile(rf"\b{_FEAR}\b[^.;]*?\bf(?:ell|alls|allen)\b[^.;]*? (\d+) (?:points|SUDS)", re.IGNORECASE)


def arms_of(trial: Trial, dosed: DosedSessions, gaps: Gaps) -> tuple[ProtocolArm, ...]:
    """The arms that can be simulated.

    Parameters
    ----------
    trial
        The record.
    dosed
        Sessions with a capsule.
    gaps
        Where assumptions are noted.

    Returns
    -------
    tuple of ProtocolArm
        Arms with placebo or an agent of the mechanism; others are left out, which is noted.

    Raises
    ------
    InputError
        Fewer than two arms remain.
    """
    found = [made for arm in trial.design.arms if (made := _arm(arm, dosed, gaps)) is not None]
    if len(found) < 2:
        needed = "a protocol compares at least two arms with placebo or an agent of the mechanism"
        raise InputError(f"{needed}; {trial.id} has {len(found)}")
    return tuple(found)


def rule_in_words(text: str) -> str | None:
    """The dosing rule that a sentence states, or ``None`` where it is not plainly one of the known forms.

    Known are: fear below (under, less than, at most) a number, fear fell by a percentage, fear fell by points.
    """
    if (match := _BELOW.search(text)) is not None:
        return f"last_suds {'<=' if match[1].lower() == 'at most' else '<'} {match[2]}"
    if (match := _SHARE.search(text)) is not None:
        return f"suds_drop >= {float(match[1]) / 100:g} * peak_suds"
    if (match := _POINTS.search(text)) is not None:
        return f"suds_drop >= {match[1]}"
    return None


def _arm(arm: Arm, dosed: DosedSessions, gaps: Gaps) -> ProtocolArm | None:
    here = f"arms.{arm.id}"
    if arm.is_placebo:
        return ProtocolArm(id=arm.id, label=arm.label, agent=PLACEBO, sessions=dosed, **_placebo_time(arm))
    if arm.agent == "none":
        gaps.say(f"{here}.agent", PLACEBO, "the arm took no capsule; an effect of taking one is not modelled")
        return ProtocolArm(id=arm.id, label=arm.label, agent=PLACEBO, sessions=dosed)
    try:
        dose_limit_mg(arm.agent)
    except InputError:
        gaps.say(here, "left out", f"the mechanism has no model of {arm.agent}")
        return None
    return ProtocolArm(
        id=arm.id,
        label=arm.label,
        agent=arm.agent,
        sessions=dosed,
        rule=_rule(arm, here, gaps),
        **_dose(arm, here, gaps),
        **_time(arm, here, gaps),
    )


def _placebo_time(arm: Arm) -> dict[str, Any]:
    timing = arm.timing
    if timing is None or timing.minutes is None or timing.given == "daily" or not timing.minutes.is_exact:
        return {}
    return {"give": timing.given, "minutes": timing.minutes.middle}


def _rule(arm: Arm, here: str, gaps: Gaps) -> str | None:
    if arm.contingency is None:
        return None
    rule = rule_in_words(arm.contingency)
    if rule is None:
        gaps.say(f"{here}.if", "every dose given", f"not modelled: {arm.contingency}")
    else:
        gaps.read(f"{here}.if", rule, f"read from: {arm.contingency}")
    return rule


def _dose(arm: Arm, here: str, gaps: Gaps) -> dict[str, Any]:
    if arm.dose_mg_per_kg is not None:
        return {"dose_mg_per_kg": arm.dose_mg_per_kg}
    span = arm.dose_mg
    if span is None:
        return {"dose_mg": gaps.default(f"{here}.dose_mg", "dose_mg")}
    two = _TWO_DOSES.search(arm.dose_rule or "")
    if two is not None and math.isclose(float(two[1]), span.low) and math.isclose(float(two[2]), span.high):
        return {"bands": _bands(arm, here, gaps)}
    return {"dose_mg": gaps.span(f"{here}.dose_mg", span, "dose_mg")}


def _bands(arm: Arm, here: str, gaps: Gaps) -> tuple[Band, ...]:
    """Two doses by body weight."""
    low, high = (arm.dose_mg.low, arm.dose_mg.high) if arm.dose_mg is not None else (0.0, 0.0)
    from_weight = _FROM_WEIGHT.search(arm.dose_rule or "")
    if from_weight is not None:
        limit = float(from_weight[1])
        gaps.read(f"{here}.bands", f"{low:g} mg below {limit:g} kg", f"read from: {arm.dose_rule}")
    else:
        limit = _BAND_KG
        gaps.say(f"{here}.bands", f"below {limit:g} kg", "the weight is not reported; as in storch2010", "storch2010")
    return (Band(below_kg=limit, dose_mg=low), Band(dose_mg=high))


def _time(arm: Arm, here: str, gaps: Gaps) -> dict[str, Any]:
    timing = arm.timing
    if timing is None or timing.given == "daily":
        given = "after" if arm.contingency is not None else "before"
        gaps.say(f"{here}.give", given, f"the time of the capsule is {NOT_REPORTED}")
    else:
        given = timing.given
    reported = None if timing is None else timing.minutes
    if given == "after" and reported is None:
        gaps.say(f"{here}.minutes", "0", f"the minutes after the session are {NOT_REPORTED}")
        return {"give": given, "minutes": 0.0}
    return {"give": given, "minutes": gaps.span(f"{here}.minutes", reported, "minutes_before")}
