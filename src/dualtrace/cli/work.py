"""Long work at the command line: options that say where it runs and where results lie, and a bar while it runs."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rich.console import Console

    from dualtrace.runner.execute import Run
    from dualtrace.runner.progress import Progress
    from dualtrace.runner.task import Task

STORE = Path("dualtrace-results")
"""Where results lie unless a folder is named."""

Command = TypeVar("Command", bound="Callable[..., None]")


def work_options(command: Command) -> Command:
    """Add ``--store``, ``--workers`` and ``--cluster``; a verb gets ``store``, ``processes`` and ``cluster``."""
    command = click.option(
        "--cluster", metavar="ADDRESS", help="Run on this Dask cluster, or on a local one of N workers: local."
    )(command)
    command = click.option(
        "--workers",
        "processes",
        type=int,
        default=0,
        show_default=True,
        metavar="N",
        help="Worker processes; 0 runs everything in this one.",
    )(command)
    return click.option(
        "--store",
        "store",
        type=click.Path(path_type=Path),
        help=f"Folder of results: a command that was stopped goes on from there [{STORE}].",
    )(command)


def carry_out(tasks: Iterable[Task], store: Path | None, processes: int, cluster: str | None) -> Run:
    """Run tasks as the options say, with a bar on a terminal; the results lie in ``store``, else in :data:`STORE`.

    Raises
    ------
    InputError
        The options do not go together, or Dask is needed and not installed.
    RunError
        A task failed.
    StoreError
        The folder cannot be used.
    """
    from rich.console import Console

    from dualtrace.runner.execute import run_tasks
    from dualtrace.runner.store import Store
    from dualtrace.runner.workers import Workers

    workers, folder = Workers(processes=processes, cluster=cluster), Store.open(store or STORE)
    try:
        with bar(Console(stderr=True)) as progress:
            return run_tasks(tasks, folder, workers=workers, progress=progress)
    except KeyboardInterrupt:
        click.echo(f"Stopped. Finished results are in {folder.path}; run the same command again to go on.", err=True)
        raise


@contextmanager
def bar(console: Console) -> Iterator[Progress]:
    """Show where a run stands while the block runs; nothing where the console is no terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        row = shown.add_task("", total=None)

        def progress(done: int, total: int, message: str) -> None:
            shown.update(row, completed=done, total=total, description=message)

        yield progress
