"""One group's phases to rows: what happens when, with every assumption written down."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dualtrace.errors import InputError
from dualtrace.experiments.defaults import Defaults, Variant
from dualtrace.experiments.record import Kind, names_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dualtrace.experiments.record import Experiment, Given, Paradigm, Phase

_REINFORCED = frozenset({Kind.ONSET, Kind.ACQUISITION, Kind.REINSTATEMENT})
_MOST_ROWS_OF_A_CONTEXT = 30
_MINUTES = 60.0

MOST_ROWS = 5000
"""Most presentations of one group: more would run for minutes, and is a slip of the pen."""


@dataclass(frozen=True, slots=True)
class Assumption:
    """A value that the source does not state."""

    phase: str
    field: str
    value: float


@dataclass(frozen=True, slots=True)
class Dosed:
    """A drug given: when on the experiment's clock, and hours from the end of its session (0: before the end)."""

    given: Given
    time_h: float
    delay_h: float
    session_min: float


@dataclass(slots=True)
class Row:
    """A rest and the event after it."""

    hours: float = 0.0
    closes: bool = False
    closed: tuple[Dosed, ...] = ()
    cue: str = ""
    context: str = ""
    us: float = 0.0
    length: float = 0.0
    quality: float = 1.0
    on_board: tuple[Dosed, ...] = ()
    stress: bool = False
    phases: tuple[str, ...] = ()


@dataclass(slots=True)
class Procedure:
    """Rows of one group, its doses in order, and what was assumed."""

    rows: list[Row] = field(default_factory=list)
    doses: list[Dosed] = field(default_factory=list)
    assumptions: list[Assumption] = field(default_factory=list)


def procedure_of(experiment: Experiment, group: tuple[str, ...], variant: Variant = Variant.USUAL) -> Procedure:
    """Lay out one group's phases as rows.

    Raises
    ------
    InputError
        A phase leaves out a field that has no default.
    """
    return procedure_of_phases(experiment.procedure(group), experiment.paradigm, experiment.species, variant)


def procedure_of_phases(
    phases: Iterable[Phase], paradigm: Paradigm, species: str, variant: Variant = Variant.USUAL
) -> Procedure:
    """Lay out phases as rows.

    Raises
    ------
    InputError
        A phase leaves out a field that has no default.
    """
    layout = _Layout(Defaults(paradigm, species, variant))
    for number, phase in enumerate(phases):
        layout.add(phase, is_first=number == 0)
    return layout.done()


class _Layout:
    """Rows under construction: the clock, the session that is open, and the doses it saw."""

    def __init__(self, defaults: Defaults) -> None:
        self.defaults = defaults
        self.out = Procedure()
        self.clock_h = 0.0
        self.wait_h = 0.0
        self.is_open = False
        self.session: list[Dosed] = []

    def stated(self, phase: Phase, name: str) -> float:
        given = getattr(phase, name)
        if given is not None:
            return float(given)
        value = self.defaults.value(phase, name)
        assumption = Assumption(phase.name, name, value)
        if assumption not in self.out.assumptions:
            self.out.assumptions.append(assumption)
        return value

    def add(self, phase: Phase, *, is_first: bool) -> None:
        gap = 0.0 if is_first and phase.after_h is None else self.stated(phase, "after_h")
        for session in range(phase.sessions):
            self._pass(gap if session == 0 else self._between(phase))
            if phase.skip:
                continue
            names = (phase.name, names_of(phase)[session + 1]) if phase.sessions > 1 else (phase.name,)
            self._session(phase, names)

    def _between(self, phase: Phase) -> float:
        return phase.every_h if phase.every_h is not None else self.stated(phase, "after_h")

    def _pass(self, hours: float) -> None:
        self.wait_h += hours
        self.clock_h += hours

    def _session(self, phase: Phase, names: tuple[str, ...]) -> None:
        rows, step_min = self._presentations(phase)
        minutes = len(rows) * step_min
        begin, end = self.clock_h, self.clock_h + minutes / _MINUTES
        doses = [_dosed(given, begin, end, minutes) for given in phase.drug]
        self.out.doses += doses
        on_board = tuple(dose for dose in doses if dose.given.before_h is not None)
        for number, row in enumerate(rows):
            row.phases = names
            row.on_board = on_board
            row.hours = step_min / _MINUTES if number else self.wait_h
            if number == 0:
                self._close(row)
            self.out.rows.append(row)
        if rows:
            self.wait_h = 0.0
            self.is_open = True
            self.session += doses
        self.clock_h = end

    def _close(self, row: Row) -> None:
        if self.is_open and self.wait_h > 0:
            row.closes, row.closed = True, tuple(self.session)
            self.session, self.is_open = [], False

    def _presentations(self, phase: Phase) -> tuple[list[Row], float]:
        if phase.kind is Kind.STRESS:
            return [Row(stress=True)], self.stated(phase, "every_min")
        cue = phase.cs if phase.cs is not None else ("" if self.defaults.paradigm.value == "context" else "X")
        us = phase.us if phase.us is not None else (1.0 if phase.kind in _REINFORCED else 0.0)
        if cue == "" and us == 0 and phase.n is None and phase.kind is not Kind.REST:
            return self._context(phase)
        count = int(self.stated(phase, "n"))
        on = range(1, count + 1) if phase.us_on is None else phase.us_on
        length = 1.0 if phase.cs_s is None else min(phase.cs_s / self.defaults.cue_unit_s, 1.0)
        strengths = [us if i + 1 in on else 0.0 for i in range(count)]
        rows = [
            Row(
                cue=cue, context=phase.context, us=strength, length=1.0 if strength else length, quality=phase.quality
            )
            for strength in strengths
        ]
        return rows, self.stated(phase, "every_min") if count else 0.0

    def _context(self, phase: Phase) -> tuple[list[Row], float]:
        minutes = self.stated(phase, "minutes")
        count = min(math.ceil(minutes), _MOST_ROWS_OF_A_CONTEXT)
        step = minutes / count
        length = step / self.defaults.context_unit_min
        return [Row(context=phase.context, length=length, quality=phase.quality) for _ in range(count)], step

    def done(self) -> Procedure:
        if len(self.out.rows) > MOST_ROWS:
            raise InputError(f"a group is shown at most {MOST_ROWS:,} presentations; given {len(self.out.rows):,}")
        return self.out


def _dosed(given: Given, begin_h: float, end_h: float, minutes: float) -> Dosed:
    if given.before_h is not None:
        return Dosed(given, begin_h - given.before_h, 0.0, minutes)
    delay = given.after_h or 0.0
    return Dosed(given, end_h + delay, delay, minutes)
