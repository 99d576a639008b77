"""Functions that tests of the runner give to workers; on ``sys.path`` with the folder of the tests.

Each call writes a line when it begins and one when it ends to the file ``log`` of its inputs, so that tests count calls.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.runner.execute import run_tasks
from dualtrace.runner.store import Store
from dualtrace.runner.task import Task
from dualtrace.runner.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable

AT_IMPORT = {name: os.environ.get(name, "") for name in ("XLA_FLAGS", "OMP_NUM_THREADS", "NPROC", "PYTHONHASHSEED")}


def note(inputs: dict[str, Any], event: str, seed: int) -> None:
    """Append a line; short lines of several processes do not mix."""
    with Path(inputs["log"]).open("a", encoding="utf-8") as file:
        file.write(f"{event} {seed} {os.getpid()}\n")


def events(log: Path, event: str) -> list[tuple[int, int]]:
    """Seeds and process ids of the lines of one event."""
    lines = [line.split() for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []
    return [(int(seed), int(pid)) for name, seed, pid in lines if name == event]


def begun(log: Path) -> list[int]:
    """Seeds of all calls, sorted."""
    return sorted(seed for seed, _ in events(log, "begin"))


def draw(inputs: dict[str, Any], seed: int) -> dict[str, Any]:
    """Random numbers of every kind of column; seeds from ``hold`` on wait until the gate is open."""
    note(inputs, "begin", seed)
    time.sleep(inputs["seconds"])
    if seed >= inputs["hold"]:
        wait_for(gate(Path(inputs["log"])).exists)
    rng = np.random.default_rng(seed)
    people = rng.normal(size=(40, 3))
    note(inputs, "end", seed)
    return {
        "people": {
            "mean": people.mean(axis=1),
            "first": people[:, 0].astype(np.float32),
            "count": rng.integers(0, 1000, 40),
            "helped": people[:, 1] > 0,
            "label": np.array([f"person {i} é" for i in range(40)]),
        },
        "covariance": dict(zip("abc", people.T @ people, strict=True)),
    }


def die_once(inputs: dict[str, Any], seed: int) -> dict[str, Any]:
    """Kill its own worker, as the kernel does when memory is short; the second call lives."""
    first = seed not in begun(Path(inputs["log"]))
    note(inputs, "begin", seed)
    if first and seed == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"one": {"seed": np.array([seed])}}


def die(inputs: dict[str, Any], seed: int) -> dict[str, Any]:
    """Kill its own worker every time."""
    note(inputs, "begin", seed)
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def fail(inputs: dict[str, Any], seed: int) -> dict[str, Any]:
    """Raise for seed 2."""
    note(inputs, "begin", seed)
    if seed == 2:
        raise ValueError("no such patient")
    return {"one": {"seed": np.array([seed])}}


def large(inputs: dict[str, Any], seed: int) -> dict[str, Any]:
    """Random numbers that fill as many bytes as the inputs say."""
    return {"bytes": {"value": np.random.default_rng(seed).random(inputs["bytes"] // 8)}}


def surroundings(inputs: dict[str, Any], seed: int) -> dict[str, Any]:
    """What the process was started with, and which it is."""
    return {
        "process": {
            "pid": np.array([os.getpid()]),
            "order": np.array([str(list({"safety", "threat", "context", f"{seed}"}))]),
            **{name: np.array([value]) for name, value in AT_IMPORT.items() if name in inputs["names"]},
        }
    }


def nothing(inputs: dict[str, Any], seed: int) -> Any:
    """Return what is no table."""
    return inputs.get("returned", seed)


def gate(log: Path) -> Path:
    """Return the file that lets the calls that wait go on."""
    return log.with_name(f"{log.name}.gate")


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until something is so; a minute is forever."""
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    raise TimeoutError("waited a minute in vain")


def draws(log: Path, number: int, *, seconds: float = 0.0, hold: int = 1000) -> list[Task]:
    """Tasks of :func:`draw`."""
    return [Task("runner_jobs:draw", {"log": str(log), "seconds": seconds, "hold": hold}, i) for i in range(number)]


def main(folder: str, log: str, number: str, hold: str, processes: str) -> None:
    """Run draws, as a user's own script would."""
    tasks = draws(Path(log), int(number), hold=int(hold))
    run_tasks(tasks, Store.open(folder), workers=Workers(int(processes)))


if __name__ == "__main__":
    # Tests that a shell started in the background hand on an ignored Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main(*sys.argv[1:])
