"""``dualtrace experiments``: the catalogue of experiments, and memory models scored on it."""

from __future__ import annotations

from pathlib import Path

import click

from dualtrace.cli.options import json_option

folder_option = click.option(
    "--experiments",
    "folder",
    type=click.Path(path_type=Path),
    help="Your own experiments (a file or a folder), in place of the shipped catalogue.",
)


@click.group()
def experiments() -> None:
    """Score memory models on published experiments; list, show and check the experiments."""


@experiments.command()
@click.option("--model", "models", multiple=True, metavar="NAME", help="Score this model; may be repeated [all].")
@folder_option
@click.option("--draws", type=int, metavar="N", help="Also the share of the prior under which each finding holds.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of --draws.")
@click.option("--assumptions", is_flag=True, help="Also rerun with what was assumed at its low and high end.")
@click.option("--ablate", is_flag=True, help="Also score the dual trace without each of its parts.")
@click.option("--constants", type=click.Path(path_type=Path), help="JSON of constants, as `tune` writes it.")
@click.option("--figures", type=click.Path(path_type=Path, file_okay=False), help="Also draw, into this folder.")
@json_option
def run(
    models: tuple[str, ...],
    folder: Path | None,
    draws: int | None,
    seed: int,
    assumptions: bool,
    ablate: bool,
    constants: Path | None,
    figures: Path | None,
    as_json: bool,
) -> None:
    """Run every model through every experiment and count the findings it shows.

    \b
    Examples:
      dualtrace experiments run
      dualtrace experiments run --model dual_trace --draws 1000
      dualtrace experiments run --experiments my_experiment.yaml
    """
    from dualtrace.cli.scoreboard import Request, answer

    answer(Request(models, folder, draws, seed, assumptions, ablate, constants, figures, as_json))


@experiments.command(name="list")
@folder_option
@json_option
def list_(folder: Path | None, as_json: bool) -> None:
    """List the experiments: species, split, strength, and how many findings can be simulated."""
    from dualtrace.cli.scoreboard import listing

    listing(folder, as_json)


@experiments.command()
@click.argument("experiment_id", metavar="ID")
@click.option("--model", default="dual_trace", show_default=True, help="Model whose fear is shown beside.")
@folder_option
@json_option
def show(experiment_id: str, model: str, folder: Path | None, as_json: bool) -> None:
    """Show one experiment: what was done, what was assumed, what was found, and what a model makes of it.

    \b
    Example:
      dualtrace experiments show REC-05
    """
    from dualtrace.cli.scoreboard import show_one

    show_one(experiment_id, model, folder, as_json)


@experiments.command()
@click.argument("path", required=False, type=click.Path(path_type=Path))
@json_option
def check(path: Path | None, as_json: bool) -> None:
    """Check experiment files and say file, line, field, what is wrong and what to do.

    PATH is a file or a folder; without it the shipped catalogue is checked. Exit code 1 when something is wrong.
    """
    from dualtrace.cli.scoreboard import check_files

    check_files(path, as_json)


@experiments.command()
@click.option("--model", required=True, metavar="NAME", help="The model to tune.")
@click.option("--generations", type=int, default=400, show_default=True, help="Of the search, from each start.")
@click.option("--starts", type=int, default=2, show_default=True, help="The middle of the priors, then random ones.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the search.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the constants as JSON.")
@folder_option
def tune(model: str, generations: int, starts: int, seed: int, output: Path | None, folder: Path | None) -> None:
    """Search a model's constants for the training part of the catalogue; the held-out part is only scored.

    The search is CMA-ES and needs the extra `tune`; the shipped constants of the dual trace come from its defaults.

    \b
    Example:
      dualtrace experiments tune --model rescorla_wagner --output tuned.json
    """
    from dualtrace.cli.scoreboard import tune_model

    tune_model(model, generations, starts, seed, output, folder)


@experiments.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--design", required=True, metavar="LINE", help='For example "A: 3CS+ | B: 20CS- @24h | B: 4CS- @24h".')
@click.option("--model", default="dual_trace", show_default=True, metavar="NAME", help="The model to fit.")
@click.option("--free", multiple=True, required=True, metavar="CONSTANT", help="A constant to estimate; repeat it.")
@click.option(
    "--scale", default="freezing", show_default=True, help="freezing, suds, expectancy, expectancy_100 or scr."
)
@click.option("--column", default="fear", show_default=True, metavar="NAME", help="Column of the readings.")
@click.option("--samples", type=int, default=500, show_default=True, help="Draws per chain after as much warm-up.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the sampler.")
@json_option
def fit(
    data: Path,
    design: str,
    model: str,
    free: tuple[str, ...],
    scale: str,
    column: str,
    samples: int,
    seed: int,
    as_json: bool,
) -> None:
    """Fit a model to trial-by-trial fear of individuals: a CSV with columns subject, trial and the reading.

    Trials count the presentations of the design from 1; a trial that was not measured is left out or empty.

    \b
    Examples:
      dualtrace experiments fit rats.csv --design "A: 3CS+ | B: 20CS- @24h" --free dual_trace.safety_rate
      dualtrace experiments fit patients.csv --design "A: 5CS+ | B: 8CS- @7d | B: 8CS- @7d" --scale suds \
        --column suds --free dual_trace.safety_rate
    """
    from dualtrace.cli.individuals import fit_individuals

    fit_individuals(data, design, model, free, samples, seed, as_json, scale=scale, column=column)
