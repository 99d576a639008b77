"""Options that several verbs share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import click

from dualtrace.pooling.contract import Tau2Method, TestName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dualtrace.evidence.record import Trial

Command = TypeVar("Command", bound="Callable[..., None]")


def trial_options(command: Command) -> Command:
    """Add ``--trials DIR`` and ``--alone``."""
    command = click.option(
        "--alone", is_flag=True, help="Use the folder of --trials alone, without the shipped trials."
    )(command)
    return click.option(
        "--trials",
        "folder",
        type=click.Path(path_type=Path),
        help="Folder of your own trial files (or one file), added to the shipped ones.",
    )(command)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")

level_option = click.option("--level", type=float, default=0.95, show_default=True, help="Confidence level.")

formula_option = click.option(
    "--moderators", metavar="FORMULA", help='Meta-regression, for example "dose_mg + disorder".'
)

test_option = click.option(
    "--test", type=click.Choice(get_args(TestName)), help="Default: knha for the evidence, z for --csv."
)

method_option = click.option(
    "--method",
    type=click.Choice(get_args(Tau2Method)),
    default="REML",
    show_default=True,
    help="Estimator of the between-row variance.",
)


def load_trials(folder: Path | None, alone: bool) -> tuple[Trial, ...]:
    """Return the records the two options ask for."""
    from dualtrace.errors import InputError
    from dualtrace.evidence.load import load

    if alone and folder is None:
        raise InputError("--alone needs --trials DIR: it leaves out the shipped trials")
    return load(folder, with_shipped=not alone)


def changes_from(texts: Iterable[str]) -> dict[str, float]:
    """Constants given as ``--set NAME=VALUE``."""
    from dualtrace.errors import InputError

    changes = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            changes[name.strip()] = float(value)
        except ValueError:
            raise InputError(f"--set takes NAME=VALUE; given {text!r}") from None
    return changes


def print_json(content: Any) -> None:  # noqa: ANN401
    """Print JSON, UTF-8, indented; NaN cannot occur."""
    click.echo(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False))
