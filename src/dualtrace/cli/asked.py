"""Options by which a verb is told which rows to analyse, and what they hold once typed."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from dualtrace.effects.continuity import Continuity
from dualtrace.effects.measures import MEASURES
from dualtrace.effects.select import OUTCOMES
from dualtrace.errors import InputError
from dualtrace.evidence.record import Disorder

if TYPE_CHECKING:
    from collections.abc import Callable

OUTCOME, TIMEPOINT, RATIO = "severity", "post", "OR"
"""What is analysed when nothing else is asked for."""

COUNTED = ("response", "remission", "adverse_event", "dropout")
"""Outcomes that are counted, so that their effects are on the scale of ``--ratio``."""

ADD = 0.5
TO: Continuity = "only0"
"""Continuity correction when nothing else is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which rows to analyse, as typed; None where nothing was.

    Attributes
    ----------
    table, yi, vi, sei, lo, hi, slab
        A user's table and its columns.
    measure, columns, add, to, vtype
        An effect measure to compute from it.
    outcome, timepoint, disorder, ratio, folder, alone
        Which part of which evidence.
    every
        All reports of the outcome, several per trial, in place of one.
    """

    table: Path | None = None
    yi: str | None = None
    vi: str | None = None
    sei: str | None = None
    lo: str | None = None
    hi: str | None = None
    slab: str | None = None
    measure: str | None = None
    columns: str | None = None
    add: float | None = None
    to: Continuity | None = None
    vtype: str | None = None
    outcome: str | None = None
    timepoint: str | None = None
    disorder: str | None = None
    ratio: str | None = None
    folder: Path | None = None
    alone: bool = False
    every: bool = False

    @property
    def measure_title(self) -> str:
        """The measure in words."""
        return f"{self.measure} ({MEASURES[self.measure or ''].title})"

    @property
    def metric(self) -> str:
        """Scale of the effects as far as it is known: a measure's name; empty for effects of a user's table."""
        if self.table is not None:
            return self.measure or ""
        counted = (self.outcome or OUTCOME) in COUNTED
        return (self.ratio or RATIO) if counted else "SMD"

    def with_measure(self, name: str) -> Asked:
        """The same with a measure where none was given."""
        return self if self.measure is not None else replace(self, measure=name)

    def refuse_table_options(self) -> None:
        """Refuse options that need a table.

        Raises
        ------
        InputError
            Naming one that was given.
        """
        for name in (*TABLE, *MEASURE):
            if getattr(self, name) is not None:
                raise InputError(f"--{name} is about a table; give the table with --csv FILE")

    def refuse_measure_options(self) -> None:
        """Refuse options that need a measure.

        Raises
        ------
        InputError
            Naming one that was given.
        """
        for name in MEASURE[1:]:
            if getattr(self, name) is not None:
                raise InputError(f"--{name} is about computing effects; say which with --measure NAME")

    def refuse_evidence_options(self) -> None:
        """Refuse options that select from the evidence, and columns of effects beside a measure.

        Raises
        ------
        InputError
            Naming one that was given.
        """
        for name in EVIDENCE:
            if getattr(self, name):
                option = "trials" if name == "folder" else name
                raise InputError(f"--{option} selects from the evidence, which --csv replaces; leave one out")
        if self.measure is not None:
            for name in ("yi", "vi", "sei", "lo", "hi"):
                if getattr(self, name) is not None:
                    raise InputError(f"--measure computes the effects, so --{name} cannot be given beside it")


TABLE = ("yi", "vi", "sei", "lo", "hi", "slab")
MEASURE = ("measure", "columns", "add", "to", "vtype")
EVIDENCE = ("outcome", "timepoint", "disorder", "ratio", "folder", "alone", "every")

table_options = (
    click.option("--csv", "table", type=click.Path(path_type=Path), help="Use this table instead of the evidence."),
    click.option("--yi", help="With --csv: column of effects.  [default: yi]"),
    click.option("--vi", help="With --csv: column of sampling variances.  [default: vi]"),
    click.option("--sei", help="With --csv: column of standard errors, in place of --vi."),
    click.option("--lo", help="With --csv: column of lower bounds of rows whose effect is not known."),
    click.option("--hi", help="With --csv: column of upper bounds of such rows."),
    click.option("--slab", help="With --csv: column of labels.  [default: slab or study]"),
)

measure_options = (
    click.option(
        "--measure",
        type=click.Choice(list(MEASURES)),
        metavar="NAME",
        help="With --csv: compute this effect measure (OR, SMD, ...; `dualtrace effects --list` names all).",
    ),
    click.option(
        "--columns",
        metavar="NAME=COLUMN,...",
        help="Columns of the measure where the table names them otherwise, for example m1i=mean_drug,sd1i=sd_drug.",
    ),
    click.option("--add", type=float, help=f"Amount added to empty cells of counts.  [default: {ADD}]"),
    click.option("--to", type=click.Choice(get_args(Continuity)), help=f"Where it is added.  [default: {TO}]"),
    click.option("--vtype", help="Kind of variance, where a measure has several."),
)

evidence_options = (
    click.option("--outcome", type=click.Choice(list(OUTCOMES)), help=f"What to analyse.  [default: {OUTCOME}]"),
    click.option(
        "--timepoint", type=click.Choice(["mid", "post", "followup"]), help=f"When.  [default: {TIMEPOINT}]"
    ),
    click.option("--disorder", type=click.Choice([d.value for d in Disorder]), help="Only this disorder."),
    click.option(
        "--ratio", type=click.Choice(["OR", "RR", "RD"]), help=f"Scale of counted outcomes.  [default: {RATIO}]"
    ),
    click.option(
        "--trials",
        "folder",
        type=click.Path(path_type=Path),
        help="Folder of your own trial files (or one file), added to the shipped ones.",
    ),
    click.option("--alone", is_flag=True, help="Use the folder of --trials alone, without the shipped trials."),
)


def rows_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which rows to analyse; the command gets them as one ``asked``."""
    return _collected(command, (*evidence_options, *table_options, *measure_options))


def many_rows_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of ``rows_options``, and one that takes all reports of a trial."""
    every = click.option("--every", is_flag=True, help="Every report of the outcome at any time, several per trial.")
    return _collected(command, (*evidence_options, every, *table_options, *measure_options))


def measured_table_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of a table whose effects are computed; the command gets them as one ``asked``."""
    return _collected(command, (table_options[0], table_options[-1], *measure_options))


def _collected(command: Callable[..., None], options: tuple[Any, ...]) -> Callable[..., None]:
    names = [field.name for field in fields(Asked)]

    @wraps(command)
    def collect(**given: Any) -> None:  # noqa: ANN401
        asked = Asked(**{name: given.pop(name) for name in names if name in given})
        command(asked=asked, **given)

    for option in reversed(options):
        collect = option(collect)
    return collect
