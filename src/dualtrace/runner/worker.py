"""A worker process: ``python -m dualtrace.runner.worker DESCRIPTOR STORE`` takes tasks from a pipe until it closes.

When the process that started it dies, the pipe closes: the worker stores the result of the task in hand and ends.
"""

from __future__ import annotations

import json
import sys
from multiprocessing.connection import Connection
from pathlib import Path

from dualtrace.runner.settle import settle
from dualtrace.runner.store import Store
from dualtrace.runner.task import Task


def work(pipe: Connection, store: Store) -> None:
    """Settle tasks until the pipe closes."""
    while True:
        try:
            task = Task(**json.loads(pipe.recv_bytes()))
            pipe.send_bytes(settle(task, store).pack())
        except (EOFError, ConnectionError):
            return


if __name__ == "__main__":
    work(Connection(int(sys.argv[1])), Store(Path(sys.argv[2])))
