"""Worker processes on this machine, one pipe each; a worker that is killed is replaced and its task given again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, final

from dualtrace.errors import RunError
from dualtrace.runner.crew import Crew
from dualtrace.runner.settle import LIVES, Outcome, given_up

if TYPE_CHECKING:
    from dualtrace.runner.store import Store
    from dualtrace.runner.task import Task
    from dualtrace.runner.workers import Workers


@final
class Processes(Crew):
    """Worker processes that live as long as the run, so that what they import and compile is there for every task."""

    def __init__(self, store: Store, workers: Workers, most: int) -> None:
        self._store = store
        self._variables = workers.variables
        self._size = min(workers.processes, most)
        self._idle: list[_Worker] = []
        self._busy: list[_Worker] = []
        self._given_up: list[Outcome] = []
        self._deaths: Counter[str] = Counter()

    def room(self) -> int:
        """As many as there are processes without a task, started or not."""
        return self._size - len(self._busy)

    def give(self, task: Task) -> None:
        """Send the task to a process, which is started when none is idle."""
        while self._idle:
            worker = self._idle.pop()
            if worker.send(task):
                self._busy.append(worker)
                return
            # It died with nothing to do; the task is not to blame.
            worker.end()
        worker = _Worker(self._store, self._variables)
        self._busy.append(worker)
        worker.send(task)

    def wait(self, seconds: float) -> list[Outcome]:
        """Return outcomes; the task of a process that died is given to another one."""
        outcomes, self._given_up = self._given_up, []
        ready = wait([worker.pipe for worker in self._busy], 0 if outcomes else seconds)
        for worker in [worker for worker in self._busy if worker.pipe in ready]:
            self._busy.remove(worker)
            outcome = worker.receive()
            if outcome is not None:
                self._idle.append(worker)
                outcomes.append(outcome)
            elif not self._mourn(worker, worker.task):
                self.give(worker.task)
        return outcomes

    def close(self) -> None:
        """Kill the processes."""
        for worker in (*self._idle, *self._busy):
            worker.end()
        self._idle, self._busy = [], []

    def _mourn(self, worker: _Worker, task: Task) -> bool:
        """Count a death against a task; whether it is given up."""
        how = worker.end()
        self._deaths[task.key] += 1
        if self._deaths[task.key] < LIVES:
            return False
        self._given_up.append(given_up(task, f", the last {how}"))
        return True


@final
class _Worker:
    """One process and our end of its pipe."""

    def __init__(self, store: Store, variables: dict[str, str]) -> None:
        self.pipe, theirs = Pipe()
        with theirs:
            command = [sys.executable, "-P", "-m", "dualtrace.runner.worker", str(theirs.fileno()), str(store.path)]
            try:
                self.process = subprocess.Popen(  # noqa: S603 - this interpreter, our own module
                    command,
                    pass_fds=[theirs.fileno()],
                    env={**os.environ, "PYTHONPATH": _search_path(), **variables},
                    stdin=subprocess.DEVNULL,
                    stdout=2,  # what a task prints is no result
                    start_new_session=True,  # Ctrl-C reaches the run, and the run ends its workers
                )
            except OSError as error:
                self.pipe.close()
                raise RunError(f"a worker process must be started, which failed ({error})") from error

    def send(self, task: Task) -> bool:
        """Give it a task; whether it is there to take it. One that is not will have no outcome either."""
        self.task = task
        try:
            self.pipe.send_bytes(json.dumps(task.plain()).encode())
        except OSError:
            return False
        return True

    def receive(self) -> Outcome | None:
        """Take the outcome of its task, or None when the process is gone."""
        try:
            return Outcome.unpack(self.pipe.recv_bytes())
        except (EOFError, OSError):
            return None

    def end(self) -> str:
        """Kill the process and all that it started; say how it ended."""
        self.pipe.close()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        code = self.process.wait()
        return f"by signal {-code}" if code < 0 else f"with exit code {code}"


def _search_path() -> str:
    """Where this process finds modules, so that workers find the same ones."""
    return os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
