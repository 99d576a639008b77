"""Why a model misses what it misses: one reason per experiment, written down and held against the board by a test."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path

from dualtrace.source_map import read_yaml


@cache
def reasons(model: str) -> dict[str, str]:
    """Reasons of a model's misses by experiment; empty for a model of which none were written."""
    path = Path(str(resources.files("dualtrace") / "data" / "misses.yaml"))
    found: dict[str, str] = read_yaml(path).content.get(model, {})
    return found
