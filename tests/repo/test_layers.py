"""Repository: imports run one way, and no numerical folder draws or prints."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "dualtrace"

MAY_IMPORT = {
    "errors": set(),
    "frozen": set(),
    "extras": {"errors"},
    "columns": {"errors"},
    "printed": set(),
    "source_map": {"errors", "frozen"},
    "evidence": {"errors", "frozen", "source_map"},
    "effects": {"errors", "source_map", "evidence"},
    "pooling": {"errors", "extras", "printed", "evidence", "effects"},
    "analysis": {"errors", "printed"},
    "mechanism": {"errors", "frozen", "columns", "source_map"},
    "experiments": {"errors", "frozen", "extras", "columns", "source_map", "mechanism"},
    "runner": {"errors", "frozen", "extras"},
    "simulation": {
        "errors",
        "frozen",
        "extras",
        "printed",
        "source_map",
        "evidence",
        "effects",
        "mechanism",
        "analysis",
        "runner",
    },
    "calibration": {"errors", "frozen", "extras", "evidence", "effects", "mechanism", "runner", "simulation"},
    "report": {
        "errors",
        "evidence",
        "effects",
        "pooling",
        "analysis",
        "mechanism",
        "experiments",
        "simulation",
        "calibration",
    },
    "cli": {
        "errors",
        "columns",
        "printed",
        "evidence",
        "effects",
        "pooling",
        "analysis",
        "mechanism",
        "experiments",
        "runner",
        "simulation",
        "calibration",
        "report",
    },
}
"""Which parts of the package each part may import, itself aside."""

DRAWING = {"matplotlib", "PIL", "jinja2", "markupsafe", "typst", "rich", "click"}
MAY_DRAW = {"report", "cli"}


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def part(path: Path) -> str:
    relative = path.relative_to(SOURCE).parts
    return relative[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_run_one_way(path: Path) -> None:
    own = part(path)
    if own == "__init__":
        return
    assert own in MAY_IMPORT, f"{own} is not in the import rule; add it there and to ARCHITECTURE.md"
    for name in imported(path):
        if name.startswith("dualtrace.") and (other := name.split(".")[1]) != own:
            assert other in MAY_IMPORT[own], f"{path.name} ({own}) imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_only_report_and_cli_draw_or_print(path: Path) -> None:
    if part(path) in MAY_DRAW:
        return
    assert not {name.split(".")[0] for name in imported(path)} & DRAWING
    calls = [n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Call)]
    assert not [c for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"]


def test_the_import_rule_of_the_test_is_the_one_of_the_architecture() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    for own, others in MAY_IMPORT.items():
        names = ", ".join(f"`{other}`" for other in MAY_IMPORT if other in others) or "nothing"
        assert f"| `{own}` | {names} |" in text, f"ARCHITECTURE.md must say: | `{own}` | {names} |"
