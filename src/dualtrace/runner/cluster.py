"""Tasks on a Dask cluster: at an address, or on this machine for as long as the run lasts.

Workers that see the folder of the store write to it; from others the results travel to this process, which writes.
Functions are sent by name, so that a worker imports and compiles them once.
"""

from __future__ import annotations

import logging
import math
import time
import uuid
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from dualtrace.errors import RunError, StoreError
from dualtrace.extras import cluster_module
from dualtrace.runner.claims import release, take
from dualtrace.runner.crew import Crew
from dualtrace.runner.disk import told
from dualtrace.runner.settle import LIVES, Outcome, Verdict, attempt, failed, given_up, kept, settle
from dualtrace.runner.store import Store
from dualtrace.runner.tables import checked
from dualtrace.runner.task import Task, package_version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from dualtrace.runner.workers import Workers

    Answer = Outcome | dict[str, dict[str, NDArray[Any]]]

_WITHOUT = "Without a cluster, tasks run in processes on this machine."
_GIVEN_PER_THREAD = 2
"""So that no thread of the cluster is idle while an outcome travels."""

_COUNT_AGAIN_SECONDS = 1
"""Between counts of the threads of a cluster, which may grow and shrink."""

_PATIENCE_SECONDS = 30
"""For a scheduler to answer, and for its first worker to come."""

_UNDER_WAY = ("pending", "lost")
"""States of what will still end: an answer lost with its worker is worked out again elsewhere."""


def settle_there(key: str, plain: dict[str, Any], folder: str, sign: str, *, travels: bool) -> Answer:
    """On a worker: settle a task where the store is seen, else compute it and return its tables.

    Parameters
    ----------
    key, plain
        The task, and the hash that the run has for it.
    folder, sign
        Of the store, and the name of a file in its ``claims`` by which it is told from another folder of that name.
    travels
        Whether tables are returned in any case.
    """
    task = Task(**plain)
    if task.key != key:
        return Outcome(
            key,
            Verdict.FAILED,
            f"the workers of a cluster must have the version of dualtrace that the run has; a worker has "
            f"{package_version()}",
        )
    if not travels and _sees(folder, sign):
        return settle(task, Store(Path(folder)))
    tables = attempt(task)
    if isinstance(tables, Outcome):
        return tables
    try:
        return checked(tables)
    except Exception as error:
        return failed(task, error)


def _sees(folder: str, sign: str) -> bool:
    return (Path(folder) / "claims" / sign).exists()


