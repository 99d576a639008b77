"""Repository: files and functions stay small; error tests read the message; nothing is left unfinished."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "dualtrace"
FILE_LINES = 400
FUNCTION_LINES = 40


def python(*folders: str) -> list[Path]:
    return sorted(p for folder in folders for p in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", python("src", "benchmarks", "docs"), ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= FILE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if body:
                lines = (body[-1].end_lineno or 0) - body[0].lineno + 1
                assert lines <= FUNCTION_LINES, f"{node.name} has {lines} lines of code"


@pytest.mark.parametrize("path", python("tests"), ids=lambda p: p.name)
def test_every_error_test_reads_the_message(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.raises":
            assert any(keyword.arg == "match" for keyword in node.keywords), f"line {node.lineno}"


def test_nothing_is_left_unfinished() -> None:
    marks = re.compile("TO" + "DO|FIX" + "ME|XX" + "X|NotImplemented" + "Error")
    found = [p for p in python("src", "tests", "benchmarks") if marks.search(p.read_text(encoding="utf-8"))]
    assert not found
