"""The stored coverage table comes back from a fresh simulation with other random numbers."""

import runpy
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


def cells(page: str) -> dict[str, list[float]]:
    """Coverage by name of the interval."""
    lines = [line.strip("|").split("|") for line in page.splitlines() if line.startswith("| ")][1:]
    return {line[0].strip(): [float(cell) for cell in line[1:]] for line in lines}


@pytest.mark.slow
def test_recovery_of_the_stored_coverage_table() -> None:
    """Differences within four Monte Carlo standard errors of both simulations, in each of 180 cells."""
    stored = cells((ROOT / "docs" / "coverage.md").read_text(encoding="utf-8"))
    fresh = cells(runpy.run_path(str(ROOT / "benchmarks" / "coverage.py"))["page"](1000, 77))
    assert list(stored) == list(fresh)
    for name, values in stored.items():
        share = np.clip(np.array(values), 1.0, 99.5)
        error = np.sqrt(share * (100.0 - share) * (1 / 4000 + 1 / 1000))
        assert np.all(np.abs(np.array(fresh[name]) - values) <= 4.0 * error), name
