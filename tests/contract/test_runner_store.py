"""Contract: a store keeps what it was given; what is foreign, damaged or full is refused with a sentence."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from dualtrace.errors import StoreError
from dualtrace.runner.execute import run_tasks
from dualtrace.runner.store import MARKER, Store
from dualtrace.runner.task import Task
from runner_jobs import begun, draws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dualtrace.runner.execute import Run

LARGE = 1_000_000


@pytest.fixture
def done(tmp_path: Path) -> Run:
    """Two tasks whose results are stored."""
    return run_tasks(draws(tmp_path / "log", 2), Store.open(tmp_path / "store"))


def test_what_is_stored_is_there_when_the_store_is_opened_again(done: Run) -> None:
    again = Store.open(done.store.path)
    tables = again.get(done.tasks[1])
    assert tables is not None
    np.testing.assert_array_equal(tables["people"]["mean"], done[1]["people"]["mean"])
    assert again.get(Task("runner_jobs:draw", {}, 7)) is None


def test_a_stored_result_says_what_made_it(done: Run) -> None:
    task = done.tasks[1]
    manifest = json.loads((done.store.folder_of(task) / "manifest.json").read_text(encoding="utf-8"))
    assert {name: manifest[name] for name in ("function", "inputs", "seed", "key")} == {
        **task.plain(),
        "key": task.key,
    }
    assert manifest["tables"]["people"]["rows"] == 40
    assert manifest["tables"]["people"]["columns"] == ["mean", "first", "count", "helped", "label"]
    assert manifest["made_with"]["numpy"] == np.__version__


def test_a_second_run_computes_nothing_and_equal_tasks_are_computed_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    store = Store.open(tmp_path / "store")
    first = run_tasks([*draws(log, 3), *draws(log, 3)], store)
    second = run_tasks(draws(log, 3), store)
    assert (first.computed, len(first), second.computed) == (3, 6, 0)
    assert begun(log) == [0, 1, 2]
    np.testing.assert_array_equal(first[5]["people"]["mean"], second[2]["people"]["mean"])


def test_progress_tells_every_task(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    store = Store.open(tmp_path / "store")
    run_tasks(draws(tmp_path / "log", 2), store)
    run_tasks(draws(tmp_path / "log", 4), store, progress=lambda done, total, _: told.append((done, total)))
    assert told == [(2, 4), (3, 4), (4, 4)]


def truncate(folder: Path) -> None:
    file = folder / "people.parquet"
    file.write_bytes(file.read_bytes()[:-10])


def flip(folder: Path) -> None:
    file = folder / "people.parquet"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def edit(folder: Path) -> None:
    file = folder / "manifest.json"
    file.write_text(file.read_text(encoding="utf-8").replace('"seed": 1', '"seed": 2'), encoding="utf-8")


def edit_digest(folder: Path) -> None:
    file = folder / "manifest.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    content["tables"]["people"]["rows"] = 41
    file.write_text(json.dumps(content), encoding="utf-8")


def cut(folder: Path) -> None:
    file = folder / "manifest.json"
    file.write_text(file.read_text(encoding="utf-8")[:100], encoding="utf-8")


def scribble(folder: Path) -> None:
    (folder / "manifest.json").write_text('["not", "a", "manifest"]', encoding="utf-8")


def swap(folder: Path) -> None:
    (other,) = [found for found in folder.parents[1].glob("*/*") if found != folder]
    shutil.copytree(other, folder, dirs_exist_ok=True)


def lose_table(folder: Path) -> None:
    (folder / "covariance.parquet").unlink()


def lose_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, r"people\.parquet must have \d+ bytes and has \d+; delete the folder"),
        (flip, r"people\.parquet was changed after it was written; delete the folder"),
        (edit, r"manifest\.json was changed after it was written; delete the folder"),
        (edit_digest, r"manifest\.json was changed after it was written"),
        (cut, r"manifest\.json cannot be read as a manifest; delete the folder"),
        (scribble, r"manifest\.json cannot be read as a manifest"),
        (swap, r"manifest\.json belongs to another task than runner_jobs:draw \(seed 1"),
        (lose_table, r"covariance\.parquet is missing; delete the folder"),
        (lose_manifest, r"manifest\.json is missing; delete the folder"),
    ],
)
def test_a_damaged_result_is_refused_and_computed_anew_once_its_folder_is_deleted(
    done: Run, damage: Callable[[Path], None], message: str
) -> None:
    expected = done[1]["people"]["mean"]
    folder = done.store.folder_of(done.tasks[1])
    damage(folder)
    with pytest.raises(StoreError, match=message) as refused:
        run_tasks(done.tasks, done.store)[1]
    assert f"delete the folder {folder} and run again" in str(refused.value)
    shutil.rmtree(folder)
    again = run_tasks(done.tasks, done.store)
    assert again.computed == 1
    np.testing.assert_array_equal(again[1]["people"]["mean"], expected)


def test_a_result_that_was_removed_is_said_to_be(done: Run) -> None:
    shutil.rmtree(done.store.folder_of(done.tasks[0]))
    with pytest.raises(StoreError, match=r"result of task runner_jobs:draw \(seed 0, .*was removed .*run again"):
        done[0]


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("dear", encoding="utf-8")
    with pytest.raises(StoreError, match=r"new or empty folder; .* holds thesis\.tex: give another path"):
        Store.open(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"stored in a folder; .* is a file: give another path"):
        Store.open(tmp_path / "file")
    with pytest.raises(StoreError, match=r"must be read from and written to .*, which failed \(Not a directory"):
        Store.open(tmp_path / "file" / "store")


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ('{"kind": "results of dualtrace tasks", "format": 99}', "must be a store of format 1 and is of format 99"),
        ('{"kind": "zarr", "format": 1}', "must mark a folder of dualtrace results and does not"),
        ('{"kind": ', "must mark a folder of dualtrace results and does not"),
        ("", "must mark a folder of dualtrace results and does not"),
    ],
)
def test_a_store_of_another_kind_or_format_is_refused(marker: str, message: str, tmp_path: Path) -> None:
    (tmp_path / MARKER).write_text(marker, encoding="utf-8")
    with pytest.raises(StoreError, match=message):
        Store.open(tmp_path)


def test_a_store_whose_making_was_cut_short_can_be_made(tmp_path: Path) -> None:
    (tmp_path / f".{MARKER}.123").write_text("{", encoding="utf-8")
    assert run_tasks(draws(tmp_path.parent / "log", 1), Store.open(tmp_path)).computed == 1


def test_leftovers_of_killed_writers_are_swept_and_those_at_work_are_not(done: Run) -> None:
    unfinished = done.store.path / "unfinished"
    dead, alive = draws(Path("x"), 2)
    for task in (dead, alive):
        (unfinished / task.key).mkdir()
        (unfinished / task.key / "people.parquet").write_bytes(b"PAR1")
    with done.store.claim(alive):
        Store.open(done.store.path)
        assert [entry.name for entry in unfinished.iterdir()] == [alive.key]
    Store.open(done.store.path)
    assert list(unfinished.iterdir()) == []


def test_a_claim_is_held_by_one_and_free_after(done: Run) -> None:
    task = draws(Path("x"), 1)[0]
    with done.store.claim(task) as first, done.store.claim(task) as second:
        assert (first, second) == (True, False)
    with done.store.claim(task) as third:
        assert third is True
    assert list((done.store.path / "claims").iterdir()) == []


FULL = """
import resource, sys
from dualtrace.errors import StoreError
from dualtrace.runner.execute import run_tasks
from dualtrace.runner.store import Store
from dualtrace.runner.task import Task
from dualtrace.runner.workers import Workers
if {limit}:
    resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
