"""``dualtrace counts``: sparse counts pooled without a continuity correction of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import click
import numpy as np

from dualtrace.cli.answer import Part, show
from dualtrace.cli.asked import TO, measured_table_options
from dualtrace.cli.effect_columns import labels
from dualtrace.cli.options import formula_option, json_option, level_option
from dualtrace.cli.raw import open_table, raw_columns
from dualtrace.cli.rows import Rows
from dualtrace.errors import InputError
from dualtrace.pooling.formula import design
from dualtrace.pooling.sparse.betabinomial import BetaMeasure, beta_binomial
from dualtrace.pooling.sparse.common import RATE_ESTIMATORS, TABLE_ESTIMATORS, mantel_haenszel, peto
from dualtrace.pooling.sparse.glmm import GlmmMeasure, GlmmModel, glmm

if TYPE_CHECKING:
    from pathlib import Path

    from dualtrace.cli.asked import Asked
    from dualtrace.pooling.likelihood import Array
    from dualtrace.pooling.sparse.contract import CommonEffect, MixedPooled

CountMethod = Literal["MH", "PETO", "UM.FS", "UM.RS", "CM.EL", "CM.AL", "BB"]

MEASURES_OF: dict[str, tuple[str, ...]] = {
    "MH": (*TABLE_ESTIMATORS, *RATE_ESTIMATORS),
    "PETO": ("OR",),
    "BB": get_args(BetaMeasure),
} | dict.fromkeys(get_args(GlmmModel), get_args(GlmmMeasure))


@click.command()
@measured_table_options
@click.option("--method", type=click.Choice(get_args(CountMethod)), default="MH", show_default=True)
@click.option("--equal", is_flag=True, help="UM, CM: no variance between rows.")
@click.option("--correct/--no-correct", default=None, help="MH, PETO: continuity correction of the score test.")
@formula_option
@level_option
@json_option
def counts(
    asked: Asked,
    method: CountMethod,
    equal: bool,
    correct: bool | None,
    moderators: str | None,
    level: float,
    as_json: bool,
) -> None:
    """Pool events in two arms (or one) where cells are small or empty.

    MH is Mantel-Haenszel and PETO is Peto: one common effect. UM.FS, UM.RS (unconditional, rows fixed or random),
    CM.EL, CM.AL (conditional) are mixed logistic or Poisson models, BB is beta-binomial: effects vary between rows.
    --measure is OR unless given. --add and --to concern only the rows' own estimates in MH's test of heterogeneity.

    \b
    Examples:
      dualtrace counts --csv counts.csv
      dualtrace counts --csv counts.csv --method PETO
      dualtrace counts --csv counts.csv --method UM.FS --moderators dose
      dualtrace counts --csv rates.csv --measure IRR --method CM.EL
    """
    if asked.table is None:
        raise InputError("counts needs --csv FILE with the columns of --measure, for example ai, n1i, ci, n2i")
    chosen = asked.with_measure("OR")
    measure = chosen.measure or ""
    if measure not in MEASURES_OF[method]:
        raise InputError(f"{method} pools {', '.join(MEASURES_OF[method])}; given --measure {measure}")
    _refuse_idle(chosen, method, equal, correct, moderators)
    frame = open_table(asked.table)
    columns = raw_columns(frame, chosen, asked.table)
    slab = labels(frame, asked.slab, asked.table)
    found: CommonEffect | MixedPooled
    options: dict[str, Any] = {"level": level, "slab": slab}
    if method in get_args(GlmmModel):
        if moderators is not None:
            matrix = design(moderators, frame.set_axis(list(slab), axis=0))
            options |= {"X": matrix.X, "names": matrix.names}
        found = glmm(measure, columns, model=method, method="EE" if equal else "ML", **options)  # type: ignore[arg-type]
    elif method == "BB":
        found = beta_binomial(measure, columns, **options)  # type: ignore[arg-type]
    elif method == "PETO":
        found = peto(columns, correct=bool(correct), **options)
    else:
        add = 0.5 if chosen.add is None else chosen.add
        found = mantel_haenszel(
            measure, columns, add=add, to=chosen.to or TO, correct=correct is not False, **options
        )
    show(_rows(chosen, asked.table, slab), [Part("fit", "", found)], as_json=as_json)


def _refuse_idle(asked: Asked, method: str, equal: bool, correct: bool | None, moderators: str | None) -> None:
    """Refuse options that a method would ignore."""
    mixed = method in get_args(GlmmModel)
    idle = {
        "--moderators": moderators is not None and not mixed,
        "--equal": equal and not mixed,
        "--correct": correct is not None and method not in {"MH", "PETO"},
        "--add": asked.add is not None and method != "MH",
        "--to": asked.to is not None and method != "MH",
        "--vtype": asked.vtype is not None,
    }
    for option, is_idle in idle.items():
        if is_idle:
            raise InputError(f"{option} has no meaning for method {method}; leave it out")


def _rows(asked: Asked, path: Path, slab: tuple[str, ...]) -> Rows:
    """Rows without effects, for the heading."""
    from pandas import DataFrame

    nothing: Array = np.full(len(slab), np.nan)
    title = f"{path.name}, {asked.measure_title}"
    table = DataFrame(index=list(slab))
    return Rows(
        yi=nothing,
        vi=nothing,
        lo=nothing,
        hi=nothing,
        slab=slab,
        table=table,
        title=title,
        scale="",
        missing="refuse",
    )
