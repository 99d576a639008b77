"""Repository: what the documents say is what the program says."""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from click import Context
from click.testing import CliRunner

from dualtrace.cli.main import cli
from dualtrace.evidence.lint import lint
from dualtrace.evidence.load import read_trial
from dualtrace.experiments.lint import lint as lint_experiments
from dualtrace.experiments.load import load_experiment
from dualtrace.experiments.notation import parse_design

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).parents[2]


def test_the_words_of_the_readme_figure_are_those_of_the_evidence() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"!\[([^]]*)\]\(docs/figures", readme)
    make = runpy.run_path(str(ROOT / "docs" / "make.py"))
    assert shown is not None
    assert shown[1] == re.sub(r"[\[\]]", "", make["alt"](make["headline"]())), "run python docs/make.py"


def test_the_python_of_the_readme_runs() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102 - our own document


def test_the_example_record_of_the_docs_is_a_good_record(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "adding_a_trial.md").read_text(encoding="utf-8")
    (record,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    path = tmp_path / "example2024.yaml"
    path.write_text(record, encoding="utf-8")
    assert lint([read_trial(path)]) == ()


def test_the_pooling_page_shows_what_its_commands_print(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "pooling.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"```csv\n(.*?)```", page, re.DOTALL)
    (shown,) = re.findall(r"```console\n(.*?)```", page, re.DOTALL)
    (tmp_path / "bcg.csv").write_text(table, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for block in shown.split("$ ")[1:]:
        command, *lines = block.splitlines()
        done = CliRunner().invoke(cli, shlex.split(command)[1:], catch_exceptions=False)
        assert done.exit_code == 0, command
        printed = {line.rstrip() for line in done.output.splitlines()}
        assert [line for line in lines if line not in printed] == [], command


def test_every_command_of_the_pooling_page_is_one() -> None:
    page = (ROOT / "docs" / "pooling.md").read_text(encoding="utf-8")
    commands = re.findall(r"\| `dualtrace ([^`]+)` \|", page)
    assert len(commands) > 8
    for command in commands:
        verb, *options = shlex.split(command)
        known = cli.get_command(Context(cli), verb)
        assert known is not None, verb
        names = {name for option in known.params for name in option.opts}
        assert not {word for word in options if word.startswith("--")} - names, command


def test_the_example_experiment_of_the_docs_is_a_good_one(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
    whole, lines = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    path = tmp_path / "my_renewal.yaml"
    path.write_text(whole, encoding="utf-8")
    assert lint_experiments([(path, load_experiment(path))]) == ()
    designs = re.findall(r'"(.+)"', lines)
    assert [len(parse_design(line)) for line in designs] == [3, 3]


def test_the_python_of_the_experiments_page_runs() -> None:
    text = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(code, "experiments.md", "exec"), {})  # noqa: S102 - our own document


def test_the_python_of_the_analysis_page_prints_what_the_page_shows(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / "analysis.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (shown,) = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    exec(compile(code, "analysis.md", "exec"), {})  # noqa: S102 - our own document
    assert capsys.readouterr().out == shown


def test_the_python_of_the_runner_page_does_what_the_page_says(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "runner.md").read_text(encoding="utf-8")
    module, script = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (tmp_path / "my_study.py").write_text(module, encoding="utf-8")
    (tmp_path / "script.py").write_text(script, encoding="utf-8")
    command = [sys.executable, "script.py"]
    first, second = (
        subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout  # noqa: S603
        for _ in range(2)
    )
    assert f"`{first.strip()}`" in re.sub(r"\s+", " ", text)
    assert second == first.replace("20 of 20", "0 of 20")
