"""``dualtrace participants``: participants of several trials analysed together, in one stage and in two."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import click

from dualtrace.cli.options import json_option, level_option, print_json
from dualtrace.cli.raw import finite, open_table, require_column
from dualtrace.errors import FitError, TableError
from dualtrace.pooling.participants.contract import Family, Intercept, Residual
from dualtrace.pooling.participants.fit import one_stage, two_stage


@click.command()
@click.option("--csv", "table", type=click.Path(path_type=Path), required=True, help="One line per participant.")
@click.option("--outcome", required=True, metavar="COLUMN", help="A number; 0 or 1 for binomial.")
@click.option("--treatment", required=True, metavar="COLUMN", help="1 for the treatment, 0 for the reference.")
@click.option("--trial", required=True, metavar="COLUMN", help="Trial of each participant.")
@click.option("--moderator", metavar="COLUMN", help="A number that may change the effect.")
@click.option("--family", type=click.Choice(get_args(Family)), default="gaussian", show_default=True)
@click.option("--intercept", type=click.Choice(get_args(Intercept)), default="stratified", show_default=True)
@click.option("--residual", type=click.Choice(get_args(Residual)), default="shared", show_default=True)
@click.option("--random-interaction", is_flag=True, help="The interaction varies between trials too.")
@click.option("--method", type=click.Choice(["REML", "ML"]), default="REML", show_default=True)
@level_option
@json_option
def participants(
    table: Path,
    outcome: str,
    treatment: str,
    trial: str,
    moderator: str | None,
    family: Family,
    intercept: Intercept,
    residual: Residual,
    random_interaction: bool,
    method: Any,  # noqa: ANN401
    level: float,
    as_json: bool,
) -> None:
    """Fit one mixed model to the participants of all trials; beside it, each trial by itself and then pooled.

    With --moderator, the interaction within trials stands apart from the one across trials: only the first is free
    of differences between trials.

    \b
    Examples:
      dualtrace participants --csv people.csv --outcome y --treatment drug --trial site
      dualtrace participants --csv people.csv --outcome y --treatment drug --trial site --moderator baseline
      dualtrace participants --csv people.csv --outcome well --treatment drug --trial site --family binomial --json
    """
    frame = open_table(table)
    for name, option in ((outcome, "--outcome"), (treatment, "--treatment"), (trial, "--trial")):
        require_column(frame, name, option, table)
    if moderator is not None:
        require_column(frame, moderator, "--moderator", table)
    empty = frame[trial].isna().to_numpy()
    if empty.any():
        line = int(empty.argmax()) + 2
        raise TableError(f"{table}, line {line}, column {trial}: the cell is empty; every participant needs a trial")
    y, t = (finite(frame, name, table) for name in (outcome, treatment))
    covariate = None if moderator is None else finite(frame, moderator, table)
    given = (y, t, [str(one) for one in frame[trial]])
    shared: dict[str, Any] = {"moderator": covariate, "family": family, "level": level}
    one = one_stage(
        *given, intercept=intercept, residual=residual, random_interaction=random_interaction, method=method, **shared
    )
    try:
        two, refused = two_stage(*given, **shared), ""
    except FitError as error:
        two, refused = None, str(error)
    if as_json:
        print_json({"one_stage": one.to_dict(), "two_stage": two.to_dict() if two else {"refused": refused}})
        return
    click.echo(f"{one}\n\nTwo stages\n{two or f'Not available: {refused}'}")
