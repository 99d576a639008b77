"""Files that are whole or absent after any crash, and what a disk may answer, as sentences."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dualtrace.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn what the disk answers about a store into a sentence.

    Raises
    ------
    StoreError
        The disk is full, writing is not allowed, or the operation failed otherwise.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(_sentence(path, error)) from error


def _sentence(path: Path, error: OSError) -> str:
    said = error.strerror or str(error)
    if error.errno in _FULL:
        return (
            f"there is no room to write results to {path} ({said}); results stored before are kept: make room, then "
            "run again to go on from there"
        )
    if error.errno in _FORBIDDEN:
        return f"results must be written to {path}, which is not allowed ({said}); give another folder"
    return f"results must be read from and written to {path}, which failed ({said}: {error.filename or path})"


def write_synced(path: Path, content: bytes | memoryview) -> None:
    """Write a new file and wait until the disk holds it.

    Raises
    ------
    OSError
        The file exists, or it cannot be written.
    """
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Wait until the disk holds the names in a folder, where the file system can say so.

    Raises
    ------
    OSError
        The folder cannot be opened, or the disk failed.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems know no sync of folders.
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)
