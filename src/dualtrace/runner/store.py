"""A folder of results by hash. A result is there as a whole or not at all, whenever a writer dies.

::

    FOLDER/dualtrace-store.json                marks the folder and its format
    FOLDER/results/0f/0f1e.../manifest.json    one folder per result, named by the hash of its task
    FOLDER/results/0f/0f1e.../NAME.parquet     one file per table
    FOLDER/claims/, FOLDER/unfinished/         locks, and what is being written

A result is written beside the others, synced, and put in place by renaming its folder, which is atomic.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from dualtrace.errors import StoreError
from dualtrace.runner import manifest as manifests
from dualtrace.runner.claims import release, take
from dualtrace.runner.disk import sync_folder, told, write_synced
from dualtrace.runner.manifest import damaged, manifest_of, read_manifest
from dualtrace.runner.tables import checked, from_parquet, to_parquet
from dualtrace.runner.task import FORMAT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from dualtrace.runner.manifest import Manifest, StoredTable
    from dualtrace.runner.tables import Tables
    from dualtrace.runner.task import Task

MARKER = "dualtrace-store.json"
_KIND = "results of dualtrace tasks"
_BEING_MADE = f".{MARKER}."


@final
@dataclass(frozen=True, slots=True)
class Store:
    """Results on disk; several processes may use one store at once. Made by :meth:`open`."""

    path: Path

    @classmethod
    def open(cls, path: Path | str) -> Store:
        """Open a store, or make one in a new or empty folder; leftovers of killed writers are swept.

        Raises
        ------
        StoreError
            The path is a file, a folder that holds something else, or a store of another format; or the disk refuses.
        """
        folder = Path(path).absolute()
        with told(folder):
            if folder.exists() and not folder.is_dir():
                raise StoreError(f"results are stored in a folder; {folder} is a file: give another path")
            folder.mkdir(parents=True, exist_ok=True)
            if not (folder / MARKER).exists():
                _mark(folder)
            _check_marker(folder / MARKER)
            for name in ("results", "claims", "unfinished"):
                (folder / name).mkdir(exist_ok=True)
            store = cls(folder)
            store._sweep()
        return store

    def folder_of(self, task: Task) -> Path:
        """Where the result of a task lies, or will."""
        return self.path / "results" / task.key[:2] / task.key

    def has(self, task: Task) -> bool:
        """Whether the result of a task is stored; its files are looked at, not read.

        Raises
        ------
        StoreError
            The result is damaged: names the file and what to do.
        """
        with told(self.path):
            manifest = self._manifest(task)
            if manifest is None:
                return False
            for stored in manifest.tables.values():
                self._check_size(task, stored)
        return True

    def get(self, task: Task) -> dict[str, dict[str, NDArray[Any]]] | None:
        """Return the tables of a task as read-only arrays, or None when its result is not stored.

        Raises
        ------
        StoreError
            The result is damaged: names the file and what to do.
        """
        with told(self.path):
            manifest = self._manifest(task)
            if manifest is None:
                return None
            return {name: self._read(task, stored) for name, stored in manifest.tables.items()}

    def put(self, task: Task, tables: Tables) -> None:
        """Store the result of a task; one that is there already stays. Waits for a process that has claimed the task.

        Raises
        ------
        InputError
            The tables are not :data:`~dualtrace.runner.tables.Tables`.
        StoreError
            The disk is full or refuses; what was stored before stays.
        """
        with self.claim(task, wait=True):
            self.put_claimed(task, tables)

    def put_claimed(self, task: Task, tables: Tables) -> None:
        """Store the result of a task that this process has claimed; else as :meth:`put`.

        Raises
        ------
        InputError
            The tables are not :data:`~dualtrace.runner.tables.Tables`.
        StoreError
            The disk is full or refuses; what was stored before stays.
        """
        content = checked(tables)
        files = {name: to_parquet(table) for name, table in content.items()}
        manifest = manifest_of(task, content, files)
        with told(self.path):
            self._write(task, manifest, files)

    @contextmanager
    def claim(self, task: Task, *, wait: bool = False) -> Iterator[bool]:
        """Claim a task for as long as the block runs; yields False when another process has it.

        The claim ends with the process that holds it, however that ends.

        Raises
        ------
        StoreError
            The disk is full or refuses, or the system has no file locks.
        """
        path = self.path / "claims" / task.key
        with told(self.path):
            descriptor = take(path, wait=wait)
        try:
            yield descriptor is not None
        finally:
            if descriptor is not None:
                release(path, descriptor)

    def _manifest(self, task: Task) -> Manifest | None:
        path = self.folder_of(task) / manifests.NAME
        try:
            return read_manifest(path, task)
        except FileNotFoundError:
            if path.parent.exists():
                raise damaged(path, "is missing") from None
            return None

    def _check_size(self, task: Task, stored: StoredTable) -> Path:
        path = self.folder_of(task) / stored.file
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            raise damaged(path, "is missing") from None
        if size != stored.bytes:
            raise damaged(path, f"must have {stored.bytes} bytes and has {size}")
        return path

    def _read(self, task: Task, stored: StoredTable) -> dict[str, NDArray[Any]]:
        path = self._check_size(task, stored)
        content = path.read_bytes()
        if manifests.sha256(content) != stored.sha256:
            raise damaged(path, "was changed after it was written")
        return from_parquet(content)

    def _write(self, task: Task, manifest: Manifest, files: dict[str, memoryview]) -> None:
        draft, place = self.path / "unfinished" / task.key, self.folder_of(task)
        # Only the holder of the claim is here, so what lies there was left by one that was killed.
        shutil.rmtree(draft, ignore_errors=True)
        try:
            draft.mkdir()
            for name, content in files.items():
                write_synced(draft / manifest.tables[name].file, content)
            write_synced(draft / manifests.NAME, manifest.text().encode())
            sync_folder(draft)
            if not place.parent.exists():
                place.parent.mkdir(exist_ok=True)
                sync_folder(place.parent.parent)
            _rename(draft, place)
            sync_folder(place.parent)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _sweep(self) -> None:
        """Remove what killed processes left; what is claimed is being written and stays."""
        folders = (self.path / "unfinished", self.path / "claims")
        for name in {entry.name for folder in folders for entry in folder.iterdir()}:
            path = self.path / "claims" / name
            descriptor = take(path, wait=False)
            if descriptor is not None:
                shutil.rmtree(self.path / "unfinished" / name, ignore_errors=True)
                release(path, descriptor)


def _rename(draft: Path, place: Path) -> None:
    try:
        draft.rename(place)
    except OSError as error:
        # The result is there already: equal, as it has the same key.
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise


def _mark(folder: Path) -> None:
    """Mark an empty folder as a store. Processes that do so at once write the same bytes."""
    names = {entry.name for entry in folder.iterdir()}
    if MARKER in names:
        return
    if foreign := sorted(name for name in names if not name.startswith(_BEING_MADE)):
        raise StoreError(
            f"results are stored in a new or empty folder; {folder} holds {foreign[0]}: give another path"
        )
    draft = folder / f"{_BEING_MADE}{os.getpid()}"
    draft.unlink(missing_ok=True)
    write_synced(draft, (json.dumps({"kind": _KIND, "format": FORMAT}) + "\n").encode())
    draft.replace(folder / MARKER)
    sync_folder(folder)


def _check_marker(path: Path) -> None:
    try:
        marker = json.loads(path.read_bytes())
        kind, format_ = marker["kind"], marker["format"]
    except (ValueError, KeyError, TypeError, RecursionError):
        kind, format_ = None, None
    if kind != _KIND:
        raise StoreError(f"{path} must mark a folder of dualtrace results and does not; give another folder")
    if format_ != FORMAT:
        raise StoreError(
            f"{path.parent} must be a store of format {FORMAT} and is of format {format_}: use the version of "
            "dualtrace that made it, or give another folder"
        )
