"""Contract: tasks, tables and workers that cannot be used are refused with a sentence that says where and what to do."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dualtrace import extras
from dualtrace.errors import InputError, RunError
from dualtrace.runner.execute import run_tasks
from dualtrace.runner.store import Store
from dualtrace.runner.tables import checked
from dualtrace.runner.task import Task
from dualtrace.runner.workers import Workers
from runner_jobs import draws

if TYPE_CHECKING:
    from pathlib import Path

CYCLE: dict[str, Any] = {}
CYCLE["again"] = CYCLE


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"a": {"b": [1, float("nan")]}}, r"must be finite; inputs\.a\.b\[1\] is nan"),
        ({"a": -np.inf}, r"must be finite; inputs\.a is -inf"),
        ({"a": np.zeros(3)}, r"inputs\.a is of type ndarray: give the result of its \.tolist\(\)"),
        ({"a": {1, 2}}, r"inputs\.a is of type set"),
        ({"a": {3: "x"}}, r"inputs\.a has the name 3"),
        ({"a": b"x"}, r"inputs\.a is of type bytes"),
        (CYCLE, "must not nest deeper than 50 levels"),
        ([1], "must be a mapping of names to values; given list"),
    ],
)
def test_inputs_that_are_not_json_are_refused_with_the_path_of_the_field(inputs: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Task("m:f", inputs, 1)


@pytest.mark.parametrize("function", ["f", "m.f", "m:", ":f", "m:f:g", "m:f.g", "m/x:f", "1m:f", "", None])
def test_a_function_that_is_not_named_by_module_and_name_is_refused(function: Any) -> None:
    with pytest.raises(InputError, match=r"must be named 'package.module:name'; given"):
        Task(function, {}, 1)


def test_a_function_of_a_script_is_refused() -> None:
    with pytest.raises(InputError, match="move it out of the script"):
        Task("__main__:f", {}, 1)


@pytest.mark.parametrize("seed", [-1, 2**63, 1.0, True, "1", None])
def test_a_seed_that_is_no_whole_number_in_range_is_refused(seed: Any) -> None:
    with pytest.raises(InputError, match=r"must be a whole number from 0 to 2\^63 - 1; given"):
        Task("m:f", {}, seed)


def test_a_task_cannot_be_changed_through_what_it_was_made_of() -> None:
    given = {"rates": [0.5]}
    task = Task("m:f", given, 1)
    given["rates"].append(0.7)
    task.plain()["inputs"]["rates"].append(0.9)
    assert task.plain()["inputs"] == {"rates": [0.5]}


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (None, "must return a mapping of names to tables, at least one; got NoneType"),
        ({}, "at least one; got an empty one"),
        ({"Bad name": {"x": np.zeros(1)}}, "lower-case letters, digits and underscores, 64 at most; got 'Bad name'"),
        ({"../x": {"x": np.zeros(1)}}, "lower-case letters, digits and underscores"),
        ({"t": np.zeros(3)}, "table t must be a mapping of column names to arrays, at least one; got ndarray"),
        ({"t": {}}, "table t must be a mapping of column names to arrays"),
        ({"t": {"": np.zeros(1)}}, "columns of table t must be named with text; got ''"),
        ({"t": {"x": np.zeros(2), "y": np.zeros(3)}}, "columns of table t must be of one length; got x 2, y 3"),
        ({"t": {"x": np.zeros((2, 2))}}, r"column t\.x must have one dimension; got shape \(2, 2\)"),
        ({"t": {"x": 1.0}}, r"column t\.x must have one dimension; got shape \(\)"),
        ({"t": {"x": np.zeros(1, "f2")}}, r"column t\.x must hold floats of 32 or 64 bits.*; got float16"),
        ({"t": {"x": np.zeros(1, complex)}}, r"column t\.x must hold .*; got complex128"),
        ({"t": {"x": np.zeros(1, "M8[s]")}}, r"column t\.x must hold .*; got datetime64\[s\]"),
        ({"t": {"x": np.array(["a", None], object)}}, r"column t\.x must hold text throughout; entry 1 is None"),
        ({"t": {"x": np.array(["\ud800"])}}, r"column t\.x must hold text of Unicode characters"),
        ({"t": {"x": np.array(["a\0"], object)}}, r"column t\.x must hold text .* that ends in no NUL; entry 0"),
        ({"t": {"x": np.ma.masked_array([1.0], [True])}}, r"column t\.x must not be a masked array"),
    ],
)
def test_results_that_are_not_tables_are_refused_with_table_and_column(tables: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        checked(tables)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"processes": -1}, "must be 0 or more; given -1"),
        ({"processes": 2.0}, "must be 0 or more; given 2.0"),
        ({"cluster": "local"}, "a local cluster needs at least 1 worker process; given 0"),
        ({"cluster": "10.0.0.5"}, "must be local or the address of a Dask scheduler.*; given '10.0.0.5'"),
        ({"cluster": "tcp://10.0.0.5:8786", "processes": 2}, "brings its own workers; given 2 processes"),
        ({"environment": {"XLA_FLAGS": "x"}}, "needs worker processes that the run starts itself"),
        ({"cluster": "tcp://h:1", "environment": {"A": "1"}}, "set the variables before it starts"),
        ({"processes": 1, "environment": {"A": 1}}, "must hold variables as text; given 'A': 1"),
        ({"processes": 1, "environment": {"A=B": "1"}}, "must hold variables as text; given 'A=B'"),
    ],
)
def test_workers_that_do_not_go_together_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Workers(**given)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("no_such_package.module:f", "there is no module no_such_package for no_such_package.module:f: install"),
        ("runner_jobs:no_such", "module runner_jobs has no function no_such"),
        ("runner_jobs:AT_IMPORT", "module runner_jobs has no function AT_IMPORT"),
        ("runner_jobs:nothing", "must return a mapping of names to tables, at least one; got int"),
    ],
)
def test_a_task_that_cannot_be_done_is_named_with_the_reason(function: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=rf"task {function} \(seed 3, [0-9a-f]{{12}}\) failed: .*{message}"):
        run_tasks([Task(function, {}, 3)], Store.open(tmp_path))


def test_without_dask_a_cluster_is_refused_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install 'dualtrace\[cluster\]'. Without a cluster, tasks run in"):
        run_tasks(draws(tmp_path / "log", 1), Store.open(tmp_path / "s"), workers=Workers(1, cluster="local"))


def test_the_runner_loads_neither_parquet_nor_dask_nor_jax_before_they_are_needed() -> None:
    code = (
        "import sys; import dualtrace.runner.execute, dualtrace.runner.store; "
        "print([name for name in ('pyarrow', 'distributed', 'dask', 'jax', 'pandas', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip() == "[]"
