"""Contract: runs and workers are killed for real, and nothing is lost and nothing computed twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import runner_jobs
from dualtrace.errors import RunError
from dualtrace.runner.execute import run_tasks
from dualtrace.runner.store import Store
from dualtrace.runner.task import Task
from dualtrace.runner.workers import Workers
from runner_jobs import begun, draws, events

if TYPE_CHECKING:
    from collections.abc import Callable

NUMBER = 12


def start(store: Path, log: Path, *, seconds: float, processes: int) -> subprocess.Popen[str]:
    """Start a run of draws in a process of its own."""
    command = [sys.executable, runner_jobs.__file__, str(store), str(log), str(NUMBER), str(seconds), str(processes)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)  # noqa: S603


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until something is so; a minute is forever."""
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("waited a minute in vain")


def files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be noticed does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_run_in_one_process_that_is_killed_goes_on_with_the_task_that_was_in_flight(tmp_path: Path) -> None:
    log, folder = tmp_path / "log", tmp_path / "store"
    with start(folder, log, seconds=0.1, processes=0) as run:
        wait_for(lambda: len(begun(log)) >= 4)
        run.kill()
    assert run.returncode == -signal.SIGKILL
    ended = [seed for seed, _ in events(log, "end")]
    assert 3 <= len(ended) < NUMBER
    resumed = run_tasks(draws(log, NUMBER, 0.1), Store.open(folder))
    assert NUMBER - len(ended) <= resumed.computed <= NUMBER - len(ended) + 1
    twice = [seed for seed, calls in Counter(begun(log)).items() if calls > 1]
    assert set(begun(log)) == set(range(NUMBER))
    assert len(twice) <= 1
    uninterrupted = Store.open(tmp_path / "other")
    run_tasks(draws(log, NUMBER, 0.1), uninterrupted)
    assert files(folder) == files(uninterrupted.path)


def test_when_a_run_is_killed_its_workers_store_what_they_have_in_hand_and_nothing_is_computed_twice(
    tmp_path: Path,
) -> None:
    log, folder = tmp_path / "log", tmp_path / "store"
    with start(folder, log, seconds=0.3, processes=2) as run:
        wait_for(lambda: len(begun(log)) >= 4)
        run.kill()
    assert len(begun(log)) < NUMBER
    resumed = run_tasks(draws(log, NUMBER, 0.3), Store.open(folder), workers=Workers(2))
    assert begun(log) == list(range(NUMBER))
    assert 0 < resumed.computed < NUMBER
    wait_for(lambda: not [pid for _, pid in events(log, "begin") if is_alive(pid)])


def test_two_runs_on_one_store_share_the_work(tmp_path: Path) -> None:
    log, folder = tmp_path / "log", tmp_path / "store"
    with start(folder, log, seconds=0.2, processes=0) as one, start(folder, log, seconds=0.2, processes=0) as other:
        assert (one.wait(60), other.wait(60)) == (0, 0)
    assert begun(log) == list(range(NUMBER))
    assert len({pid for _, pid in events(log, "begin")}) == 2
    assert all(tables for tables in run_tasks(draws(log, NUMBER, 0.2), Store.open(folder)))


def test_what_another_run_computes_is_waited_for(tmp_path: Path) -> None:
    store, (task,) = Store.open(tmp_path / "store"), draws(tmp_path / "log", 1)
    said: list[str] = []

    def finish(done: int, total: int, message: str) -> None:
        assert total == 1
        said.append(message)
        if "another run" in message and done == 0:
            store.put_claimed(task, {"one": {"number": np.array([7])}})

    with store.claim(task):
        run = run_tasks([task], store, progress=finish)
    assert (run.computed, run[0]["one"]["number"].tolist(), begun(tmp_path / "log")) == (0, [7], [])
    assert said[1] == "another run computes the last 1"


def test_a_worker_that_is_killed_is_replaced_and_its_task_given_again(tmp_path: Path) -> None:
    log = tmp_path / "log"
    killed: list[int] = []

    def kill(done: int, *_: object) -> None:
        ended = {seed for seed, _ in events(log, "end")}
        running = [(seed, pid) for seed, pid in events(log, "begin") if seed not in ended]
        if done >= 2 and running and not killed:
            killed.append(running[0][0])
            os.kill(running[0][1], signal.SIGKILL)

    run = run_tasks(draws(log, NUMBER, 0.1), Store.open(tmp_path / "store"), workers=Workers(2), progress=kill)
    assert len(killed) == 1
    assert begun(log) == sorted([*range(NUMBER), *killed])
    assert run.computed == NUMBER


