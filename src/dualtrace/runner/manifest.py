"""What stands beside a stored result: the task, the versions that made it, and size and digest of every file."""

from __future__ import annotations

import hashlib
import json
import platform
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from dualtrace.errors import InputError, StoreError
from dualtrace.frozen import Frozen
from dualtrace.runner.task import FORMAT, Task, canonical, package_version

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

NAME = "manifest.json"
_MADE_WITH = ("numpy", "scipy", "jax", "pyarrow")


class StoredTable(Frozen):
    """One Parquet file of a result."""

    file: str
    bytes: int
    sha256: str
    rows: int
    columns: tuple[str, ...]


class Manifest(Frozen):
    """One stored result.

    Attributes
    ----------
    format
        Of the store.
    key
        Hash of the task; also the name of the folder.
    version
        Of dualtrace.
    function, inputs, seed
        The task.
    tables
        Files by the name of their table.
    made_with
        Versions of Python and of the libraries that numbers depend on; they are not part of the key.
    """

    format: int
    key: str
    version: str
    function: str
    inputs: dict[str, Any]
    seed: int
    tables: dict[str, StoredTable]
    made_with: dict[str, str]

    def text(self) -> str:
        """JSON for a reader, with a digest of itself, by which an edit is noticed."""
        content = self.model_dump(mode="json")
        return json.dumps({**content, "digest": _digest(content)}, indent=2, allow_nan=False) + "\n"


def manifest_of(
    task: Task, tables: Mapping[str, Mapping[str, NDArray[Any]]], files: Mapping[str, memoryview]
) -> Manifest:
    """Return the manifest of checked tables and their Parquet bytes."""
    stored = {
        name: StoredTable(
            file=f"{name}.parquet",
            bytes=files[name].nbytes,
            sha256=sha256(files[name]),
            rows=len(next(iter(table.values()))),
            columns=tuple(table),
        )
        for name, table in tables.items()
    }
    return Manifest(
        format=FORMAT,
        key=task.key,
        version=package_version(),
        **task.plain(),
        tables=stored,
        made_with=dict(_versions()),
    )


def read_manifest(path: Path, task: Task) -> Manifest:
    """Read the manifest of a task's result, and hold it against the task.

    Raises
    ------
    StoreError
        It cannot be read, was edited, or belongs to another task.
    OSError
        The disk failed; ``FileNotFoundError`` when there is none.
    """
    try:
        content = json.loads(path.read_bytes())
        digest = content.pop("digest")
        manifest = Manifest.model_validate(content)
    except (ValueError, ValidationError, KeyError, AttributeError, TypeError, RecursionError):
        raise damaged(path, "cannot be read as a manifest") from None
    if digest != _digest(content):
        raise damaged(path, "was changed after it was written")
    if manifest.key != task.key or not _is_of(manifest, task):
        raise damaged(path, f"belongs to another task than {task}")
    return manifest


def damaged(path: Path, what: str) -> StoreError:
    """Say that a file of a stored result is damaged, and what to do."""
    return StoreError(f"{path} {what}; delete the folder {path.parent} and run again: its result is computed anew")


def sha256(content: bytes | memoryview) -> str:
    """Return the SHA-256 digest in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


@cache
def _versions() -> tuple[tuple[str, str], ...]:
    return (("python", platform.python_version()), *((name, version(name)) for name in _MADE_WITH))


def _digest(content: Any) -> str:  # noqa: ANN401 - what JSON holds
    return sha256(canonical(content).encode())


def _is_of(manifest: Manifest, task: Task) -> bool:
    try:
        return Task(manifest.function, manifest.inputs, manifest.seed) == task
    except InputError:
        return False