tasks = [Task("runner_jobs:large", {{"bytes": size}}, 1) for size in (8000, 16000, {large})]
try:
    run_tasks(tasks, Store.open(sys.argv[1]), workers=Workers({processes}))
except StoreError as error:
    print(error)
"""


def fill(folder: Path, processes: int, limit: int) -> str:
    """What a run says that has no room for its third result."""
    code = FULL.format(limit=limit, large=LARGE, processes=processes)
    command = [sys.executable, "-c", code, str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout  # noqa: S603


def check_that_a_full_disk_lost_nothing(folder: Path, said: str) -> None:
    assert f"there is no room to write results to {folder}" in said
    assert "results stored before are kept: make room, then run again" in said
    store = Store.open(folder)
    tasks = [Task("runner_jobs:large", {"bytes": size}, 1) for size in (8000, 16000, LARGE)]
    assert [store.has(task) for task in tasks] == [True, True, False]
    assert list((folder / "unfinished").iterdir()) == []
    tables = store.get(tasks[1])
    assert tables is not None
    np.testing.assert_array_equal(tables["bytes"]["value"], np.random.default_rng(1).random(2000))


@pytest.mark.parametrize("processes", [0, 1])
def test_where_a_file_may_not_grow_the_run_says_so_and_goes_on_later(processes: int, tmp_path: Path) -> None:
    folder = tmp_path / "store"
    check_that_a_full_disk_lost_nothing(folder, fill(folder, processes, limit=100_000))
    tasks = [Task("runner_jobs:large", {"bytes": size}, 1) for size in (8000, 16000, LARGE)]
    assert run_tasks(tasks, Store.open(folder)).computed == 1


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 300 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    made = mount and subprocess.run(  # noqa: S603
        [mount, "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if not made or made.returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)  # noqa: S603, S607


def test_on_a_full_disk_the_run_says_so_and_goes_on_when_there_is_room(tiny_disk: Path) -> None:
    folder = tiny_disk / "store"
    check_that_a_full_disk_lost_nothing(folder, fill(folder, 1, limit=0))
    subprocess.run(["mount", "-o", "remount,size=4m", str(tiny_disk)], check=True)  # noqa: S603, S607
    tasks = [Task("runner_jobs:large", {"bytes": size}, 1) for size in (8000, 16000, LARGE)]
    assert run_tasks(tasks, Store.open(folder)).computed == 1


def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        folder = Path("/proc/dualtrace-store")
        with pytest.raises(StoreError, match=f"read from and written to {folder}, which failed"):
            Store.open(folder)
        return
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match=r"which is not allowed .*; give another folder"):
        Store.open(tmp_path / "store")
