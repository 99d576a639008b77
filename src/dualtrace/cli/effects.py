"""``dualtrace effects``: effect sizes and sampling variances from the raw columns of a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from dualtrace.cli.asked import measured_table_options
from dualtrace.cli.options import json_option, print_json
from dualtrace.cli.raw import estimates, finite, open_table
from dualtrace.effects.measures import MEASURES, Estimates
from dualtrace.effects.metapsy import NUMBERS, effect_of_row
from dualtrace.errors import InputError
from dualtrace.printed import plain, table

if TYPE_CHECKING:
    from pandas import DataFrame

    from dualtrace.cli.asked import Asked


@click.command()
@measured_table_options
@click.option("--metapsy", is_flag=True, help="The table follows the Metapsy data standard.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the table to this file.")
@click.option("--list", "as_list", is_flag=True, help="List every measure with the columns it needs, and stop.")
@json_option
def effects(asked: Asked, metapsy: bool, out: Path | None, as_list: bool, as_json: bool) -> None:
    """Compute effect sizes: your table with columns yi and vi added.

    Columns of the usual names (ai bi ci di n1i n2i, m1i sd1i n1i m2i sd2i n2i, xi ni, ri ni, x1i t1i ...) are
    found by themselves. Ratios are natural logarithms. A row for which the measure is not defined has empty yi, vi.
    Of a Metapsy table (semicolons, decimal commas), yi is arm 2 minus arm 1 as Hedges' g, so that positive favours
    arm 1 where lower scores are better; its columns, of arms' means or a g computed beforehand, stay beside it.

    \b
    Examples:
      dualtrace effects --list
      dualtrace effects --csv metapsy.csv --metapsy --out effects.csv
      dualtrace effects --csv counts.csv --measure OR --add .5 --to only0 --out effects.csv
      dualtrace effects --csv means.csv --measure SMD --vtype LS --columns m1i=drug_mean,sd1i=drug_sd
    """
    if as_list:
        print_json(_measures()) if as_json else click.echo(_list())
        return
    if asked.table is None or (asked.measure is None) is not metapsy:
        raise InputError(
            "effects needs --csv FILE and either --measure NAME or --metapsy; --list names the measures there are"
        )
    frame = open_table(asked.table)
    for name in ("yi", "vi"):
        if name in frame.columns:
            raise InputError(f"{asked.table} has a column {name} already; rename it, so that nothing is overwritten")
    found = _from_metapsy(frame, asked) if metapsy else estimates(frame, asked, asked.table)
    done = frame.assign(yi=found.yi, vi=found.vi)
    undefined = int(done["yi"].isna().sum())
    if out is not None:
        _write(done, out)
        click.echo(f"wrote {out}: {len(done)} rows, {_title(asked)}, {undefined} not defined")
    elif as_json:
        print_json([{str(k): plain(v) for k, v in row.items()} for row in done.to_dict(orient="records")])
    else:
        click.echo(done.to_csv(index=False), nl=False)


def _title(asked: Asked) -> str:
    return asked.measure_title if asked.measure else "Hedges' g of arm 2 minus arm 1"


def _from_metapsy(frame: DataFrame, asked: Asked) -> Estimates:
    """Effects of a Metapsy table, NaN for rows of counts or words alone."""
    if asked.table is None:
        raise InputError("--metapsy needs --csv FILE")
    used = [name for name in NUMBERS if name in frame.columns]
    if "study" not in frame.columns or not used:
        raise InputError(
            f"{asked.table} is no Metapsy table: it needs the column study and one of {', '.join(NUMBERS)}"
        )
    asked.refuse_measure_options()
    empty = np.ones(len(frame), dtype=bool)
    numbers = {name: finite(frame, name, asked.table, optional=empty) for name in used}
    pairs = [effect_of_row({name: float(x[i]) for name, x in numbers.items()}) for i in range(len(frame))]
    g, v = np.array([(np.nan, np.nan) if pair is None else pair for pair in pairs]).T
    return Estimates(-g, v)


def _write(table: DataFrame, out: Path) -> None:
    try:
        table.to_csv(out, index=False)
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror or error})") from None


def _measures() -> list[dict[str, Any]]:
    return [
        {"name": m.name, "title": m.title, "columns": list(m.columns), "vtypes": list(m.vtypes)}
        for m in MEASURES.values()
    ]


def _list() -> str:
    rows = ((m.name, m.title, " ".join(m.columns), " ".join(m.vtypes)) for m in MEASURES.values())
    return table(("measure", "what it is", "columns", "vtype"), rows)
