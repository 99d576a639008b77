"""Event tables as NONMEM writes them: one row per dose, observation or decision; read and written as CSV.

Columns read: ``ID TIME AMT EVID CMT II ADDL`` and, beyond NONMEM, ``MEAL``; TIME and II in hours, AMT in mg.
Meaning of EVID: 0 a time to observe, 1 a dose, 2 another event, here a decision time of the design. ``ADDL``
more doses follow at intervals of ``II``. Other columns (``DV``, ``MDV``, covariates) are ignored. What this
reader does not do it refuses: infusions (RATE), steady-state shortcuts (SS), resets (EVID 3 and 4), doses
into any compartment but the depot (CMT 1).
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dualtrace.columns import require_distinct
from dualtrace.errors import TableError
from dualtrace.mechanism.dosing import Dose, Meal, Regimen, bolus, combine, repeat

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

COLUMNS = ("ID", "TIME", "AMT", "EVID", "CMT", "II", "ADDL", "MEAL")
_DEPOT = 1
_ABSENT = frozenset({"", "."})


@dataclass(frozen=True, slots=True)
class Schedule:
    """What one person swallows, decides and is observed for."""

    regimen: Regimen
    observations_h: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    cells: Mapping[str, str]

    def number(self, column: str, default: float) -> float:
        text = (self.cells.get(column) or "").strip()
        if text in _ABSENT:
            return default
        try:
            return float(text)
        except ValueError:
            raise TableError(f"line {self.line}: {column} must be a number; given {text!r}") from None

    def require_absent(self, column: str, what: str) -> None:
        value = self.number(column, 0.0)
        if value != 0:
            raise TableError(f"line {self.line}: {what} ({column} = {value:g}) are not simulated; leave it 0")


def read_events(text: str) -> dict[str, Schedule]:
    """Read an event table from CSV text; one schedule per ID, in file order.

    Raises
    ------
    TableError
        A column is missing or stands twice, a cell unreadable, an event of a kind that is not simulated, or
        rows of an ID are not in order of time.
    """
    reader = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    present = [name.strip().upper() for name in reader.fieldnames or ()]
    for needed in ("ID", "TIME"):
        if needed not in present:
            raise TableError(f"an event table needs the column {needed}; given {', '.join(present) or 'nothing'}")
    require_distinct(present, "line 1 of the event table (capitals and small letters are the same)")
    reader.fieldnames = present
    people: dict[str, list[_Row]] = {}
    for cells in reader:
        people.setdefault((cells["ID"] or "").strip(), []).append(_Row(reader.line_num, cells))
    return {person: _schedule(rows) for person, rows in people.items()}


def _schedule(rows: Iterable[_Row]) -> Schedule:
    regimens: list[Regimen] = []
    observations: list[float] = []
    latest = float("-inf")
    for row in rows:
        time = row.number("TIME", float("nan"))
        if not time >= latest:
            raise TableError(f"line {row.line}: TIME must not fall within an ID; given {time:g} after {latest:g}")
        latest = time
        kind = row.number("EVID", 1.0 if row.number("AMT", 0.0) > 0 else 0.0)
        if kind == 0:
            observations.append(time)
        elif kind == 1:
            regimens.append(_dose(row, time))
        elif kind == 2:
            regimens.append(Regimen((), (time,)))
        else:
            raise TableError(f"line {row.line}: EVID must be 0, 1 or 2; given {kind:g}")
    return Schedule(combine(*regimens), tuple(dict.fromkeys(observations)))


def _dose(row: _Row, time: float) -> Regimen:
    row.require_absent("RATE", "infusions")
    row.require_absent("SS", "steady-state shortcuts")
    compartment = row.number("CMT", _DEPOT)
    if compartment != _DEPOT:
        raise TableError(f"line {row.line}: doses enter the depot (CMT 1); given CMT {compartment:g}")
    more, interval = row.number("ADDL", 0.0), row.number("II", 0.0)
    if more < 0 or more != int(more) or (more > 0 and interval <= 0):
        raise TableError(f"line {row.line}: ADDL must be a count with II above 0; given {more:g}, II {interval:g}")
    meal_word = (row.cells.get("MEAL") or "").strip().lower()
    try:
        meal = Meal.FASTED if meal_word in _ABSENT else Meal(meal_word)
    except ValueError:
        raise TableError(f"line {row.line}: MEAL must be one of {', '.join(Meal)}; given {meal_word!r}") from None
    first = bolus(row.number("AMT", 0.0), at_h=time, meal=meal)
    return repeat(first, every_h=interval, times=int(more) + 1) if more else first


def write_events(schedules: Mapping[str, Schedule]) -> str:
    """Write schedules as CSV text; evenly spaced equal doses become one row with ADDL and II."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for person, schedule in schedules.items():
        rows = [*_dose_rows(schedule.regimen.doses)]
        rows += [(time, ".", 2, ".", ".", ".", ".") for time in schedule.regimen.decisions_h]
        rows += [(time, ".", 0, ".", ".", ".", ".") for time in schedule.observations_h]
        for row in sorted(rows, key=lambda row: row[0]):
            writer.writerow((person, *(repr(cell) if isinstance(cell, float) else cell for cell in row)))
    return out.getvalue()


def _dose_rows(doses: tuple[Dose, ...]) -> Iterable[tuple[float, Any, Any, Any, Any, Any, Any]]:
    start = 0
    while start < len(doses):
        stop = _run_end(doses, start)
        first, more = doses[start], stop - start - 1
        interval = doses[start + 1].time_h - first.time_h if more else "."
        yield (first.time_h, first.amount_mg, 1, _DEPOT, interval, more or ".", first.meal.value)
        start = stop


def _run_end(doses: tuple[Dose, ...], start: int) -> int:
    """Index after the longest run of equal doses at one exact interval that begins at ``start``."""
    if start + 1 >= len(doses):
        return start + 1
    first, interval = doses[start], doses[start + 1].time_h - doses[start].time_h
    stop = start
    while stop < len(doses) and doses[stop] == Dose(
        first.amount_mg, first.time_h + (stop - start) * interval, first.meal, first.limit_mg
    ):
        stop += 1
    return stop
