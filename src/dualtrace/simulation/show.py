"""A protocol in words, for a terminal: arms, sessions, assessments, randomisation, people, and what is assumed."""

from __future__ import annotations

import itertools
from textwrap import fill
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dualtrace.simulation.arm import ProtocolArm
    from dualtrace.simulation.protocol import People, Protocol, Randomisation, Spread
    from dualtrace.simulation.schedule import Session

WIDTH = 100


def show_protocol(protocol: Protocol) -> str:
    """Return the whole protocol as text, in lines of at most 100 characters where words allow."""
    return "\n".join(_lines(protocol))


def _lines(protocol: Protocol) -> Iterator[str]:
    sessions = protocol.sessions
    yield fill(f"{protocol.title} ({protocol.id})", WIDTH)
    yield f"{protocol.disorder.value}, {protocol.population}, {protocol.patients} patients"
    if protocol.note:
        yield fill(protocol.note, WIDTH)
    yield "\nARMS"
    yield from _table(("arm", "what", "when", "sessions", "if"), [_arm(arm, sessions) for arm in protocol.arms])
    yield "\nSESSIONS"
    yield from _table(("sessions", "days", "minutes", "exposures"), list(_sessions(sessions)))
    yield "\nASSESSMENTS"
    rows = [
        (
            one.id,
            one.timepoint.value,
            f"day {one.day(sessions):.4g}",
            _when(one.after_session),
            ", ".join(one.instruments),
        )
        for one in protocol.assessments
    ]
    yield from _table(("assessment", "time point", "day", "", "instruments, the primary one first"), rows)
    yield "\nRANDOMISATION"
    yield f"  {_randomisation(protocol.randomisation, protocol.ratio)}"
    people = list(_people(protocol.people))
    if people:
        yield "\nPEOPLE"
        yield from people
    if protocol.assumed:
        yield "\nASSUMED"
        for one in protocol.assumed:
            said = f"{one.field}: {one.value} ({one.why}) [{one.source}]"
            yield fill(said, WIDTH, initial_indent="  ", subsequent_indent="    ")


def _when(after_session: int | None) -> str:
    return "" if after_session is None else f"after session {after_session}"


def dose_in_words(arm: ProtocolArm) -> str:
    """What an arm gives: ``50 mg d-cycloserine``, ``placebo``, ``25 mg below 46 kg, else 50 mg d-cycloserine``."""
    if arm.is_placebo:
        return "placebo"
    if arm.dose_mg is not None:
        return f"{arm.dose_mg:g} mg {arm.agent}"
    if arm.dose_mg_per_kg is not None:
        return f"{arm.dose_mg_per_kg:g} mg/kg {arm.agent}"
    parts = [
        f"else {band.dose_mg:g} mg" if band.below_kg is None else f"{band.dose_mg:g} mg below {band.below_kg:g} kg"
        for band in arm.bands
    ]
    return f"{', '.join(parts)} {arm.agent}"


def _arm(arm: ProtocolArm, sessions: Sequence[Session]) -> tuple[str, ...]:
    when = ""
    if arm.give is not None and arm.minutes is not None:
        when = f"{arm.minutes:g} min {arm.give}" if arm.minutes else f"right {arm.give}"
        when += "" if arm.meal.value == "fasted" else f", {arm.meal.value.replace('_', ' ')}"
    return arm.id, dose_in_words(arm), when, numbers_in_words(arm.dosed_sessions(sessions)), arm.rule or ""


def numbers_in_words(numbers: Sequence[int]) -> str:
    """Rising numbers as runs: ``2-5, 8``."""
    runs: list[str] = []
    for _, run in itertools.groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        members = [number for _, number in run]
        runs.append(f"{members[0]}" if len(members) == 1 else f"{members[0]}-{members[-1]}")
    return ", ".join(runs)


def _sessions(sessions: Sequence[Session]) -> Iterator[tuple[str, ...]]:
    """Sessions alike in everything but the day, one row per run."""
    number = 0
    for _, run in itertools.groupby(sessions, lambda one: (one.minutes, one.exposures, one.exposure_minutes)):
        members = list(run)
        first, number = number + 1, number + len(members)
        days = ", ".join(f"{one.day:.4g}" for one in members[:6]) + (", ..." if len(members) > 6 else "")
        one = members[0]
        exposures = f"{one.exposures} of {one.exposure_minutes:.3g} min" if one.exposures else "none"
        yield numbers_in_words(range(first, number + 1)), days, f"{one.minutes:g}", exposures


def _randomisation(randomisation: Randomisation, ratio: tuple[int, ...]) -> str:
    text = ":".join(str(share) for share in ratio)
    if not randomisation.blocks:
        return f"{text}, each patient by chance"
    text += f", in blocks of {' or '.join(str(size) for size in randomisation.blocks)}"
    return text + (f", apart by {' and '.join(randomisation.strata)}" if randomisation.strata else "")


def _people(people: People) -> Iterator[str]:
    for name, share in (("on antidepressants", people.antidepressants), ("drop out during therapy", people.dropout)):
        if share is not None:
            yield f"  {share:.0%} {name}"
    spreads: list[tuple[str, Spread | None]] = [("age", people.age_years), ("weight", people.weight_kg)]
    units = {"age": " years", "weight": " kg"}
    for name, spread in (*spreads, *people.baseline.items()):
        if spread is not None:
            before, unit = ("", units[name]) if name in units else (" before", "")
            yield f"  {name}{before}: {spread.mean:g} (SD {spread.sd:g}){unit}"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Columns of equal width; columns that are empty throughout are left out."""
    kept = [i for i in range(len(head)) if any(row[i] for row in rows)]
    cells = [[row[i] for i in kept] for row in (head, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(kept))]
    for row in cells:
        yield ("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip()
