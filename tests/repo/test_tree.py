"""Repository: ARCHITECTURE.md shows the tree on disk; configuration names what exists; pins are complete."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "dualtrace"


def drawn_tree() -> set[str]:
    """Paths of the first fenced block of ARCHITECTURE.md, relative to src/dualtrace."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    block = text.split("```")[1]
    paths: set[str] = set()
    folders: list[str] = []
    for line in block.splitlines()[1:]:
        match = re.match(r"^( *)(\S+)", line)
        if not match or not match[1]:
            continue
        depth = len(match[1]) // 2 - 1
        name = match[2]
        folders = folders[:depth]
        if name.endswith("/"):
            folders.append(name.rstrip("/"))
        else:
            paths.add("/".join([*folders, name]))
    return paths


def test_the_architecture_shows_every_module_and_no_other() -> None:
    on_disk = {str(p.relative_to(SOURCE)) for p in SOURCE.rglob("*.py") if p.name != "__init__.py"}
    drawn = {path for path in drawn_tree() if path.endswith(".py")}
    assert drawn == on_disk, f"missing: {sorted(on_disk - drawn)}; gone: {sorted(drawn - on_disk)}"


def test_every_path_named_in_the_configuration_exists() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    tools = config["tool"]
    named = [
        *tools["ruff"]["src"],
        *tools["mypy"]["files"],
        *tools["pytest"]["ini_options"]["testpaths"],
        *tools["hatch"]["build"]["targets"]["wheel"]["packages"],
        *(pattern.split("/*")[0] for pattern in tools["ruff"]["lint"]["per-file-ignores"]),
    ]
    assert not [path for path in named if not (ROOT / path).exists()]


def test_every_dependency_is_pinned_and_no_address_is_written() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert "http" not in text
    pinned = {m[1].lower().replace("_", "-") for m in re.finditer(r"^([\w.-]+)==", text, re.MULTILINE)}
    wanted = config["project"]["dependencies"] + config["project"]["optional-dependencies"]["dev"]
    names = {re.match(r"[\w.-]+", spec)[0].lower().replace("_", "-") for spec in wanted}  # type: ignore[index]
    assert names <= pinned, sorted(names - pinned)


def test_ci_runs_the_test_command_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "sh tests/run.sh" in readme
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1] == "exec sh tests/run.sh"


def test_the_readme_names_files_that_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!http)([^)#]+)\)", readme)
    assert links
    assert not [link for link in links if not (ROOT / link).exists()]
