"""The command line: one verb per file, loaded when it is called."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import version

import click

from dualtrace.errors import DualtraceError, EvidenceError

VERBS: dict[str, tuple[str, str]] = {
    "bayes": (
        "dualtrace.cli.bayes",
        "Pool effects with priors; one mean is computed exactly.",
    ),
    "bias": (
        "dualtrace.cli.bias",
        "Test and correct for small-study effects and selective reporting.",
    ),
    "calibrate": ("dualtrace.cli.calibrate", "Fit the mechanism and rival accounts to the trials, and compare them."),
    "counts": ("dualtrace.cli.counts", "Pool sparse counts without continuity corrections."),
    "effects": ("dualtrace.cli.effects", "Compute effect sizes from the raw columns of a table."),
    "experiments": ("dualtrace.cli.experiments", "Score memory models on published experiments."),
    "multilevel": ("dualtrace.cli.multilevel", "Pool dependent effects: several rows per trial, cluster-robust."),
    "participants": ("dualtrace.cli.participants", "Analyse the participants of several trials together."),
    "pool": ("dualtrace.cli.pool", "Pool effects: the shipped evidence, your trials, or any table."),
    "report": ("dualtrace.cli.report", "Write the comparative analysis as a page, tables and figures."),
    "robustness": ("dualtrace.cli.robustness", "How much an answer hangs on single rows, on groups, and on chance."),
    "simulate": ("dualtrace.cli.simulate", "Simulate trials and single sessions: from a swallowed dose to scores."),
    "trials": ("dualtrace.cli.trials", "List, show, check and export the evidence base."),
}


class LazyGroup(click.Group):
    """A group that knows its verbs by name and imports one only when it runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the verbs, sorted."""
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return one verb."""
        if cmd_name not in VERBS:
            return None
        command = getattr(import_module(VERBS[cmd_name][0]), cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{VERBS[cmd_name][0]} must define the command {cmd_name}")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the verbs with their one-line help, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(verb, VERBS[verb][1]) for verb in sorted(VERBS)])


def _print_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"dualtrace {version('dualtrace')}")
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--version", is_flag=True, callback=_print_version, expose_value=False, is_eager=True, help="Version.")
def cli() -> None:
    """Trials of drug-augmented exposure therapy: evidence, synthesis, report.

    \b
    Examples:
      dualtrace report
      dualtrace trials show hofmann2013
      dualtrace pool --outcome remission --ratio RR
    """


def main() -> None:
    """Run the command line; an error of the user's input is one sentence and exit code 2."""
    try:
        cli(prog_name="dualtrace")
    except EvidenceError as error:
        click.echo("These files cannot be used:", err=True)
        for problem in error.problems:
            click.echo(f"  {problem}", err=True)
        sys.exit(2)
    except DualtraceError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
