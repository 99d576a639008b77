"""Claims on a task: of all processes that share a store, one computes it. The kernel ends a claim with its process.

A claim is an advisory lock (``flock``) on a file of its own. Whoever holds the lock removes the file, so that
a waiting process may have opened a file that is gone; it looks again.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from dualtrace.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path


def take(path: Path, *, wait: bool) -> int | None:
    """Lock a file, which appears when it is not there.

    Parameters
    ----------
    path
        The file, in a folder that exists.
    wait
        Whether to wait for another holder to end.

    Returns
    -------
    int or None
        A descriptor for :func:`release`; None when another holds the lock.

    Raises
    ------
    OSError
        The file cannot be made.
    StoreError
        The system has no such locks.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            held = _lock(descriptor, wait=wait)
            if held and _is_still(path, descriptor):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if not held:
            return None


def release(path: Path, descriptor: int) -> None:
    """Remove the file and end the lock, in this order: whoever waits for it then sees that the file is gone."""
    try:
        path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, *, wait: bool) -> bool:
    if sys.platform == "win32":
        raise StoreError("stored results need file locks of Linux or macOS; on Windows, run dualtrace within WSL")
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def _is_still(path: Path, descriptor: int) -> bool:
    """Whether the file of this name is the one that is locked."""
    try:
        named = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(named, os.fstat(descriptor))
