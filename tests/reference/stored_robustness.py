"""What metafor answered, stored by ``metafor/robustness.R``, and how answers are compared."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

FOLDER = Path(__file__).parent / "metafor"
SETS: dict[str, Any] = json.loads((FOLDER / "univariate.json").read_text(encoding="utf-8"))["sets"]
STORED: dict[str, Any] = json.loads((FOLDER / "robustness.json").read_text(encoding="utf-8"))


def assert_close(mine: ArrayLike, theirs: ArrayLike, tolerance: float, size: ArrayLike = 0.0) -> None:
    """Differences against the size of the quantity, or against ``size`` where the quantity may be near 0."""
    ours, other = (np.array(values, dtype=float) for values in (mine, theirs))
    undefined = np.isnan(other)
    allowed = tolerance * np.maximum(np.abs(other), size)
    good = undefined | (np.abs(ours - other) <= allowed)
    assert good.all(), f"ours {ours}, metafor {other}"
