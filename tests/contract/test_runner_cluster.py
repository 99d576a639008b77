"""Contract: on a Dask cluster, results are stored as they are by processes of our own, and failures have a sentence."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import dask
import distributed
import pytest

from dualtrace.errors import RunError
from dualtrace.runner import cluster
from dualtrace.runner.cluster import Cluster, settle_there
from dualtrace.runner.execute import run_tasks
from dualtrace.runner.settle import Outcome, Verdict
from dualtrace.runner.store import Store
from dualtrace.runner.task import Task
from dualtrace.runner.workers import Workers
from runner_jobs import begun, draws, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def local(**options: Any) -> Any:
    """A Dask cluster on this machine, quiet and with no fixed port."""
    start: Any = distributed.LocalCluster
    return start(threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=50, **options)


def client(address: str) -> Any:
    """A second look at a cluster."""
    connect: Any = distributed.Client
    return connect(address, set_as_default=False)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster that others started: a scheduler with two workers."""
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    settings = {"distributed.scheduler.allowed-failures": 2}
    with dask.config.set(settings), local(n_workers=2, env=path) as started:
        yield started.scheduler_address


def test_a_cluster_at_an_address_computes_each_task_once_and_a_second_run_nothing(
    address: str, tmp_path: Path
) -> None:
    log, store = tmp_path / "log", Store.open(tmp_path / "store")
    first = run_tasks(draws(log, 8), store, workers=Workers(cluster=address))
    second = run_tasks(draws(log, 8), store, workers=Workers(cluster=address))
    assert (first.computed, second.computed) == (8, 0)
    assert begun(log) == list(range(8))
    assert sorted(entry.name for entry in store.path.iterdir()) == [
        "claims", "dualtrace-store.json", "results", "unfinished"
    ]  # fmt: skip
    assert list((store.path / "claims").iterdir()) == []


def test_results_of_workers_that_do_not_see_the_store_travel_and_are_the_same(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    seen, unseen = Store.open(tmp_path / "seen"), Store.open(tmp_path / "unseen")
    run_tasks(draws(log, 4), seen, workers=Workers(cluster=address))
    monkeypatch.setattr(Cluster, "_put_up_sign", lambda *_: None)
    assert run_tasks(draws(log, 4), unseen, workers=Workers(cluster=address)).computed == 4
    one, other = (
        {str(file.relative_to(store.path)): file.read_bytes() for file in store.path.rglob("*") if file.is_file()}
        for store in (seen, unseen)
    )
    assert one == other
    assert begun(log) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_of_results_that_travel_none_is_computed_that_another_run_has_claimed(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cluster, "_put_up_sign", lambda *_: None)
    log, store = tmp_path / "log", Store.open(tmp_path / "store")
    with store.claim(draws(log, 1)[0]), pytest.raises(RuntimeError, match="stop waiting"):
        run_tasks(draws(log, 3), store, workers=Workers(cluster=address), progress=stop_waiting)
    assert begun(log) == [1, 2]


def stop_waiting(done: int, total: int, message: str) -> None:
    if "another run" in message:
        raise RuntimeError(f"stop waiting: {done} of {total}")


@pytest.mark.parametrize("sees", [True, False])
def test_a_task_that_raises_on_a_cluster_is_named(
    sees: bool, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not sees:
        monkeypatch.setattr(Cluster, "_put_up_sign", lambda *_: None)
    tasks = [Task("runner_jobs:fail", {"log": str(tmp_path / "log")}, 2)]
    with pytest.raises(
        RunError, match=r"task runner_jobs:fail \(seed 2, .*\) failed: ValueError: no such"
    ) as stopped:
        run_tasks(tasks, Store.open(tmp_path / "store"), workers=Workers(cluster=address))
    assert 'raise ValueError("no such patient")' in stopped.value.details


def test_what_travels_and_is_no_table_is_refused_by_name(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cluster, "_put_up_sign", lambda *_: None)
    with pytest.raises(RunError, match=r"task runner_jobs:nothing .* failed: a task must return a mapping"):
        run_tasks([Task("runner_jobs:nothing", {}, 1)], Store.open(tmp_path), workers=Workers(cluster=address))


def test_a_dask_worker_that_is_killed_loses_nothing(address: str, tmp_path: Path) -> None:
    tasks = [Task("runner_jobs:die_once", {"log": str(tmp_path / "log")}, seed) for seed in range(4)]
    run = run_tasks(tasks, Store.open(tmp_path / "store"), workers=Workers(cluster=address))
    assert [tables["one"]["seed"].item() for tables in run] == [0, 1, 2, 3]
    assert begun(tmp_path / "log") == [0, 1, 2, 2, 3]


def test_an_answer_lost_with_its_dask_worker_is_taken_from_the_store(tmp_path: Path) -> None:
    store, task = Store.open(tmp_path / "store"), draws(tmp_path / "log", 1)[0]
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    with (
        local(n_workers=1, env=path) as started,
        closing(Cluster(store, Workers(cluster=started.scheduler_address), 1)) as taken,
    ):
        taken.give(task)
        with client(started.scheduler_address) as other:
            wait_for(lambda: any(other.has_what().values()))
            ((worker, pid),) = other.run(os.getpid).items()
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: worker not in other.nthreads())
        rounds = (taken.wait(1.0) for _ in range(60))
        outcomes = next(filter(None, rounds))
    assert [(outcome.key, outcome.verdict) for outcome in outcomes] == [(task.key, Verdict.FOUND)]
    assert begun(tmp_path / "log") == [0]


def test_a_task_that_kills_dask_workers_is_given_up_by_name(address: str, tmp_path: Path) -> None:
    task = Task("runner_jobs:die", {"log": str(tmp_path / "log")}, 5)
    with pytest.raises(RunError, match=r"task runner_jobs:die \(seed 5, .*\) was given up: 3 workers died over it"):
        run_tasks([task], Store.open(tmp_path / "store"), workers=Workers(cluster=address))
    assert begun(tmp_path / "log") == [5, 5, 5]


def test_workers_of_another_version_compute_nothing(tmp_path: Path) -> None:
    task = draws(tmp_path / "log", 1)[0]
    key = "0" * 64
    answer: Any = settle_there(key, task.plain(), str(tmp_path), "sign", travels=True)
    assert isinstance(answer, Outcome)
    assert (answer.key, answer.verdict) == (key, Verdict.FAILED)
    assert "must have the version of dualtrace that the run has; a worker has" in answer.reason
    assert begun(tmp_path / "log") == []


def test_a_cluster_that_does_not_answer_is_said_not_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_PATIENCE_SECONDS", 1)
    workers = Workers(cluster="tcp://127.0.0.1:9")
    with pytest.raises(RunError, match=r"must answer at tcp://127.0.0.1:9 within 1 s and did not .*; start one with"):
        run_tasks(draws(tmp_path / "log", 1), Store.open(tmp_path / "store"), workers=workers)


def test_a_scheduler_that_goes_away_is_said_to_have_and_what_was_finished_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_PATIENCE_SECONDS", 2)
    log, store = tmp_path / "log", Store.open(tmp_path / "store")
    started = local(n_workers=1, processes=False)

    def close(done: int, *_: object) -> None:
        if done == 2:
            started.close()

    with pytest.raises(RunError, match=r"connection to the cluster was lost; .* run again to go on"):
        run_tasks(
            draws(log, 9, seconds=0.05), store, workers=Workers(cluster=started.scheduler_address), progress=close
        )
    assert sum(store.has(task) for task in draws(log, 9, seconds=0.05)) >= 2
