"""``dualtrace robustness``: how much an answer hangs on single rows, on groups of rows, and on chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dualtrace.cli import pictures
from dualtrace.cli.answer import Part, attempt, show
from dualtrace.cli.asked import rows_options
from dualtrace.cli.options import formula_option, json_option, level_option, method_option, test_option
from dualtrace.cli.rows import Designed, designed, read_rows
from dualtrace.errors import InputError
from dualtrace.pooling import univariate
from dualtrace.pooling.robustness.decomposition import decompose
from dualtrace.pooling.robustness.drapery import drapery
from dualtrace.pooling.robustness.gosh import gosh
from dualtrace.pooling.robustness.influence import baujat, influence
from dualtrace.pooling.robustness.leave_out import cumulative, leave_one_out
from dualtrace.pooling.robustness.permutation import permutation_test

if TYPE_CHECKING:
    from pathlib import Path

    from dualtrace.cli.asked import Asked
    from dualtrace.pooling.contract import Tau2Method, TestName


@click.command()
@rows_options
@formula_option
@method_option
@test_option
@click.option("--by", metavar="COLUMN", help="Also leave out whole groups, and split Q between and within them.")
@click.option("--order", metavar="COLUMN", help="Column that orders the cumulative analysis.  [default: year]")
@click.option("--gosh", "subsets", type=int, metavar="N", help="Fit N random subsets of the rows (0: all of them).")
@click.option("--permute", type=int, metavar="N", help="Permutation test with N rearrangements.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of --gosh and --permute.")
@pictures.figures_option
@level_option
@json_option
def robustness(
    asked: Asked,
    moderators: str | None,
    method: Tau2Method,
    test: TestName | None,
    by: str | None,
    order: str | None,
    subsets: int | None,
    permute: int | None,
    seed: int,
    figures: Path | None,
    level: float,
    as_json: bool,
) -> None:
    """Refit the model without each row, and see what the answer hangs on.

    Only rows with an effect take part; the report's chapter on single trials does the same with all information.
    Diagnostics flag rows to read again, not rows to delete.

    \b
    Examples:
      dualtrace robustness --outcome severity_mixed
      dualtrace robustness --outcome severity_mixed --by disorder
      dualtrace robustness --csv effects.csv --gosh 2000 --permute 1000 --order year
      dualtrace robustness --outcome severity_mixed --gosh 0 --figures figures
    """
    for name, given, least in (("--gosh", subsets, 0), ("--permute", permute, 1)):
        if given is not None and given < least:
            raise InputError(f"{name} must be {least} or more; given {given}")
    chosen = designed(read_rows(asked).exact("This analysis"), moderators)
    fitting: dict[str, Any] = {"method": method, "test": test or chosen.rows.test}
    parts = [
        attempt("influence", "Influence of each row", lambda: influence(**chosen.data, **fitting)),
        attempt("leave_one_out", "Without each row", lambda: leave_one_out(**chosen.data, **fitting, level=level)),
        attempt("baujat", "Contributions to heterogeneity", lambda: baujat(**chosen.data, method=method)),
        *_in_order(chosen, order, fitting, level),
        *_by_group(chosen, by, fitting, level),
    ]
    if subsets is not None:
        wanted = subsets or None
        parts.append(attempt("gosh", "Subsets", lambda: gosh(**chosen.data, method=method, subsets=wanted, key=seed)))
    if permute is not None:
        again: dict[str, Any] = {"iterations": permute, "key": seed, "level": level, "intervals": True}
        parts.append(
            attempt("permutation", "Permutation test", lambda: permutation_test(**chosen.data, **fitting, **again))
        )
    notes = [] if figures is None else _draw(chosen, parts, fitting, level, figures)
    show(chosen.rows, parts, as_json=as_json, notes=notes)


def _draw(chosen: Designed, parts: list[Part], fitting: dict[str, Any], level: float, folder: Path) -> list[str]:
    """Write the figures and say where they are."""
    if chosen.X is not None:
        raise InputError("--figures draws models with one mean; leave out --moderators")
    rows = chosen.rows
    curves = drapery(rows.yi, rows.vi, slab=list(rows.slab), level=level, **fitting)
    overall = univariate.fit(**chosen.data, **fitting, level=level)
    results = {part.key: part.result for part in parts if part.result is not None}
    return pictures.write(pictures.robustness(rows, results, overall, curves), folder)


def _in_order(chosen: Designed, column: str | None, fitting: dict[str, Any], level: float) -> list[Part]:
    """Rows added one after another; silent where no order is known and none was asked for."""
    table = chosen.rows.table
    if column is None and "year" not in table.columns:
        return []
    if column is None and table["year"].isna().any():
        nameless = ", ".join(str(label) for label in table.index[table["year"].isna()])
        return [
            Part("cumulative", "Cumulative", None, f"no year is known of {nameless}; name a column with --order.")
        ]
    name = column or "year"
    order = chosen.rows.column(name, "--order")
    return [
        attempt(
            "cumulative",
            f"Cumulative, in the order of {name}",
            lambda: cumulative(**chosen.data, **fitting, order=order, level=level),
        )
    ]


def _by_group(chosen: Designed, column: str | None, fitting: dict[str, Any], level: float) -> list[Part]:
    """Whole groups left out, and Q split by them."""
    if column is None:
        return []
    groups = chosen.rows.column(column, "--by")
    rows = chosen.rows
    return [
        attempt(
            "leave_group_out",
            f"Without each {column}",
            lambda: leave_one_out(**chosen.data, **fitting, groups=groups, level=level),
        ),
        attempt(
            "decomposition",
            f"Heterogeneity between and within {column}",
            lambda: decompose(rows.yi, rows.vi, groups, slab=list(rows.slab)),
        ),
    ]
