"""Contract: a virtual trial has the same bytes from this process and from 1, 2 and 4 worker processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualtrace.runner.execute import run_tasks
from dualtrace.runner.store import Store
from dualtrace.runner.workers import Workers
from dualtrace.simulation.load import parse_protocol
from dualtrace.simulation.mechanism import Mechanism
from dualtrace.simulation.tasks import tasks_of
from virtual_blocks import PLACEBO, PRE, VISITS, text_of

if TYPE_CHECKING:
    from pathlib import Path

SEEDS = range(1, 5)


def stored(folder: Path) -> dict[str, bytes]:
    """Every file of a store."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_virtual_trial_has_the_same_bytes_from_this_process_and_from_1_2_and_4_workers(tmp_path: Path) -> None:
    protocol = parse_protocol(text_of([PRE, PLACEBO], visits=VISITS[1:2]))
    tasks = [one for seed in SEEDS for one in tasks_of(protocol, Mechanism(), patients=1500, seed=seed)]
    assert len(tasks) == len(SEEDS)
    found = []
    for processes in (0, 1, 2, 4):
        folder = tmp_path / f"from_{processes}"
        run = run_tasks(tasks, Store.open(folder), workers=Workers(processes))
        assert run.computed == len(tasks)
        found.append(stored(folder))
    assert len({content for name, content in found[0].items() if name.endswith(".parquet")}) > len(SEEDS)
    assert all(files == found[0] for files in found[1:])
