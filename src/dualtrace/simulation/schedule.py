"""When a protocol treats and when it measures: sessions in blocks, and assessments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, final

from pydantic import Field, model_validator

from dualtrace.evidence.record import Timepoint
from dualtrace.frozen import FieldError, Frozen, Key, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_SESSIONS = 200
"""Most sessions of one protocol."""

Minutes = Annotated[float, Field(gt=0, le=1440)]
Days = Annotated[float, Field(ge=0, le=20_000)]


@final
class Session(Frozen):
    """One session as it takes place.

    Attributes
    ----------
    day
        Days from the first session.
    minutes
        Length of the session.
    exposures
        Number of exposures in it.
    exposure_minutes
        Length of each; 0 when there is none.
    """

    day: Days
    minutes: Minutes
    exposures: Annotated[int, Field(ge=0)]
    exposure_minutes: Annotated[float, Field(ge=0)]


@final
class Block(Frozen):
    """Sessions of one kind that follow each other.

    Attributes
    ----------
    count
        How many.
    minutes
        Length of each session.
    exposures
        Exposures in each session.
    exposure_minutes
        Length of each exposure; without it the exposures fill the session.
    day
        Day of the block's first session; without it that many days after the session before as ``every_days`` says.
    every_days
        Days from one session to the next, where they differ from those of the therapy.
    """

    count: Annotated[int, Field(ge=1, le=MOST_SESSIONS)] = 1
    minutes: Minutes
    exposures: Annotated[int, Field(ge=0, le=200)]
    exposure_minutes: Minutes | None = None
    day: Days | None = None
    every_days: Annotated[float, Field(gt=0, le=1000)] | None = None

    @model_validator(mode="after")
    def _exposures_fit(self) -> Block:
        if self.exposures == 0 and self.exposure_minutes is not None:
            raise FieldError(
                ("exposure_minutes",), "a session without exposures has no exposure_minutes; leave it out"
            )
        each = self.exposure_minutes or 0.0
        if self.exposures * each > self.minutes + 1e-9:
            message = f"{self.exposures} exposures of {each:g} min do not fit into a session of {self.minutes:g} min"
            raise FieldError(("exposure_minutes",), f"{message}; shorten them or lengthen the session")
        return self

    def session(self, day: float) -> Session:
        """One session of the block on that day."""
        each = self.minutes / self.exposures if self.exposures else 0.0
        if self.exposure_minutes is not None:
            each = self.exposure_minutes
        return Session(day=day, minutes=self.minutes, exposures=self.exposures, exposure_minutes=each)


@final
class Therapy(Frozen):
    """The sessions, written in blocks.

    Attributes
    ----------
    every_days
        Days from one session to the next; needed wherever a block gives neither ``day`` nor its own spacing.
    sessions
        The blocks in order of time; the first session is on day 0.
    """

    every_days: Annotated[float, Field(gt=0, le=1000)] | None = None
    sessions: Annotated[tuple[Block, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _follows_in_time(self) -> Therapy:
        days = list(self._days())
        if len(days) > MOST_SESSIONS:
            raise FieldError(("sessions",), f"a protocol has at most {MOST_SESSIONS} sessions; given {len(days)}")
        return self

    def _days(self) -> Iterator[tuple[float, Block]]:
        """Day and block of every session."""
        before: float | None = None
        number = 0
        for place, block in enumerate(self.sessions):
            for i in range(block.count):
                number += 1
                day = self._day(block, before, (place, i, number))
                if before is not None and day <= before:
                    message = f"sessions must be in order of time; session {number} is on day {day:g}"
                    raise FieldError(("sessions", place, "day"), f"{message}, the one before on day {before:g}")
                yield day, block
                before = day

    def _day(self, block: Block, before: float | None, at: tuple[int, int, int]) -> float:
        place, i, number = at
        if before is None:
            if block.day:
                message = f"the first session is on day 0, from which all days count; given day {block.day:g}"
                raise FieldError(("sessions", place, "day"), message)
            return 0.0
        if i == 0 and block.day is not None:
            return block.day
        every = block.every_days or self.every_days
        if every is None:
            message = f"nothing says when session {number} takes place; give its day, or every_days"
            raise FieldError(("sessions", place), message)
        return before + every

    def resolved(self) -> tuple[Session, ...]:
        """Every session with its day."""
        return tuple(block.session(day) for day, block in self._days())


@final
class Assessment(Frozen):
    """One assessment: before the first session, between two sessions, or after the last.

    Attributes
    ----------
    timepoint
        ``baseline`` (before the first session), ``mid``, ``post`` or ``followup``.
    after_session
        The session it follows; it takes place just before the next one.
    weeks_after_last, days_after_last
        Time since the last session.
    instruments
        Keys of ``instruments.yaml``, the primary one first.
    """

    id: Key
    timepoint: Timepoint
    after_session: Annotated[int, Field(ge=1)] | None = None
    weeks_after_last: Annotated[float, Field(ge=0, le=2000)] | None = None
    days_after_last: Days | None = None
    instruments: Annotated[tuple[Text, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _one_time(self) -> Assessment:
        times = [
            f"{name}: {value:g}"
            for name in ("after_session", "weeks_after_last", "days_after_last")
            if (value := getattr(self, name)) is not None
        ]
        if self.timepoint is Timepoint.BASELINE and times:
            raise FieldError(("timepoint",), f"the baseline is taken before the first session; given {times[0]}")
        if self.timepoint is not Timepoint.BASELINE and len(times) != 1:
            raise FieldError(
                ("timepoint",),
                f"an assessment at {self.timepoint.value} needs exactly one of after_session, weeks_after_last and "
                f"days_after_last; given {' and '.join(times) or 'none'}",
            )
        if (self.timepoint is Timepoint.MID) != (self.after_session is not None) and times:
            raise FieldError(
                ("timepoint",),
                f"an assessment between sessions is mid, one after the last is post or followup; given "
                f"{self.timepoint.value} with {times[0]}",
            )
        return self

    @property
    def is_after_therapy(self) -> bool:
        """Whether it takes place after the last session; the others take place just before one."""
        return self.days_after_last is not None or self.weeks_after_last is not None

    def day(self, sessions: tuple[Session, ...]) -> float:
        """Day from the first session on which it takes place; on the day of a session see is_after_therapy."""
        if self.after_session is not None:
            return sessions[self.after_session].day
        if self.timepoint is Timepoint.BASELINE:
            return 0.0
        return sessions[-1].day + (self.days_after_last or 0.0) + 7.0 * (self.weeks_after_last or 0.0)