def test_a_task_whose_worker_dies_once_is_done_by_another(tmp_path: Path) -> None:
    tasks = [Task("runner_jobs:die_once", {"log": str(tmp_path / "log")}, seed) for seed in range(4)]
    run = run_tasks(tasks, Store.open(tmp_path / "store"), workers=Workers(1))
    assert begun(tmp_path / "log") == [0, 1, 2, 2, 3]
    assert [tables["one"]["seed"].item() for tables in run] == [0, 1, 2, 3]


def test_a_task_that_kills_three_workers_is_given_up_by_name(tmp_path: Path) -> None:
    log, store = tmp_path / "log", Store.open(tmp_path / "store")
    tasks = [*draws(log, 1), Task("runner_jobs:die", {"log": str(log)}, 5)]
    with pytest.raises(
        RunError, match=r"task runner_jobs:die \(seed 5, .*\) was given up: 3 .* the last by signal 9"
    ):
        run_tasks(tasks, store, workers=Workers(1))
    assert begun(log) == [0, 5, 5, 5]
    assert store.has(tasks[0])


@pytest.mark.parametrize("processes", [0, 2])
def test_a_task_that_raises_stops_the_run_by_name_and_finished_results_stay(processes: int, tmp_path: Path) -> None:
    log, store = tmp_path / "log", Store.open(tmp_path / "store")
    tasks = [Task("runner_jobs:fail", {"log": str(log)}, seed) for seed in range(50)]
    with pytest.raises(
        RunError, match=r"task runner_jobs:fail \(seed 2, .*\) failed: ValueError: no such"
    ) as stopped:
        run_tasks(tasks, store, workers=Workers(processes))
    assert str(stopped.value).endswith(f"results that were finished are kept in {store.path}")
    assert 'raise ValueError("no such patient")' in stopped.value.details
    finished = [task.seed for task in tasks if store.has(task)]
    assert begun(log)[:3] == [0, 1, 2]
    assert set(begun(log)) == {*finished, 2}
    assert len(finished) < 10


def test_ctrl_c_ends_the_workers_and_keeps_what_was_finished(tmp_path: Path) -> None:
    log, folder = tmp_path / "log", tmp_path / "store"
    with start(folder, log, seconds=0.3, processes=2) as run:
        wait_for(lambda: len(events(log, "end")) >= 3)
        run.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in (run.stderr.read() if run.stderr else "")
    assert run.returncode == -signal.SIGINT
    assert not [pid for _, pid in events(log, "begin") if is_alive(pid)]
    before = len(begun(log))
    assert before < NUMBER
    resumed = run_tasks(draws(log, NUMBER, 0.3), Store.open(folder), workers=Workers(2))
    assert NUMBER - before <= resumed.computed <= NUMBER - before + 2
    assert len(begun(log)) == before + resumed.computed


def test_workers_live_as_long_as_the_run_and_get_their_environment_before_they_import(tmp_path: Path) -> None:
    names = ["XLA_FLAGS", "PYTHONHASHSEED"]
    tasks = [Task("runner_jobs:surroundings", {"names": names}, seed) for seed in range(10)]
    workers = Workers(2, environment={"XLA_FLAGS": "--xla_cpu_enable_fast_math=false", "PYTHONHASHSEED": "3"})
    run = run_tasks(tasks, Store.open(tmp_path), workers=workers)
    found = [tables["process"] for tables in run]
    assert {table["XLA_FLAGS"].item() for table in found} == {"--xla_cpu_enable_fast_math=false"}
    assert {table["PYTHONHASHSEED"].item() for table in found} == {"3"}
    pids = {table["pid"].item() for table in found}
    assert 1 <= len(pids) <= 2
    assert os.getpid() not in pids


def test_sets_have_one_order_in_all_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    tasks = [Task("runner_jobs:surroundings", {"names": []}, 1)]
    first, second = (run_tasks(tasks, Store.open(tmp_path / name), workers=Workers(1)) for name in "ab")
    assert first[0]["process"]["order"] == second[0]["process"]["order"]
