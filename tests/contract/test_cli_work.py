"""Contract: verbs with long work share their options, show a bar on a terminal only, and go on where they stopped."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner
from rich.console import Console

from dualtrace.cli.work import bar, carry_out, work_options
from dualtrace.errors import InputError
from dualtrace.runner import execute
from runner_jobs import begun, draws

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.argument("log")
@work_options
def verb(log: str, store: Path, processes: int, cluster: str | None) -> None:
    """Draw three times."""
    from pathlib import Path as FilePath

    run = carry_out(draws(FilePath(log), 3), store, processes, cluster)
    click.echo(f"{len(run)} results, {run.computed} computed")


def test_a_verb_that_is_run_again_computes_nothing(tmp_path: Path) -> None:
    given = [str(tmp_path / "log"), "--store", str(tmp_path / "store"), "--workers", "1"]
    first, second = (CliRunner().invoke(verb, given, catch_exceptions=False) for _ in range(2))
    assert (first.output, second.output) == ("3 results, 3 computed\n", "3 results, 0 computed\n")
    assert begun(tmp_path / "log") == [0, 1, 2]


def test_a_verb_says_what_is_wrong_with_its_workers(tmp_path: Path) -> None:
    given = [str(tmp_path / "log"), "--store", str(tmp_path / "store"), "--cluster", "nowhere"]
    with pytest.raises(InputError, match="must be local or the address of a Dask scheduler"):
        CliRunner().invoke(verb, given, catch_exceptions=False)
    assert not (tmp_path / "store").exists()


def test_a_verb_that_is_stopped_says_where_its_results_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(execute, "run_tasks", stop)
    done = CliRunner().invoke(verb, [str(tmp_path / "log"), "--store", str(tmp_path / "store")])
    assert done.exit_code == 1
    assert f"Finished results are in {tmp_path / 'store'}; run the same command again to go on." in done.output


def test_the_bar_shows_counts_on_a_terminal_and_nothing_elsewhere() -> None:
    shown = {}
    for terminal in (True, False):
        console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
        with bar(console) as progress:
            progress(3, 8, "m:f (seed 4)")
        assert isinstance(console.file, io.StringIO)
        shown[terminal] = console.file.getvalue()
    assert "3/8" in shown[True]
    assert "m:f (seed 4)" in shown[True]
    assert shown[False].strip() == ""
