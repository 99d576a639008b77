"""What a run needs of its workers, and the simplest of them: this process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, final

from dualtrace.runner.settle import settle

if TYPE_CHECKING:
    from types import TracebackType

    from dualtrace.runner.settle import Outcome
    from dualtrace.runner.store import Store
    from dualtrace.runner.task import Task


class Crew(ABC):
    """Workers, for as long as a ``with`` block runs; at its end they are gone, whatever they were doing."""

    @abstractmethod
    def room(self) -> int:
        """How many tasks may be given now."""

    @abstractmethod
    def give(self, task: Task) -> None:
        """Give a task; called only while there is room."""

    @abstractmethod
    def wait(self, seconds: float) -> list[Outcome]:
        """Return outcomes as soon as there are any, or none when the time is over; each is returned once."""

    @abstractmethod
    def close(self) -> None:
        """End the workers."""

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@final
class Alone(Crew):
    """The process of the run, one task after another."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._task: Task | None = None

    def room(self) -> int:
        """One, until its outcome is taken."""
        return 1 if self._task is None else 0

    def give(self, task: Task) -> None:
        """Keep the task until :meth:`wait`."""
        self._task = task

    def wait(self, seconds: float) -> list[Outcome]:  # noqa: ARG002 - what was begun is finished
        """Compute the task."""
        if self._task is None:
            return []
        task, self._task = self._task, None
        return [settle(task, self._store)]

    def close(self) -> None:
        """There is nothing to end."""
