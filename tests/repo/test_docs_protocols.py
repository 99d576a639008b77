"""Repository: the page on protocols says what the program says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dualtrace.errors import EvidenceError
from dualtrace.simulation.load import parse_protocol
from dualtrace.simulation.rule_tree import NAMES

PAGE = (Path(__file__).parents[2] / "docs" / "protocols.md").read_text(encoding="utf-8")


def test_the_example_of_the_page_is_a_good_protocol() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert parse_protocol(example).ratio == (2, 1)
    (refused,) = re.findall(r"```text\n(.*?)\n```", PAGE, re.DOTALL)
    with pytest.raises(EvidenceError, match=re.escape(refused)):
        parse_protocol(example.replace("dose_mg: 50", "dose_mg: -5").replace("id: my_trial", "id: x"), "trial.yaml")


def test_the_python_of_the_page_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 3
    for code in blocks:
        exec(compile(code, "protocols.md", "exec"), {})  # noqa: S102 - our own document


def test_the_names_of_rules_on_the_page_are_those_of_the_language() -> None:
    table = dict(re.findall(r"^\| `([a-z_]+)` \| (.+?) \|$", PAGE, re.MULTILINE))
    assert {name: table.get(name) for name in NAMES} == {name: meaning for name, (_, meaning) in NAMES.items()}
