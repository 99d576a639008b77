"""``dualtrace participants``: one-stage models of the participants of several trials."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import click

from dualtrace.cli.answer import Part, attempt, in_words, methods
from dualtrace.cli.options import json_option, level_option, print_json
from dualtrace.cli.raw import finite, open_table, require_column
from dualtrace.errors import InputError, TableError
from dualtrace.pooling.participants.contract import Family, Intercept, Residual
from dualtrace.pooling.participants.fit import one_stage
from dualtrace.pooling.participants.fit import two_stage as pooled_stages

if TYPE_CHECKING:
    from pandas import DataFrame


@click.command()
@click.option("--csv", "table", type=click.Path(path_type=Path), required=True, help="One line per participant.")
@click.option("--outcome", metavar="COLUMN", default="y", show_default=True, help="Outcome; 0 or 1 for binomial.")
@click.option("--treatment", metavar="COLUMN", default="treatment", show_default=True, help="1 drug, 0 placebo.")
@click.option("--trial", metavar="COLUMN", default="trial", show_default=True, help="Trial of each participant.")
@click.option("--moderator", metavar="COLUMN", help="A number per participant that may change the effect.")
@click.option("--family", type=click.Choice(get_args(Family)), default="gaussian", show_default=True)
@click.option("--intercept", type=click.Choice(get_args(Intercept)), default="stratified", show_default=True)
@click.option("--residual", type=click.Choice(get_args(Residual)), default="shared", show_default=True)
@click.option("--random-interaction", is_flag=True, help="The moderator's effect varies between trials too.")
@click.option("--method", type=click.Choice(["REML", "ML"]), default="REML", show_default=True, help="Linear models.")
@click.option("--two-stage", is_flag=True, help="Also analyse each trial by itself and pool.")
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
    method: Literal["REML", "ML"],
    two_stage: bool,
    level: float,
    as_json: bool,
) -> None:
    """Analyse all participants of several trials in one mixed model.

    The effect varies between trials. A moderator is split into its deviation within trials and the trials' means;
    only the first is free of confounding between trials.

    \b
    Examples:
      dualtrace participants --csv people.csv --outcome lsas --treatment dcs --trial study
      dualtrace participants --csv people.csv --outcome responder --family binomial --moderator baseline --two-stage
    """
    frame = open_table(table)
    for option, column in (("--outcome", outcome), ("--treatment", treatment), ("--trial", trial)):
        require_column(frame, column, option, table)
    y, t = finite(frame, outcome, table), finite(frame, treatment, table)
    where = _trials(frame, trial, table)
    x = None
    if moderator is not None:
        require_column(frame, moderator, "--moderator", table)
        x = finite(frame, moderator, table)
    if random_interaction and x is None:
        raise InputError("--random-interaction is about a moderator; name it with --moderator COLUMN")
    found = one_stage(
        y,
        t,
        where,
        moderator=x,
        family=family,
        intercept=intercept,
        residual=residual,
        random_interaction=random_interaction,
        method=method,
        level=level,
    )
    parts = [Part("one_stage", "", found)]
    if two_stage:
        model: dict[str, Any] = {"moderator": x, "family": family, "level": level}
        parts.append(attempt("two_stage", "Two stages", lambda: pooled_stages(y, t, where, **model)))
    if as_json:
        print_json({part.key: part.for_json() for part in parts} | {"methods": methods([found])})
        return
    click.echo("\n\n".join([*map(str, parts), *in_words([found])]))


def _trials(frame: DataFrame, column: str, path: Path) -> list[str]:
    """Trial of each participant; an empty cell is named by its line."""
    empty = frame[column].isna()
    if empty.any():
        line = frame.index[int(empty.to_numpy().argmax())]
        raise TableError(f"{path}, line {line}, column {column}: every participant needs a trial; the cell is empty")
    return [str(value) for value in frame[column]]
