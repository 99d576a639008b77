"""One task to one outcome: found, computed and stored, left to another process, or failed. Nothing else is thrown."""

from __future__ import annotations

import json
import traceback
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, final

from dualtrace.errors import DualtraceError, StoreError

if TYPE_CHECKING:
    from dualtrace.runner.store import Store
    from dualtrace.runner.task import Task

LIVES = 3
"""Workers that may die over one task before it is given up."""


@final
class Verdict(Enum):
    """What became of a task that was given to a worker."""

    FOUND = "found"
    """Its result was stored before."""

    COMPUTED = "computed"
    """Its result was computed and stored."""

    BUSY = "busy"
    """Another process computes it now."""

    FAILED = "failed"
    """Its function raised, returned no tables, or ended its worker too often."""

    REFUSED = "refused"
    """The store is damaged, or cannot be written."""


@final
@dataclass(frozen=True, slots=True)
class Outcome:
    """A task, by its key, and what became of it; a failure says why, with the traceback of the task's own code."""

    key: str
    verdict: Verdict
    reason: str = ""
    details: str = ""

    def pack(self) -> bytes:
        """Return it as bytes, to go through a pipe."""
        return json.dumps([self.key, self.verdict.value, self.reason, self.details]).encode()

    @classmethod
    def unpack(cls, content: bytes) -> Outcome:
        """Return the outcome that was packed."""
        key, verdict, reason, details = json.loads(content)
        return cls(key, Verdict(verdict), reason, details)


def settle(task: Task, store: Store) -> Outcome:
    """Find the result of a task in the store, or compute and store it, unless another process has claimed it."""
    try:
        if store.has(task):
            return Outcome(task.key, Verdict.FOUND)
        with store.claim(task) as held:
            if not held:
                return Outcome(task.key, Verdict.BUSY)
            # Between the look and the claim another process may have finished.
            if store.has(task):
                return Outcome(task.key, Verdict.FOUND)
            return _computed(task, store)
    except StoreError as error:
        return Outcome(task.key, Verdict.REFUSED, str(error))


def _computed(task: Task, store: Store) -> Outcome:
    tables = attempt(task)
    if isinstance(tables, Outcome):
        return tables
    return kept(task, tables, store)


def attempt(task: Task) -> Any:  # noqa: ANN401 - what a function returns is checked when it is stored
    """Compute a task: what its function returned, or the outcome that says how it failed."""
    try:
        return task.resolve()(task.plain()["inputs"], task.seed)
    except (Exception, SystemExit) as error:  # a task may raise anything
        return failed(task, error)


def kept(task: Task, tables: Any, store: Store) -> Outcome:  # noqa: ANN401
    """Store what the function of a claimed task returned."""
    try:
        store.put_claimed(task, tables)
    except StoreError as error:
        return Outcome(task.key, Verdict.REFUSED, str(error))
    except Exception as error:
        return failed(task, error)
    return Outcome(task.key, Verdict.COMPUTED)


def failed(task: Task, error: BaseException) -> Outcome:
    """Say that the function of a task raised."""
    said = str(error) if isinstance(error, DualtraceError) else f"{type(error).__name__}: {error}"
    return Outcome(
        task.key, Verdict.FAILED, f"task {task} failed: {said}", "".join(traceback.format_exception(error))
    )


def given_up(task: Task, how: str = "") -> Outcome:
    """Say that workers died over a task; ``how`` says more of the last, after a comma."""
    return Outcome(
        task.key,
        Verdict.FAILED,
        f"task {task} was given up: {LIVES} workers died over it{how}; it may need more memory than there is, or "
        "crash a library that it uses",
    )
