"""Agreement with metafor's GOSH on all subsets of the first rows of several data sets."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from stored_robustness import SETS, STORED, assert_close

from dualtrace.pooling.likelihood import Ints
from dualtrace.pooling.robustness.gosh import gosh


def by_subset(rows: npt.NDArray[Any]) -> Ints:
    """Order of subsets by the number their membership writes in binary."""
    order: Ints = np.argsort(rows.astype(int) @ (1 << np.arange(rows.shape[1])))
    return order


@pytest.mark.parametrize("stored", STORED["gosh"], ids=lambda c: f"{c['set']}-{c['method']}")
def test_reference_gosh_equals_metafor(stored: dict[str, Any]) -> None:
    theirs = np.array(stored["incl"])
    k = theirs.shape[1]
    rows = SETS[stored["set"]]
    v = rows["vi"][:k]
    mine = gosh(rows["yi"][:k], v, method=stored["method"])
    assert mine.complete
    assert len(mine.k) == len(theirs) == 2**k - 1
    tolerance = 1e-6 if stored["method"] in {"REML", "PM"} else 1e-8
    a, b = by_subset(mine.rows), by_subset(theirs)
    assert np.array_equal(mine.rows[a], theirs[b] == 1)
    sizes = {"QE": 1e-3, "I2": 100.0, "tau2": float(np.median(v))}
    for name in ("QE", "I2", "H2", "tau2"):
        values = getattr(mine, name)[a]
        expected = np.array(stored[name], dtype=float)[b]
        if name == "H2" and stored["method"] == "DL":
            expected = np.maximum(expected, 1.0)  # metafor gives Q/df even where DL's tau2 is cut off at 0
        assert_close(values, expected, tolerance, size=sizes.get(name, 1e-3))
    assert_close(
        mine.beta[a, 0], np.array(stored["estimate"], dtype=float)[b], tolerance, size=float(np.sqrt(min(v)))
    )


def test_reference_gosh_with_a_moderator_equals_metafor() -> None:
    """Subsets of two rows determine no heterogeneity around a line: both give nothing there."""
    stored = STORED["gosh_mods"]
    theirs = np.array(stored["incl"])
    rows = SETS["bcg_rr_ablat"]
    k = theirs.shape[1]
    mine = gosh(rows["yi"][:k], rows["vi"][:k], X=np.array(rows["X"])[:k], method="DL")
    a, b = by_subset(mine.rows), by_subset(theirs)
    assert np.array_equal(mine.rows[a], theirs[b] == 1)
    expected = np.array(stored["b1"], dtype=float)[b]
    assert np.array_equal(np.isnan(mine.beta[a, 1]), np.isnan(expected))
    assert_close(mine.beta[a, 1], expected, 1e-7, size=0.01)
    assert_close(mine.tau2[a], np.array(stored["tau2"], dtype=float)[b], 1e-7, size=0.01)
