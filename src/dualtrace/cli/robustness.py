"""``dualtrace robustness``: how much an answer hangs on single rows, on groups of rows, and on chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dualtrace.cli.answer import Part, attempt, show
from dualtrace.cli.asked import rows_options
from dualtrace.cli.options import formula_option, json_option, level_option, method_option, test_option
from dualtrace.cli.rows import designed, read_rows
from dualtrace.pooling import univariate
from dualtrace.pooling.robustness.decomposition import decompose
from dualtrace.pooling.robustness.gosh import gosh
from dualtrace.pooling.robustness.influence import baujat, influence
from dualtrace.pooling.robustness.leave_out import cumulative, leave_one_out
from dualtrace.pooling.robustness.permutation import permutation_test

if TYPE_CHECKING:
    from dualtrace.cli.asked import Asked
    from dualtrace.cli.rows import Designed
    from dualtrace.pooling.contract import Tau2Method, TestName


@click.command()
@rows_options
@formula_option
@method_option
@test_option
@level_option
@click.option("--by", metavar="COLUMN", help="Leave out groups of rows, and split Q between and within them.")
@click.option("--order", metavar="COLUMN", help="Order of the cumulative fits.  [default: year, else as given]")
@click.option(
    "--gosh", "subsets", type=click.IntRange(min=1), metavar="N", help="Fit N subsets (all, where N allows)."
)
@click.option("--permute", type=click.IntRange(min=2), metavar="N", help="Permutation test with N permutations.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of subsets and permutations.")
@json_option
def robustness(
    asked: Asked,
    moderators: str | None,
    method: Tau2Method,
    test: TestName | None,
    level: float,
    by: str | None,
    order: str | None,
    subsets: int | None,
    permute: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Influence of single rows, leave-one-out, cumulative fits, Baujat's axes; on request GOSH and permutation.

    \b
    Examples:
      dualtrace robustness --outcome severity_mixed --by disorder
      dualtrace robustness --csv effects.csv --gosh 5000 --permute 1000
      dualtrace robustness --csv effects.csv --moderators dose --order year --json
    """
    chosen = designed(read_rows(asked).exact("A look at single rows"), moderators)
    one = {"method": method}
    two: dict[str, Any] = one | {"test": test or chosen.rows.test}
    three: dict[str, Any] = two | {"level": level}
    data = chosen.data
    parts = [
        Part("fit", "", univariate.fit(**data, **three)),
        attempt("influence", "Influence of single rows (* influential)", lambda: influence(**data, **two)),
        attempt("leave_one_out", "Without each row", lambda: leave_one_out(**data, **three)),
        attempt("cumulative", "As rows were added", lambda: cumulative(**data, order=_order(chosen, order), **three)),
        attempt("baujat", "Baujat", lambda: baujat(**data, method=method)),
    ]
    if by is not None:
        groups = chosen.rows.column(by, "--by")
        parts.append(
            attempt("leave_group_out", f"Without each {by}", lambda: leave_one_out(**data, groups=groups, **three))
        )
        rows = {key: data[key] for key in ("yi", "vi", "slab")}
        parts.append(attempt("decomposition", f"Q by {by}", lambda: decompose(**rows, groups=groups)))
    if subsets is not None:
        parts.append(
            attempt("gosh", "Subsets of rows", lambda: gosh(**data, subsets=subsets, key=seed, method=method))
        )
    if permute is not None:
        parts.append(
            attempt(
                "permutation",
                "Permutation test",
                lambda: permutation_test(**data, iterations=permute, intervals=True, key=seed, **three),
            )
        )
    show(chosen.rows, parts, as_json=as_json)


def _order(chosen: Designed, column: str | None) -> list[Any] | None:
    if column is not None:
        return chosen.rows.column(column, "--order")
    table = chosen.rows.table
    if "year" not in table.columns or table["year"].isna().any():
        return None
    return list(table["year"])
