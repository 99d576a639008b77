"""When a published record assessed, and by which scales, as assessments of a protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualtrace.effects.primary import FOLLOWUP_WEEKS, scale_order
from dualtrace.errors import InputError
from dualtrace.evidence.load import instruments
from dualtrace.evidence.record import Estimand, Timepoint
from dualtrace.simulation.defaults import CHANGE_SCALES
from dualtrace.simulation.gaps import NOT_REPORTED
from dualtrace.simulation.schedule import Assessment, Session

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dualtrace.evidence.record import Outcome, Trial
    from dualtrace.simulation.gaps import Gaps

Scales = tuple[str, ...]
_SAME_DAYS = 0.5
_NO_SYMPTOMS = frozenset({Estimand.MARKER, Estimand.WITHIN_SESSION, Estimand.ADVERSE_EVENT, Estimand.DROPOUT})


def assessments_of(trial: Trial, sessions: tuple[Session, ...], gaps: Gaps) -> tuple[Assessment, ...]:
    """Baseline, assessments during therapy, after it, and follow-ups, in order of time."""
    scales = scales_of(trial, gaps)
    post_days, post_is_followup = _post_days(trial, sessions, gaps)
    after = [*_mids(trial, sessions, scales, gaps), _post(trial, post_days, scales, gaps)]
    follow = _followups(trial, post_days, post_is_followup, scales, gaps)
    return (Assessment(id="baseline", timepoint=Timepoint.BASELINE, instruments=scales), *after, *follow)


def scales_of(trial: Trial, gaps: Gaps) -> Scales:
    """Scales of symptoms the record reports on, the primary one first; what cannot be simulated is left out, noted.

    First comes the scale that the trial registered as primary, else the first of its disorder's list in
    ``primary.yaml``, else the first reported.
    """
    named = list(dict.fromkeys(key for outcome in trial.outcomes for key in _symptoms(outcome)))
    registered = [key for key in trial.design.registered_primary if key in instruments()]
    wanted = list(dict.fromkeys([*registered, *named]))
    usable = [key for key in wanted if _can_be_simulated(key, gaps)]
    for key in wanted:
        if key not in usable:
            gaps.say(
                "assessments.instruments", f"without {key}", "it cannot be simulated: no baseline or a change scale"
            )
    if not usable:
        usual = gaps.usual.instruments
        gaps.say(
            "assessments.instruments", ", ".join(usual), "the record names no scale of symptoms that is simulated"
        )
        return usual
    order = [*registered, *scale_order().get(trial.disorder.value, ()), *usable]
    primary = next(key for key in order if key in usable)
    return (primary, *(key for key in usable if key != primary))


def _symptoms(outcome: Outcome) -> Iterable[str]:
    if outcome.estimand in _NO_SYMPTOMS:
        return ()
    return (key for key in outcome.instruments if key in instruments())


def _can_be_simulated(key: str, gaps: Gaps) -> bool:
    if instruments()[key].rater == "device" or key in CHANGE_SCALES:
        return False
    try:
        gaps.usual.baseline(key)
    except InputError:
        return False
    return True


def _at(
    trial: Trial, timepoint: Timepoint, scales: Scales, field: str, gaps: Gaps, weeks: float | None = None
) -> Scales:
    """The scales reported at one time point; the primary one where none is."""
    reported = {
        key
        for outcome in trial.outcomes
        if outcome.timepoint is timepoint
        and (weeks is None or outcome.weeks is None or abs(outcome.weeks - weeks) < 0.1)
        for key in _symptoms(outcome)
    }
    found = tuple(key for key in scales if key in reported)
    if not found:
        gaps.say(f"{field}.instruments", scales[0], f"the scales of this time point are {NOT_REPORTED}")
        return scales[:1]
    if scales[0] not in found and timepoint is Timepoint.POST:
        gaps.say(f"{field}.instruments", scales[0], "the primary scale is taken again after treatment")
        return (scales[0], *found)
    return found


def _mids(trial: Trial, sessions: tuple[Session, ...], scales: Scales, gaps: Gaps) -> list[Assessment]:
    weeks = {
        outcome.weeks for outcome in trial.outcomes if outcome.timepoint is Timepoint.MID and _has(outcome, scales)
    }
    after = {_session_before(week, sessions, gaps) for week in weeks} if len(sessions) > 1 else set()
    if weeks and not after:
        gaps.say("assessments.mid", "left out", "an assessment inside the only session is not one of symptoms")
    return [
        Assessment(
            id=f"mid_{number}",
            timepoint=Timepoint.MID,
            after_session=number,
            instruments=_at(trial, Timepoint.MID, scales, f"assessments.mid_{number}", gaps),
        )
        for number in sorted(after)
    ]


def _has(outcome: Outcome, scales: Scales) -> bool:
    return any(key in scales for key in _symptoms(outcome))


def _session_before(week: float | None, sessions: tuple[Session, ...], gaps: Gaps) -> int:
    if week is None:
        half = max(1, len(sessions) // 2)
        gaps.say(
            "assessments.mid", f"after session {half}", f"the time of the assessment is {NOT_REPORTED}; half way"
        )
        return half
    number = sum(session.day < 7 * week for session in sessions)
    found = min(max(number, 1), len(sessions) - 1)
    gaps.read(
        "assessments.mid", f"after session {found}", f"reported at week {week:g}, counted from the first session"
    )
    return found


def _post_days(trial: Trial, sessions: tuple[Session, ...], gaps: Gaps) -> tuple[float, bool]:
    """Days from the last session to the assessment after treatment, and whether the first follow-up stands for it."""
    last = sessions[-1].day
    weeks = sorted({o.weeks for o in trial.outcomes if o.timepoint is Timepoint.POST and o.weeks is not None})
    if weeks:
        days = 7 * weeks[0]
        from_start = days >= last
        since = "first" if from_start and last > 0 else "last"
        gaps.read("assessments.post", f"week {weeks[0]:g}", f"as reported; taken as counted from the {since} session")
        return (days - last if from_start else days), False
    usual = gaps.usual.number("post_weeks")
    followups = _followup_weeks(trial)
    if followups and followups[0] <= usual:
        gaps.read(
            "assessments.post",
            f"week {followups[0]:g}",
            "the first follow-up is taken as the assessment after therapy",
        )
        return 7 * followups[0], True
    return 7 * gaps.default("assessments.post.weeks_after_last", "post_weeks"), False


def _post(trial: Trial, days: float, scales: Scales, gaps: Gaps) -> Assessment:
    return Assessment(
        id="post",
        timepoint=Timepoint.POST,
        days_after_last=days,
        instruments=_at(trial, Timepoint.POST, scales, "assessments.post", gaps),
    )


def _followup_weeks(trial: Trial) -> list[float]:
    reported = {o.weeks for o in trial.outcomes if o.timepoint is Timepoint.FOLLOWUP and o.weeks is not None}
    return sorted({*trial.design.followups_weeks, *reported})


def _followups(
    trial: Trial, post_days: float, post_is_followup: bool, scales: Scales, gaps: Gaps
) -> list[Assessment]:
    weeks = _followup_weeks(trial)
    if post_is_followup:
        weeks = weeks[1:]
    if not weeks and any(outcome.timepoint is Timepoint.FOLLOWUP for outcome in trial.outcomes):
        weeks = [FOLLOWUP_WEEKS]
        gaps.say("assessments.followup", f"week {FOLLOWUP_WEEKS:g}", f"the time of the follow-up is {NOT_REPORTED}")
    found: list[Assessment] = []
    for week in weeks:
        if 7 * week - post_days < _SAME_DAYS:
            gaps.say(
                "assessments.followup",
                f"without week {week:g}",
                "it does not come after the assessment after therapy",
            )
            continue
        name = f"followup_{len(found) + 1}"
        shown = _at(trial, Timepoint.FOLLOWUP, scales, f"assessments.{name}", gaps, week)
        found.append(Assessment(id=name, timepoint=Timepoint.FOLLOWUP, weeks_after_last=week, instruments=shown))
    return found
