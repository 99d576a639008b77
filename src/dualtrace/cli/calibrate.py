"""``dualtrace calibrate``: the mechanism, or a rival account, fitted to the trials; and accounts compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dualtrace.cli.options import json_option, trial_options
from dualtrace.cli.work import work_options

if TYPE_CHECKING:
    from collections.abc import Callable

Command = TypeVar("Command", bound="Callable[..., None]")


def fit_options(command: Command) -> Command:
    """Add how to fit: patients, chains, draws, seed, and a quick approximation instead."""
    for option in (
        click.option("--quick", is_flag=True, help="Approximate at the mode instead of sampling; marked as such."),
        click.option("--seed", type=int, default=1, show_default=True, help="Of starts and sampling."),
        click.option("--target-accept", type=float, default=0.95, show_default=True, help="Wanted acceptance."),
        click.option("--depth", type=int, default=7, show_default=True, help="Deepest tree of NUTS."),
        click.option("--warmup", type=int, default=300, show_default=True, help="Draws to tune each chain."),
        click.option("--draws", type=int, default=600, show_default=True, help="Draws of each chain."),
        click.option("--chains", type=int, default=4, show_default=True, help="Chains; each is one piece of work."),
        click.option(
            "--points", type=int, default=32, show_default=True, help="Quasi-random patients, a power of 2."
        ),
    ):
        command = option(command)
    return work_options(trial_options(command))


@click.group(invoke_without_command=True)
@click.option("--account", default="dual_trace", show_default=True, help="What to fit.")
@click.option("--save", type=click.Path(path_type=Path, dir_okay=False), help="Also write the draws, as netCDF.")
@fit_options
@json_option
@click.pass_context
def calibrate(ctx: click.Context, /, **asked: Any) -> None:  # noqa: ANN401
    """Fit an account of the drug's effect to all trials: parameters, checks, predicted against reported.

    \b
    Examples:
      dualtrace calibrate --quick
      dualtrace calibrate --workers 2 --save dual_trace.nc
      dualtrace calibrate compare --workers 2
      dualtrace calibrate findings --workers 2 --out findings.json
    """
    if ctx.invoked_subcommand is None:
        from dualtrace.cli.calibrated import fit_one

        fit_one(asked)


@calibrate.command()
@click.option("--account", "accounts", multiple=True, metavar="NAME", help="Compare this one; may be repeated [all].")
@click.option("--no-refit", is_flag=True, help="Do not fit again without trials whose weights are unreliable.")
@click.option("--since", type=int, default=2019, show_default=True, help="Predict trials from this year on.")
@fit_options
@json_option
def compare(accounts: tuple[str, ...], no_refit: bool, since: int, as_json: bool, **asked: Any) -> None:  # noqa: ANN401
    """Compare the accounts by what they say of trials that they have not seen.

    \b
    Examples:
      dualtrace calibrate compare --quick --no-refit
      dualtrace calibrate compare --account disorder --account dual_trace --workers 2
    """
    from dualtrace.cli.compared import compare_accounts

    compare_accounts(accounts, since, as_json, asked, refit=not no_refit)


@calibrate.command()
@click.option("--account", "accounts", multiple=True, metavar="NAME", help="Compare this one; may be repeated [all].")
@click.option("--no-refit", is_flag=True, help="Do not fit again without trials whose weights are unreliable.")
@click.option("--since", type=int, default=2019, show_default=True, help="Predict trials from this year on.")
@click.option(
    "--curve-points", type=int, default=128, show_default=True, help="Patients behind curves, a power of 2."
)
@click.option("--curve-draws", type=int, default=100, show_default=True, help="Draws behind curves.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="File to write the findings to."
)
@fit_options
def findings(
    accounts: tuple[str, ...],
    no_refit: bool,
    since: int,
    curve_points: int,
    curve_draws: int,
    out: Path,
    **asked: Any,  # noqa: ANN401
) -> None:
    """Do all that compare does, work out curves and checks, and write what the report shows of it.

    A command that was stopped goes on where it was; what compare has fitted is not fitted again.

    \b
    Examples:
      dualtrace calibrate findings --workers 2 --out findings.json
      dualtrace calibrate findings --quick --no-refit --points 8 --out quick.json
    """
    from dualtrace.calibration.gather import Effort
    from dualtrace.cli.compared import write_findings

    effort = Effort(curve_points=curve_points, curve_draws=curve_draws)
    write_findings(accounts, since, out, asked, refit=not no_refit, effort=effort)
