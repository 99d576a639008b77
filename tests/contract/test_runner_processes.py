"""Contract: runs and workers are killed for real, and nothing is lost and nothing computed twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import runner_jobs
from dualtrace.errors import RunError
from dualtrace.runner.execute import run_tasks
from dualtrace.runner.store import Store
from dualtrace.runner.task import Task
from dualtrace.runner.workers import Workers
from runner_jobs import begun, draws, events, gate, wait_for

NUMBER, HOLD = 12, 5


def start(store: Path, log: Path, *, hold: int, processes: int) -> subprocess.Popen[str]:
    """Start a run of draws in a process of its own; those from ``hold`` on wait until the gate is open."""
    command = [sys.executable, runner_jobs.__file__, str(store), str(log), str(NUMBER), str(hold), str(processes)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)  # noqa: S603


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
    with start(folder, log, hold=HOLD, processes=0) as run:
        wait_for(lambda: HOLD in begun(log))
        run.kill()
    assert run.returncode == -signal.SIGKILL
    gate(log).touch()
    resumed = run_tasks(draws(log, NUMBER, hold=HOLD), Store.open(folder))
    assert resumed.computed == NUMBER - HOLD
    assert begun(log) == sorted([*range(NUMBER), HOLD])
    uninterrupted = Store.open(tmp_path / "other")
    run_tasks(draws(log, NUMBER, hold=HOLD), uninterrupted)
    assert files(folder) == files(uninterrupted.path)


def test_when_a_run_is_killed_its_workers_store_what_they_have_in_hand_and_nothing_is_computed_twice(
    tmp_path: Path,
) -> None:
    log, folder = tmp_path / "log", tmp_path / "store"
    with start(folder, log, hold=HOLD, processes=2) as run:
        wait_for(lambda: {HOLD, HOLD + 1} <= set(begun(log)))
        run.kill()
    assert begun(log) == list(range(HOLD + 2))

    def open_gate() -> None:
        wait_for(lambda: {HOLD + 2, HOLD + 3} <= set(begun(log)))
        gate(log).touch()

    opener = threading.Thread(target=open_gate)
    opener.start()
    resumed = run_tasks(draws(log, NUMBER, hold=HOLD), Store.open(folder), workers=Workers(2))
    opener.join()
    assert resumed.computed == NUMBER - HOLD - 2
    assert begun(log) == list(range(NUMBER))
    wait_for(lambda: not [pid for _, pid in events(log, "begin") if is_alive(pid)])


def test_two_runs_on_one_store_share_the_work(tmp_path: Path) -> None:
    log, folder = tmp_path / "log", tmp_path / "store"
    with start(folder, log, hold=0, processes=0) as one, start(folder, log, hold=0, processes=0) as other:
        wait_for(lambda: len(begun(log)) == 2)
        gate(log).touch()
        assert (one.wait(60), other.wait(60)) == (0, 0)
    assert begun(log) == list(range(NUMBER))
    assert {pid for _, pid in events(log, "begin")} == {one.pid, other.pid}
    assert run_tasks(draws(log, NUMBER, hold=0), Store.open(folder)).computed == 0


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

    def kill() -> None:
        wait_for(lambda: HOLD in begun(log))
        os.kill(dict(events(log, "begin"))[HOLD], signal.SIGKILL)
        wait_for(lambda: begun(log).count(HOLD) == 2)
        gate(log).touch()

    killer = threading.Thread(target=kill)
    killer.start()
    run = run_tasks(draws(log, NUMBER, hold=HOLD), Store.open(tmp_path / "store"), workers=Workers(2))
    killer.join()
    assert run.computed == NUMBER
    assert begun(log) == sorted([*range(NUMBER), HOLD])


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
    with start(folder, log, hold=HOLD, processes=2) as run:
        wait_for(lambda: {HOLD, HOLD + 1} <= set(begun(log)))
        run.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in (run.stderr.read() if run.stderr else "")
    assert run.returncode == -signal.SIGINT
    assert not [pid for _, pid in events(log, "begin") if is_alive(pid)]
    gate(log).touch()
    resumed = run_tasks(draws(log, NUMBER, hold=HOLD), Store.open(folder), workers=Workers(2))
    assert resumed.computed == NUMBER - HOLD
    assert begun(log) == sorted([*range(NUMBER), HOLD, HOLD + 1])


def test_workers_live_as_long_as_the_run_and_get_their_environment_before_they_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thread each unless the environment says otherwise."""
    monkeypatch.delenv("NPROC", raising=False)
    names = ["XLA_FLAGS", "PYTHONHASHSEED", "NPROC"]
    tasks = [Task("runner_jobs:surroundings", {"names": names}, seed) for seed in range(10)]
    workers = Workers(2, environment={"XLA_FLAGS": "--xla_cpu_enable_fast_math=false", "PYTHONHASHSEED": "3"})
    run = run_tasks(tasks, Store.open(tmp_path), workers=workers)
    found = [tables["process"] for tables in run]
    assert {table["XLA_FLAGS"].item() for table in found} == {"--xla_cpu_enable_fast_math=false"}
    assert {table["PYTHONHASHSEED"].item() for table in found} == {"3"}
    assert {table["NPROC"].item() for table in found} == {"1"}
    pids = {table["pid"].item() for table in found}
    assert 1 <= len(pids) <= 2
    assert os.getpid() not in pids


def test_sets_have_one_order_in_all_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    tasks = [Task("runner_jobs:surroundings", {"names": []}, 1)]
    first, second = (run_tasks(tasks, Store.open(tmp_path / name), workers=Workers(1)) for name in "ab")
    assert first[0]["process"]["order"] == second[0]["process"]["order"]
