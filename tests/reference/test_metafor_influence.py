"""Agreement with metafor on deletion diagnostics, the Baujat plot and cumulative fits (tolerance 1e-6)."""

from typing import Any

import numpy as np
import pytest
from stored_robustness import SETS, STORED, assert_close

from dualtrace.pooling.robustness.influence import baujat, influence
from dualtrace.pooling.robustness.leave_out import cumulative

CASES = [pytest.param(c, id=f"{c['set']}-{c['test']}") for c in STORED["influence"]]
NAMES = {
    "rstudent": "rstudent",
    "dffits": "dffits",
    "cook_d": "cook.d",
    "cov_r": "cov.r",
    "tau2_del": "tau2.del",
    "QE_del": "QE.del",
    "hat": "hat",
    "weight": "weight",
}


@pytest.mark.parametrize("stored", CASES)
def test_reference_influence_equals_metafor(stored: dict[str, Any]) -> None:
    rows = SETS[stored["set"]]
    mine = influence(rows["yi"], rows["vi"], X=rows["X"], test=stored["test"])
    typical = float(np.median(rows["vi"]))
    sizes = {"tau2_del": typical, "cook_d": 0.01, "rstudent": 0.1, "dffits": 0.1}
    for name, theirs in NAMES.items():
        assert_close(getattr(mine, name), stored["inf"][theirs], 2e-6, size=sizes.get(name, 0.0))
    assert_close(mine.dfbs, np.array(stored["dfbs"], dtype=float), 2e-6, size=0.1)
    known = np.isfinite(np.array(stored["inf"]["cook.d"], dtype=float))
    assert mine.inf[known].tolist() == np.array(stored["flag"])[known].tolist()


@pytest.mark.parametrize("stored", [c for c in STORED["influence"] if "baujat" in c], ids=lambda c: c["set"])
def test_reference_baujat_equals_metafor(stored: dict[str, Any]) -> None:
    rows = SETS[stored["set"]]
    mine = baujat(rows["yi"], rows["vi"], X=rows["X"])
    assert_close(mine.heterogeneity, stored["baujat"]["x"], 2e-6, size=1.0)
    assert_close(mine.influence, stored["baujat"]["y"], 2e-6, size=0.01)


@pytest.mark.parametrize("name", STORED["cumulated"])
def test_reference_cumulative_fits_equal_metafor(name: str) -> None:
    rows, stored = SETS[name], STORED["cumulated"][name]
    mine = cumulative(rows["yi"], rows["vi"], order=rows["vi"], test="knha")
    assert_close(mine.beta[:, 0], stored["beta"], 1e-6, size=mine.se[:, 0])
    assert_close(mine.se[:, 0], stored["se"], 1e-6)
    assert_close(mine.pval[:, 0], stored["pval"], 1e-5)
    assert_close(mine.QE, stored["QE"], 1e-8)
    # one row alone: metafor says tau2 = 0, we say undefined
    assert np.isnan(mine.tau2[0])
    assert_close(mine.tau2[1:], stored["tau2"][1:], 1e-6, size=float(np.median(rows["vi"])))


def test_reference_holds_enough_fits() -> None:
    assert len({c["set"] for c in STORED["influence"]}) >= 15
    assert len(CASES) >= 30
