"""``dualtrace simulate``: virtual trials and exposures. The model loads inside the commands, not before."""

from __future__ import annotations

from pathlib import Path

import click

from dualtrace.cli.work import work_options

_MEALS = ("fasted", "light", "high_fat", "juice", "antacid")
_ANTIDEPRESSANTS = ("none", "endogenous", "whole_site")


TRIAL = "trial"


class ProtocolFirst(click.Group):
    """A group in which a first word that is no sub-command is the protocol of ``trial``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put ``trial`` before anything that is neither a sub-command nor a call for help."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [TRIAL, *args]
        return super().parse_args(ctx, args)


@click.group(cls=ProtocolFirst, subcommand_metavar="PROTOCOL | COMMAND [ARGS]...")
def simulate() -> None:
    """Simulate the mechanism: a virtual trial of PROTOCOL, or what COMMAND says.

    \b
    Examples:
      dualtrace simulate my_protocol.yaml --patients 2000 --out results
      dualtrace simulate trial:smits2020
      dualtrace simulate exposure --dose 50
    """


@simulate.command(TRIAL)
@click.argument("protocol", metavar="PROTOCOL")
@click.option("--patients", type=int, metavar="N", help="How many [as the protocol says].")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same patients.")
@click.option("--model", default="dual_trace", show_default=True, metavar="NAME", help="Memory model.")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="Replace a constant.")
@click.option("--precision", type=click.Choice(("float32", "float64")), default="float64", show_default=True)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Write record, tables, figures here.")
@click.option("--tables", type=click.Choice(("parquet", "csv")), help="Format of the tables of --out [parquet].")
@click.option("--figures", type=click.Path(path_type=Path, file_okay=False), help="Also draw, into this folder.")
@click.option("--show", is_flag=True, help="Print the protocol and what it assumes, and stop.")
@work_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")
def trial(**given: object) -> None:
    """Run a virtual trial and summarise it.

    PROTOCOL is a YAML file, the id of a shipped protocol, or trial:ID, the protocol of a published trial. With --out:
    the record (as `dualtrace trials check` reads it), protocol.json, summary.json, patients, sessions, decisions of
    dosing rules, and figures.

    \b
    Examples:
      dualtrace simulate trial:smits2020 --show
      dualtrace simulate sad_pre_vs_post_vs_tailored --patients 5000 --out results
      dualtrace simulate my_protocol.yaml --set clinic.quality=0 --json
      dualtrace simulate my_protocol.yaml --patients 100000000 --precision float32 --workers 2 --store big
    """
    from dualtrace.cli.virtual_trial import answer, request_from

    answer(request_from(given))


@simulate.command()
@click.option("--dose", "dose_mg", type=float, required=True, help="Dose, mg.")
@click.option("--agent", default="d-cycloserine", show_default=True, help="d-serine, or a YAML file.")
@click.option("--before", "before", type=float, help="Minutes from the dose to the session's start [60].")
@click.option("--after", "after", type=float, help="Minutes from the session's end to the dose.")
@click.option("--session", "session", type=float, default=90.0, show_default=True, help="Session, minutes.")
@click.option("--meal", type=click.Choice(_MEALS), default="fasted", show_default=True, help="Stomach.")
@click.option("--weight", type=float, default=70.0, show_default=True, help="Body weight, kg.")
@click.option("--crcl", type=float, default=100.0, show_default=True, help="Creatinine clearance, mL/min.")
@click.option("--age", type=float, default=35.0, show_default=True, help="Age, years.")
@click.option("--tb-patient", is_flag=True, help="Clearance of a TB patient (half).")
@click.option("--model", type=click.Choice(("lag", "transit")), default="lag", show_default=True)
@click.option("--kernel", type=click.Choice(("exponential", "step")), default="exponential", show_default=True)
@click.option("--arousal", type=float, help="Switch on activity-dependent occupancy: arousal from 0 to 1.")
@click.option("--antidepressant", type=click.Choice(_ANTIDEPRESSANTS), default="none", show_default=True)
@click.option("--antagonist", "antagonists", multiple=True, metavar="NAME=uM", help="For example mk801=0.02.")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="Replace a constant.")
@click.option("--people", type=int, default=1000, show_default=True, help="Size of the population band.")
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the population.")
@click.option("--hours", type=float, default=12.0, show_default=True, help="Follow to this hour.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write all curves as CSV.")
@click.option("--figure", type=click.Path(path_type=Path, dir_okay=False), help="Draw the time courses.")
@click.option("--sbml", type=click.Path(path_type=Path, dir_okay=False), help="Export as SBML.")
def exposure(**given: object) -> None:
    """Show plasma, brain, occupancy, gain and the boost M around one session, with population bands."""
    from dualtrace.cli.exposure import run_exposure

    run_exposure(given)


@simulate.command()
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
def validation(path: Path) -> None:
    """Write the validation page of the mechanism to PATH."""
    from dualtrace.mechanism.validation_page import validation_page

    path.write_text(validation_page(), encoding="utf-8")
    click.echo(f"wrote {path}")


@simulate.command()
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
def parameters(path: Path) -> None:
    """Write the table of all constants to PATH."""
    from dualtrace.mechanism.parameter_page import parameter_page
    from dualtrace.mechanism.parameters import load_parameters

    path.write_text(parameter_page(load_parameters()), encoding="utf-8")
    click.echo(f"wrote {path}")
