"""Laws of the runner: equal tasks have one key, tables survive the store, and where a task runs changes no byte."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dualtrace.runner import task as tasks
from dualtrace.runner.execute import run_tasks
from dualtrace.runner.store import Store
from dualtrace.runner.tables import checked, from_parquet, to_parquet
from dualtrace.runner.task import Task
from dualtrace.runner.workers import Workers
from runner_jobs import begun, draws

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
INPUTS = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        SCALARS | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)
NUMBERS = st.sampled_from(["f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", ">f8", ">i4"])
TEXTS = st.text(st.characters(codec="utf-8"), max_size=6).filter(lambda text: not text.endswith("\0"))


@settings(deadline=None, max_examples=50)
@given(INPUTS, st.integers(0, 2**63 - 1))
def test_a_task_read_back_from_its_own_json_has_the_same_key(inputs: dict[str, Any], seed: int) -> None:
    task = Task("package.module:name", inputs, seed)
    again = Task(**json.loads(json.dumps(task.plain())))
    assert again == task
    assert again.key == task.key


@settings(deadline=None, max_examples=50)
@given(INPUTS)
def test_the_key_does_not_depend_on_the_order_of_names(inputs: dict[str, Any]) -> None:
    turned = dict(reversed(inputs.items()))
    assert Task("m:f", turned, 1).key == Task("m:f", inputs, 1).key


def test_every_part_of_a_task_changes_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    base = Task("m:f", {"dose_mg": 50.0, "meals": ["light"]}, 1)
    others = [
        Task("m:g", {"dose_mg": 50.0, "meals": ["light"]}, 1),
        Task("m:f", {"dose_mg": 50.00000000000001, "meals": ["light"]}, 1),
        Task("m:f", {"dose_mg": 50, "meals": ["light"]}, 1),
        Task("m:f", {"dose_mg": 50.0, "meals": "light"}, 1),
        Task("m:f", {"dose_mg": 50.0, "meals": ["light"], "age": None}, 1),
        Task("m:f", {"dose_mg": 50.0, "meals": ["light"]}, 2),
    ]
    monkeypatch.setattr(tasks, "package_version", lambda: "0.0.0")
    others.append(Task("m:f", {"dose_mg": 50.0, "meals": ["light"]}, 1))
    monkeypatch.undo()
    monkeypatch.setattr(tasks, "FORMAT", 2)
    others.append(Task("m:f", {"dose_mg": 50.0, "meals": ["light"]}, 1))
    assert len({task.key for task in (base, *others)}) == 9


def test_spellings_of_one_input_have_one_key() -> None:
    plain = Task("m:f", {"rates": [0.5, 0.0], "n": 3, "yes": True}, 1)
    numpy = Task("m:f", {"rates": (np.float64(0.5), -0.0), "n": np.int32(3), "yes": np.True_}, 1)
    assert numpy.key == plain.key
    assert json.dumps(numpy.plain()) == json.dumps(plain.plain())


@settings(deadline=None)
@given(NUMBERS.flatmap(lambda kind: hnp.arrays(kind, st.integers(0, 9))))
def test_numbers_survive_parquet_bit_by_bit(array: NDArray[Any]) -> None:
    table = checked({"table": {"column": array}})["table"]
    (read,) = from_parquet(bytes(to_parquet(table))).values()
    assert read.dtype == array.dtype.newbyteorder("=")
    assert read.tobytes() == array.astype(read.dtype).tobytes()
    assert not read.flags.writeable


@settings(deadline=None)
@given(st.lists(TEXTS, max_size=9))
def test_text_survives_parquet(texts: list[str]) -> None:
    for array in (np.array(texts, dtype=object), np.array(texts, dtype=str)):
        table = checked({"table": {"column": array}})["table"]
        (read,) = from_parquet(bytes(to_parquet(table))).values()
        assert read.tolist() == texts


def stored(folder: Path) -> dict[str, bytes]:
    """Every file of a store."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_store_has_the_same_bytes_from_this_process_and_from_1_2_and_4_workers_and_dask(tmp_path: Path) -> None:
    log = tmp_path / "log"
    everywhere = (Workers(), Workers(1), Workers(2), Workers(4), Workers(2, cluster="local"))
    found = []
    for i, workers in enumerate(everywhere):
        folder = tmp_path / f"store{i}"
        run = run_tasks(draws(log, 6), Store.open(folder), workers=workers)
        assert run.computed == 6
        found.append(stored(folder))
    assert len(found[0]) == 1 + 6 * 3
    assert all(files == found[0] for files in found)
    assert begun(log) == sorted(list(range(6)) * len(everywhere))


@pytest.mark.parametrize("processes", [0, 2])
def test_results_are_read_in_the_order_of_the_tasks(processes: int, tmp_path: Path) -> None:
    tasks_ = draws(tmp_path / "log", 5)[::-1]
    run = run_tasks(tasks_, Store.open(tmp_path / "store"), workers=Workers(processes))
    expected = [np.random.default_rng(seed).normal(size=(40, 3)).mean(axis=1) for seed in (4, 3, 2, 1, 0)]
    for tables, mean in zip(run, expected, strict=True):
        np.testing.assert_array_equal(tables["people"]["mean"], mean)
