"""``dualtrace report``: the comparative analysis as a page, tables and figures."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import click
from rich.console import Console

from dualtrace.cli.options import json_option, load_trials, print_json, trial_options
from dualtrace.report.build import document, write


@click.command()
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("dualtrace-report"),
    show_default=True,
    help="Folder to write into; made when absent.",
)
@click.option("--pdf", "with_pdf", is_flag=True, help="Write report.pdf too.")
@click.option("--mechanism", "with_mechanism", is_flag=True, help="Add the mechanism (some seconds).")
@trial_options
@json_option
def report(
    output: Path, with_pdf: bool, with_mechanism: bool, folder: Path | None, alone: bool, as_json: bool
) -> None:
    """Write the comparative analysis: index.html (needs no network), tables as CSV, figures as SVG and PNG.

    \b
    Examples:
      dualtrace report
      dualtrace report --output analysis --pdf --trials my_trials/
    """
    trials = load_trials(folder, alone)
    console = Console(stderr=True)
    quiet = as_json or not console.is_terminal
    with nullcontext() if quiet else console.status("reading") as status:

        def progress(stage: str) -> None:
            if status is not None:
                status.update(f"{stage} …")

        content = document(trials, with_mechanism=with_mechanism, progress=progress)
        written = write(content, trials, output, with_pdf=with_pdf, progress=progress)
    if as_json:
        print_json({"folder": str(output), "files": [str(path) for path in written], "trials": len(trials)})
        return
    for path in written:
        click.echo(f"wrote {path}")
    click.echo(f"tables in {output / 'tables'}, figures in {output / 'figures'}")
