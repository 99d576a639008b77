"""Run many tasks: those whose results are stored are not computed again; stop it at any time and start it again."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from dualtrace.errors import RunError, StoreError
from dualtrace.runner.crew import Alone, Crew
from dualtrace.runner.progress import quiet
from dualtrace.runner.settle import Outcome, Verdict
from dualtrace.runner.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from dualtrace.runner.progress import Progress
    from dualtrace.runner.store import Store
    from dualtrace.runner.task import Task

_LOOK_AGAIN_SECONDS = 0.1
"""Between looks at tasks that another process computes."""


@final
@dataclass(frozen=True, slots=True)
class Run:
    """Tasks whose results are stored. Results are read when they are asked for: ``run[0]``, ``for tables in run``.

    Attributes
    ----------
    tasks
        In the order they were given, duplicates included.
    store
        Where the results are.
    computed
        Different tasks that this run computed; the others were found, or computed by another run meanwhile.
    """

    tasks: tuple[Task, ...]
    store: Store
    computed: int

    def __len__(self) -> int:
        return len(self.tasks)

    def __getitem__(self, index: int) -> dict[str, dict[str, NDArray[Any]]]:
        """Return the tables of a task as read-only arrays.

        Raises
        ------
        StoreError
            The result was removed or damaged since it was stored.
        """
        task = self.tasks[index]
        tables = self.store.get(task)
        if tables is None:
            raise StoreError(f"the result of task {task} was removed from {self.store.path}; run again to compute it")
        return tables

    def __iter__(self) -> Iterator[dict[str, dict[str, NDArray[Any]]]]:
        return (self[i] for i in range(len(self)))


def run_tasks(
    tasks: Iterable[Task], store: Store, *, workers: Workers | None = None, progress: Progress = quiet
) -> Run:
    """Store the results of all tasks, computing those that are missing, each once.

    Results are the same bytes wherever and in whatever order tasks run, as long as their functions depend on their
    inputs and seed alone. Runs that share a store share the work.

    Parameters
    ----------
    tasks
        What to do; equal tasks are computed once.
    store
        Where results are found and put.
    workers
        Where tasks run; in this process when absent.
    progress
        Told where the run stands.

    Raises
    ------
    RunError
        The function of a task raised or returned no tables, or workers died over it: names the task. Tasks that were
        running then have been finished, and all finished results are stored.
    StoreError
        A stored result is damaged, or the disk is full or refuses.
    InputError
        Dask is needed and not installed.
    """
    asked = tuple(tasks)
    different = tuple({task.key: task for task in asked}.values())
    missing = [task for task in different if not store.has(task)]
    found = len(different) - len(missing)
    progress(found, len(different), f"{found} stored before" if found else "starting")
    if not missing:
        return Run(asked, store, computed=0)
    with _crew(store, workers or Workers(), len(missing)) as crew:
        work = _Work(missing, crew, store, progress, found)
        work.finish()
    return Run(asked, store, work.computed)


def _crew(store: Store, workers: Workers, most: int) -> Crew:
    if workers.cluster is not None:
        from dualtrace.runner.cluster import Cluster

        return Cluster(store, workers, most)
    if workers.processes:
        from dualtrace.runner.processes import Processes

        return Processes(store, workers, most)
    return Alone(store)


@final
class _Work:
    """Missing tasks on their way through a crew."""

    def __init__(self, missing: Sequence[Task], crew: Crew, store: Store, progress: Progress, found: int) -> None:
        self._tasks = {task.key: task for task in missing}
        self._queue = deque(missing)
        self._elsewhere: list[Task] = []
        self._running = 0
        self._failure: Outcome | None = None
        self._crew, self._store, self._progress = crew, store, progress
        self._done, self._total = found, found + len(missing)
        self.computed = 0

    def finish(self) -> None:
        """Give and take until all is done; after a failure only what is running is finished."""
        while self._running or (self._failure is None and (self._queue or self._elsewhere)):
            while self._failure is None and self._queue and self._crew.room() > 0:
                self._crew.give(self._queue.popleft())
                self._running += 1
            for outcome in self._crew.wait(_LOOK_AGAIN_SECONDS) if self._running else ():
                self._take(outcome)
            if self._elsewhere and not self._queue and self._failure is None:
                self._look_elsewhere()
        if self._failure is not None:
            raise _error(self._failure, self._store)

    def _take(self, outcome: Outcome) -> None:
        self._running -= 1
        task = self._tasks[outcome.key]
        if outcome.verdict is Verdict.BUSY:
            self._elsewhere.append(task)
        elif outcome.verdict in (Verdict.FOUND, Verdict.COMPUTED):
            self.computed += outcome.verdict is Verdict.COMPUTED
            self._finished(task)
        elif self._failure is None:
            self._failure = outcome
            if self._running:
                others = f"finishing {self._running} that are running; Ctrl-C ends them"
                self._progress(self._done, self._total, f"a task failed; {others}")

    def _finished(self, task: Task) -> None:
        self._done += 1
        self._progress(self._done, self._total, str(task))

    def _look_elsewhere(self) -> None:
        """Tasks that another process had: finished by now, to be taken over, or still in its hands."""
        if not self._running:
            self._progress(self._done, self._total, f"another run computes the last {len(self._elsewhere)}")
            time.sleep(_LOOK_AGAIN_SECONDS)
        waiting, self._elsewhere = self._elsewhere, []
        for task in waiting:
            if self._store.has(task):
                self._finished(task)
            else:
                with self._store.claim(task) as is_free:
                    (self._queue if is_free else self._elsewhere).append(task)


def _error(failure: Outcome, store: Store) -> RunError | StoreError:
    if failure.verdict is Verdict.REFUSED:
        return StoreError(failure.reason)
    return RunError(f"{failure.reason}; results that were finished are kept in {store.path}", failure.details)
