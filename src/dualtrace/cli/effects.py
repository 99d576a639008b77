"""``dualtrace effects``: effect sizes and sampling variances from the raw columns of a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dualtrace.cli.asked import measured_table_options
from dualtrace.cli.options import json_option, print_json
from dualtrace.cli.raw import estimates, open_table
from dualtrace.effects.measures import MEASURES
from dualtrace.errors import InputError
from dualtrace.pooling import text
from dualtrace.pooling.text import plain

if TYPE_CHECKING:
    from pandas import DataFrame

    from dualtrace.cli.asked import Asked


@click.command()
@measured_table_options
@click.option("--out", type=click.Path(path_type=Path), help="Write the table to this file.")
@click.option("--list", "as_list", is_flag=True, help="List every measure with the columns it needs, and stop.")
@json_option
def effects(asked: Asked, out: Path | None, as_list: bool, as_json: bool) -> None:
    """Compute effect sizes: your table with columns yi and vi added.

    Columns of the usual names (ai bi ci di n1i n2i, m1i sd1i n1i m2i sd2i n2i, xi ni, ri ni, x1i t1i ...) are
    found by themselves. Ratios are natural logarithms. A row for which the measure is not defined has empty yi, vi.

    \b
    Examples:
      dualtrace effects --list
      dualtrace effects --csv counts.csv --measure OR --add .5 --to only0 --out effects.csv
      dualtrace effects --csv means.csv --measure SMD --vtype LS --columns m1i=drug_mean,sd1i=drug_sd
    """
    if as_list:
        print_json(_measures()) if as_json else click.echo(_list())
        return
    if asked.table is None or asked.measure is None:
        raise InputError("effects needs --csv FILE and --measure NAME; --list names the measures there are")
    frame = open_table(asked.table)
    for name in ("yi", "vi"):
        if name in frame.columns:
            raise InputError(f"{asked.table} has a column {name} already; rename it, so that nothing is overwritten")
    found = estimates(frame, asked, asked.table)
    done = frame.assign(yi=found.yi, vi=found.vi)
    undefined = int(done["yi"].isna().sum())
    if out is not None:
        _write(done, out)
        click.echo(f"wrote {out}: {len(done)} rows, {asked.measure_title}, {undefined} not defined")
    elif as_json:
        print_json([{str(k): plain(v) for k, v in row.items()} for row in done.to_dict(orient="records")])
    else:
        click.echo(done.to_csv(index=False), nl=False)


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
    return text.table(("measure", "what it is", "columns", "vtype"), rows)
