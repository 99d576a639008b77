"""``dualtrace trials``: the evidence base from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from dualtrace.cli.options import json_option, load_trials, print_json, trial_options
from dualtrace.effects.effect import Effect
from dualtrace.effects.select import every_comparison
from dualtrace.effects.table import effect_rows
from dualtrace.errors import InputError
from dualtrace.evidence.lint import lint
from dualtrace.evidence.load import read_trials, trial_files
from dualtrace.evidence.record import Disorder, Trial
from dualtrace.evidence.schema import trial_schema
from dualtrace.evidence.scope import scope
from dualtrace.evidence.show import show_trial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.errors import Problem


@click.group()
def trials() -> None:
    """List, show, check and export the evidence base."""


@trials.command(name="list")
@click.option("--disorder", type=click.Choice([d.value for d in Disorder]), help="Only this disorder.")
@trial_options
@json_option
def list_(disorder: str | None, folder: Path | None, alone: bool, as_json: bool) -> None:
    """List the trials with size, dose, timing and whether they are pooled.

    \b
    Example:
      dualtrace trials list --disorder OCD
    """
    found = [t for t in load_trials(folder, alone) if disorder is None or t.disorder == disorder]
    rows = [_row(trial) for trial in found]
    if as_json:
        print_json(rows)
        return
    table = Table("id", "year", "disorder", "n", "drug arms", "pooled")
    for row in rows:
        cells = (row["id"], row["year"], row["disorder"], row["n"], "; ".join(row["drug_arms"]), row["left_out"])
        table.add_row(*("" if cell is None else str(cell) for cell in cells[:-1]), cells[-1] or "yes")
    Console().print(table)
    click.echo(f"{len(rows)} trials, {sum(row['left_out'] is None for row in rows)} pooled.")


def _row(trial: Trial) -> dict[str, Any]:
    arms = [arm for arm in trial.design.arms if not arm.is_placebo]
    n = trial.design.n_randomized if trial.design.n_randomized is not None else trial.design.n_analyzed
    if n is None and trial.design.arms and all(arm.n is not None for arm in trial.design.arms):
        n = sum(arm.n or 0 for arm in trial.design.arms)
    return {
        "id": trial.id,
        "label": trial.label,
        "year": trial.year,
        "disorder": trial.disorder.value,
        "n": n,
        "drug_arms": [f"{arm.label}, {arm.timing}" if arm.timing else arm.label for arm in arms],
        "left_out": scope(trial).reason,
    }


@trials.command()
@click.argument("trial_id", metavar="ID")
@trial_options
@json_option
def show(trial_id: str, folder: Path | None, alone: bool, as_json: bool) -> None:
    """Show one trial: design, every report with its source, and how each effect was obtained.

    \b
    Example:
      dualtrace trials show smits2020
    """
    found = {trial.id: trial for trial in load_trials(folder, alone)}
    if trial_id not in found:
        near = [key for key in found if trial_id.lower()[:6] in key]
        hint = f"did you mean {', '.join(near)}?" if near else "`dualtrace trials list` prints the ids"
        raise InputError(f"there is no trial {trial_id!r}; {hint}")
    trial = found[trial_id]
    if as_json:
        print_json(trial.model_dump(mode="json", exclude_none=True))
        return
    click.echo(show_trial(trial))
    for effect in every_comparison(trial):
        if isinstance(effect, Effect):
            click.echo(
                f"\n{effect.outcome} ({effect.timepoint.value}, {effect.information.value})\n{effect.explain()}"
            )
        else:
            click.echo(f"\n{effect.outcome}: no effect, {effect.reason}")


@trials.command()
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--notes", is_flag=True, help="Also print notes.")
@json_option
def check(path: Path | None, notes: bool, as_json: bool) -> None:
    """Check record files and say file, line, field, what is wrong and what to do.

    PATH is a file or a folder; without it the shipped evidence is checked. Exit code 1 when something is wrong.

    \b
    Example:
      dualtrace trials check my_trials/
    """
    files = trial_files(path, with_shipped=path is None)
    found, unreadable = read_trials(files)
    problems = (*unreadable, *lint(found))
    shown = [p for p in problems if notes or p.severity != "note"]
    if as_json:
        print_json([_problem(p) for p in shown])
    else:
        for problem in shown:
            click.echo(f"{problem.severity}: {problem}" + (f" ({problem.check})" if problem.check else ""))
        click.echo(_verdict(len(files), problems))
    if any(p.severity != "note" for p in problems):
        raise SystemExit(1)


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "file": str(problem.path),
        "line": problem.line,
        "field": problem.field,
        "severity": problem.severity,
        "check": problem.check,
        "message": problem.message,
        "remedy": problem.remedy,
    }


def _verdict(n_files: int, problems: Sequence[Problem]) -> str:
    counts = {kind: sum(p.severity == kind for p in problems) for kind in ("error", "warning", "note")}
    return f"{n_files} files: {counts['error']} errors, {counts['warning']} warnings, {counts['note']} notes."


@trials.command()
def schema() -> None:
    """Print the JSON Schema of a trial file.

    \b
    Example:
      dualtrace trials schema > trial.schema.json
    """
    print_json(trial_schema())


@trials.command()
@click.option("--format", "form", type=click.Choice(["csv", "json", "metapsy"]), default="csv", show_default=True)
@click.option("--output", type=click.Path(path_type=Path), help="File to write; standard output when absent.")
@trial_options
def export(form: str, output: Path | None, folder: Path | None, alone: bool) -> None:
    """Export every drug-against-placebo effect with its steps (csv), the records (json), or a Metapsy table.

    \b
    Example:
      dualtrace trials export --output effects.csv
    """
    from dualtrace.effects.table import to_csv

    found = load_trials(folder, alone)
    if form == "json":
        import json

        text = json.dumps([t.model_dump(mode="json", exclude_none=True) for t in found], indent=2, ensure_ascii=False)
    elif form == "metapsy":
        from dualtrace.effects.metapsy import to_metapsy

        text = to_metapsy(found)
    else:
        text = to_csv(effect_rows(found))
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{output} cannot be written ({error.strerror})") from None
    click.echo(f"wrote {output}")