@final
class Cluster(Crew):
    """Workers of a Dask cluster."""

    def __init__(self, store: Store, workers: Workers, most: int) -> None:
        self._dask = cluster_module("distributed", _WITHOUT)
        self._store = store
        self._running: dict[Any, Task] = {}
        self._claims: dict[str, ExitStack] = {}
        self._busy: list[Outcome] = []
        self._threads, self._counted = 0, -math.inf
        self._sign = f"sign-{uuid.uuid4().hex}"
        with ExitStack() as opened:
            opened.enter_context(_silent_client())
            self._client = self._connect(workers, most, opened)
            self._put_up_sign(opened)
            with self._reached():
                seen = self._client.run(_sees, str(store.path), self._sign)
            # Where some worker must send its tables, all do, and the claims on the tasks are held here.
            self._travels = not all(seen.values())
            self._opened = opened.pop_all()

    def room(self) -> int:
        """Some tasks per thread of the cluster, as it is now."""
        if time.monotonic() > self._counted + _COUNT_AGAIN_SECONDS:
            with self._reached():
                self._threads = sum(int(threads) for threads in self._client.nthreads().values())
            self._counted = time.monotonic()
        return _GIVEN_PER_THREAD * max(1, self._threads) - len(self._running)

    def give(self, task: Task) -> None:
        """Send the task by name."""
        if self._travels and not self._claim(task):
            self._busy.append(Outcome(task.key, Verdict.BUSY))
            return
        with self._reached():
            future = self._client.submit(
                settle_there,
                task.key,
                task.plain(),
                str(self._store.path),
                self._sign,
                travels=self._travels,
                key=f"dualtrace-{task.key}-{uuid.uuid4().hex}",
                pure=False,
            )
        self._running[future] = task

    def wait(self, seconds: float) -> list[Outcome]:
        """Return outcomes; Dask itself gives the task of a lost worker to another one."""
        outcomes, self._busy = self._busy, []
        if not outcomes and self._running:
            # What was cancelled, as the scheduler is gone, is seen by its status.
            with suppress(TimeoutError, CancelledError), self._reached(), self._client.as_current():
                self._dask.wait(list(self._running), timeout=seconds, return_when="FIRST_COMPLETED")
        # Looked at once: what has ended may be lost the next moment, and then its result is waited for.
        seen = [(future, future.status) for future in self._running]
        return outcomes + [self._take(future, status) for future, status in seen if status not in _UNDER_WAY]

    def close(self) -> None:
        """Forget what is running, and end the workers of a local cluster."""
        with self._opened:
            for claim in self._claims.values():
                self._opened.push(claim)
            with suppress(OSError):
                self._client.cancel(list(self._running))

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            raise
        except OSError as error:
            raise self._lost() from error

    def _lost(self) -> RunError:
        return RunError(
            f"the connection to the cluster was lost; results that were finished are kept in {self._store.path}: "
            "start the cluster and run again to go on from there"
        )

    def _claim(self, task: Task) -> bool:
        claim = ExitStack()
        if not claim.enter_context(self._store.claim(task)):
            return False
        self._claims[task.key] = claim
        return True

    def _connect(self, workers: Workers, most: int, opened: ExitStack) -> Any:  # noqa: ANN401 - Dask is optional
        where = workers.cluster if workers.is_remote else opened.enter_context(_local(workers, most))
        try:
            client = opened.enter_context(self._dask.Client(where, timeout=_PATIENCE_SECONDS, set_as_default=False))
            client.wait_for_workers(1, timeout=_PATIENCE_SECONDS)
        except (OSError, TimeoutError) as error:
            raise RunError(
                f"a Dask scheduler with workers must answer at {workers.cluster} within {_PATIENCE_SECONDS} s and "
                f"did not ({error}); start one with `dask scheduler` and `dask worker`, or leave the cluster out"
            ) from error
        return client

    def _put_up_sign(self, opened: ExitStack) -> None:
        path = self._store.path / "claims" / self._sign
        with told(self._store.path):
            descriptor = take(path, wait=True)
        if descriptor is not None:
            opened.callback(release, path, descriptor)

    def _take(self, future: Any, status: str) -> Outcome:  # noqa: ANN401
        task = self._running.pop(future)
        with self._claims.pop(task.key, ExitStack()):
            if status == "finished":
                answer = future.result()
                return answer if isinstance(answer, Outcome) else self._keep(task, answer)
            if status == "error":
                return self._broken(task, future.exception())
        raise self._lost()

    def _keep(self, task: Task, tables: Any) -> Outcome:  # noqa: ANN401
        """Store tables that travelled; a worker that came late may send some although the others write."""
        if self._travels:
            return kept(task, tables, self._store)
        try:
            with self._store.claim(task, wait=True):
                there = self._store.has(task)
                return Outcome(task.key, Verdict.FOUND) if there else kept(task, tables, self._store)
        except StoreError as error:
            return Outcome(task.key, Verdict.REFUSED, str(error))

    def _broken(self, task: Task, error: BaseException) -> Outcome:
        if isinstance(error, self._dask.scheduler.KilledWorker):
            return given_up(task)
        return failed(task, error)


@contextmanager
def _silent_client() -> Iterator[None]:
    """Keep Dask from logging a lost connection with a traceback; it is told as an error."""
    logger = logging.getLogger("distributed.client")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _local(workers: Workers, most: int) -> Iterator[Any]:
    dask, distributed = cluster_module("dask", _WITHOUT), cluster_module("distributed", _WITHOUT)
    settings = {
        "distributed.nanny.pre-spawn-environ": workers.variables,
        "distributed.scheduler.allowed-failures": LIVES - 1,
    }
    with dask.config.set(settings):
        cluster = distributed.LocalCluster(
            n_workers=min(workers.processes, most),
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            memory_limit=0,
            silence_logs=logging.CRITICAL,
            env=workers.variables,
        )
    with cluster:
        yield cluster
