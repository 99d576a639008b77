"""Procedures to timelines: rows of many groups as arrays, for any number of draws of the constants at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dualtrace.experiments.defaults import Variant
from dualtrace.experiments.pharmacology import on_board, session_gain
from dualtrace.experiments.procedure import procedure_of
from dualtrace.mechanism.arrays import xp
from dualtrace.mechanism.memory.contract import Event, Rest, Sizes, Timeline

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from dualtrace.experiments.pharmacology import Gain
    from dualtrace.experiments.procedure import Dosed, Procedure, Row
    from dualtrace.experiments.record import Experiment
    from dualtrace.mechanism.parameters import Lookup

_SHORTEST = 24
"""Groups share a batch when they have as many cues and contexts, and rows up to the same doubling of this."""


@dataclass(frozen=True, slots=True)
class Group:
    """One group of one experiment, laid out."""

    experiment: int
    levels: tuple[str, ...]
    procedure: Procedure


@dataclass(frozen=True, slots=True)
class Batch:
    """Groups of the same size, run together.

    ``plain`` is their timeline without drugs; ``dosed`` names the rows at which a drug matters.
    """

    groups: tuple[Group, ...]
    plain: Timeline
    dosed: tuple[tuple[int, int, Row], ...]

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Cues, contexts and rows."""
        return self.plain.event.cue.shape[-1], self.plain.event.context.shape[-1], self.plain.gate.shape[0]


def lay_out(experiments: Sequence[Experiment], variant: Variant = Variant.USUAL) -> tuple[Batch, ...]:
    """Lay out every group of every experiment and sort them into batches.

    Raises
    ------
    InputError
        An experiment leaves out what has no default.
    """
    sized: dict[tuple[int, int, int], list[Group]] = {}
    for number, experiment in enumerate(experiments):
        for levels in experiment.groups:
            procedure = procedure_of(experiment, levels, variant)
            if procedure.rows:
                sized.setdefault(_size(procedure.rows), []).append(Group(number, levels, procedure))
    return tuple(_batch(tuple(groups), cues, contexts) for (cues, contexts, _), groups in sorted(sized.items()))


def batch_of(procedure: Procedure) -> Batch:
    """One procedure by itself as a batch."""
    cues, contexts, _ = _size(procedure.rows)
    return _batch((Group(0, (), procedure),), cues, contexts)


def _size(rows: Sequence[Row]) -> tuple[int, int, int]:
    doublings = math.ceil(math.log2(max(len(rows) / _SHORTEST, 1)))
    return len(_letters(r.cue for r in rows)), len(_letters(r.context for r in rows)), doublings


def _letters(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(letter for word in words for letter in word))


def _batch(groups: tuple[Group, ...], cues: int, contexts: int) -> Batch:
    shape = (max(len(group.procedure.rows) for group in groups), 1, len(groups))
    plain = {name: np.zeros(shape) for name in ("hours", "closes", "us", "length", "stress")}
    quality, gate, none = np.ones(shape), np.full(shape, np.inf), np.zeros(shape)
    cue, context = np.zeros((*shape, cues)), np.zeros((*shape, contexts))
    for g, group in enumerate(groups):
        rows = group.procedure.rows
        letters, places = _letters(row.cue for row in rows), _letters(row.context for row in rows)
        for t, row in enumerate(rows):
            for name, values in plain.items():
                values[t, 0, g] = getattr(row, name)
            quality[t, 0, g], gate[t, 0, g] = row.quality, _gate(row)
            cue[t, 0, g, [letters.index(letter) for letter in row.cue]] = 1
            context[t, 0, g, [places.index(letter) for letter in row.context]] = 1
    rest = Rest(*map(xp.asarray, (plain["hours"], plain["closes"], none, none)))
    told = (cue, context, plain["us"], plain["length"], quality, none, plain["stress"])
    event = Event(*map(xp.asarray, told))
    dosed = tuple(
        (t, g, row)
        for g, group in enumerate(groups)
        for t, row in enumerate(group.procedure.rows)
        if row.closed or row.on_board
    )
    return Batch(groups, Timeline(rest, event, xp.asarray(gate)), dosed)


def timeline_of(batch: Batch, lookup: Lookup, draws: int = 1) -> tuple[Timeline, Sizes]:
    """Timeline of a batch with its drugs: time first, then draws (1 where they do not matter), then groups."""
    cues, contexts, rows = batch.sizes
    safety, threat, drug = np.zeros((3, rows, draws, len(batch.groups)))
    known: dict[tuple[int, tuple[Dosed, ...]], Gain] = {}
    for t, g, row in batch.dosed:
        doses = batch.groups[g].procedure.doses
        if row.closed:
            gain = session_gain(row.closed, doses, lookup)
            safety[t, :, g], threat[t, :, g] = gain
        if row.on_board:
            if (g, row.on_board) not in known:
                known[g, row.on_board] = on_board(row.on_board, doses, lookup)
            drug[t, :, g] = known[g, row.on_board].threat
    timeline = batch.plain._replace(
        rest=batch.plain.rest._replace(safety_gain=xp.asarray(safety), threat_gain=xp.asarray(threat)),
        event=batch.plain.event._replace(drug=xp.asarray(drug)),
    )
    return timeline, Sizes((draws, len(batch.groups)), cues, contexts, rows)


def _gate(row: Row) -> float:
    thresholds = [d.given.only_if_end_fear_below for d in row.closed if d.given.only_if_end_fear_below is not None]
    return min(thresholds, default=np.inf)


def rows_of(group: Group, phase: str, end: str, count: int) -> NDArray[np.intp]:
    """Indices of the rows a quantity speaks of: all of a phase, its first or its last ones."""
    rows = np.array([t for t, row in enumerate(group.procedure.rows) if phase in row.phases], dtype=np.intp)
    return rows[:count] if end == "first" else rows[-count:] if end == "last" else rows
