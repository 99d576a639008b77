"""Repository: what the documents say is what the program says."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

from dualtrace.evidence.lint import lint
from dualtrace.evidence.load import read_trial

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
