"""The therapy of a published record as sessions of a protocol, and which of them have a capsule."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from dualtrace.simulation.gaps import NOT_REPORTED
from dualtrace.simulation.schedule import Block, Therapy

if TYPE_CHECKING:
    from dualtrace.evidence.record import Sessions, Trial
    from dualtrace.simulation.gaps import Gaps

_NUMBERS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
_RANGE = re.compile(r"(?:drug|capsules?)[^.;]*?\bsessions (\d+) (to|and) (\d+)", re.IGNORECASE)
_FIRST = re.compile(r"(?:drug|capsules?)[^.;]*?\bfirst (\w+) sessions", re.IGNORECASE)


@final
@dataclass(frozen=True, slots=True)
class Reading:
    """What the prose of a shipped record says of its sessions, where no pattern finds it.

    Attributes
    ----------
    dosed
        Sessions with a capsule.
    exposures
        Sessions with exposures.
    words
        The record's words.
    every_days
        Days between sessions, where they say it.
    joined
        Sessions of one day that are taken as one: they share a consolidation window.
    """

    dosed: tuple[int, ...]
    exposures: tuple[int, ...]
    words: str
    every_days: float | None = None
    joined: int = 1


PROSE = {
    "kvale2020": Reading((2, 3), (2, 3), "three hours of education, two days of exposure, a day to sum up"),
    "levinson2015": Reading(
        (2, 3, 4), (2, 3, 4, 5), "psychoeducation and four exposure meals; before the first three"
    ),
    "sharp2017": Reading(
        (1, 2, 3, 4, 5),
        (1, 2, 3, 4, 5),
        "three sessions a day for five days, one dose a day before the first; those of a day are taken as one",
        every_days=1.0,
        joined=3,
    ),
}


@final
@dataclass(frozen=True, slots=True)
class Course:
    """A therapy with the sessions that have a capsule."""

    therapy: Therapy
    dosed: tuple[int, ...]


def course_of(trial: Trial, gaps: Gaps) -> Course:
    """Sessions of a record: how many, how long, how far apart, with how many exposures, which with a capsule."""
    sessions = trial.design.sessions
    prose = PROSE.get(trial.id)
    joined = 1 if prose is None else prose.joined
    total = _total(trial, gaps) // joined
    dosed = _dosed(trial, total, gaps) if prose is None else prose.dosed
    if prose is None:
        exposures = _exposure_sessions(total, dosed, gaps)
    else:
        exposures = prose.exposures
        gaps.read(
            "therapy.sessions", f"dosed {_list(dosed)}, exposures in {_list(exposures)}", f"read: {prose.words}"
        )
    every = None if prose is None else prose.every_days
    if every is None and total > 1:
        every = gaps.span("therapy.every_days", sessions.interval_days, "every_days")
    minutes = joined * gaps.span("therapy.sessions.minutes", sessions.minutes, "minutes")
    return Course(Therapy(every_days=every, sessions=_blocks(total, exposures, minutes, gaps)), dosed)


def _total(trial: Trial, gaps: Gaps) -> int:
    sessions = trial.design.sessions
    if sessions.total:
        return sessions.total
    doses = sessions.augmented or max((arm.n_doses or 0 for arm in trial.design.arms), default=0)
    if doses:
        gaps.read("therapy.sessions", str(doses), f"the number of sessions is {NOT_REPORTED}; taken as that of doses")
        return doses
    return int(gaps.default("therapy.sessions", "sessions"))


def _dosed(trial: Trial, total: int, gaps: Gaps) -> tuple[int, ...]:
    sessions = trial.design.sessions
    count = sessions.augmented or max((arm.n_doses or 0 for arm in trial.design.arms), default=0)
    read = _read_dosed(sessions, total)
    if read and (not count or len(read) == count):
        gaps.read("arms.sessions", _list(read), f"read from: {sessions.note}")
        return read
    if count:
        count = min(count, total)
        if count < total:
            gaps.say(
                "arms.sessions", f"the last {count} of {total}", f"which sessions have a capsule is {NOT_REPORTED}"
            )
        return tuple(range(total - count + 1, total + 1))
    first = min(int(gaps.default("therapy.introduction", "introduction")), total - 1)
    gaps.say(
        "arms.sessions", f"{first + 1} to {total}", f"the number of doses is {NOT_REPORTED}; one at every exposure"
    )
    return tuple(range(first + 1, total + 1))


def _read_dosed(sessions: Sessions, total: int) -> tuple[int, ...]:
    note = sessions.note or ""
    if (match := _RANGE.search(note)) is not None:
        first, last = int(match[1]), int(match[3])
        both = (first, last) if match[2] == "and" else tuple(range(first, last + 1))
        return both if first < last <= total else ()
    if (match := _FIRST.search(note)) is not None and match[1] in _NUMBERS:
        return tuple(range(1, min(_NUMBERS[match[1]], total) + 1))
    return ()


def _exposure_sessions(total: int, dosed: tuple[int, ...], gaps: Gaps) -> tuple[int, ...]:
    """Exposures begin with the first capsule and go on to the end."""
    first = dosed[0]
    said = "all" if first == 1 else f"{first} to {total}"
    gaps.say("therapy.sessions.exposures", said, "which sessions have exposures; from the first capsule to the end")
    return tuple(range(first, total + 1))


def _blocks(total: int, exposures: tuple[int, ...], minutes: float, gaps: Gaps) -> tuple[Block, ...]:
    share = gaps.default("therapy.exposure_share", "exposure_share")
    each = gaps.default("therapy.sessions.exposure_minutes", "exposure_minutes")
    each = min(each, minutes * share)
    count = max(1, round(share * minutes / each))
    gaps.say("therapy.sessions.exposures", f"{count} of {each:g} minutes", "that share of a session in exposures")
    blocks = []
    for has, run in itertools.groupby(number in exposures for number in range(1, total + 1)):
        length = len(list(run))
        block = {"count": length, "minutes": minutes, "exposures": count if has else 0}
        blocks.append(Block.model_validate({**block, "exposure_minutes": each} if has else block))
    return tuple(blocks)


def _list(numbers: tuple[int, ...]) -> str:
    return ", ".join(str(number) for number in numbers)
