"""Agreement with metafor's location-scale models.

metafor maximises numerically and takes its standard errors from a numerical Hessian, so alpha agrees to about the
square root of the precision it asks of its optimiser (1e-5 of a standard error) and errors to 1e-4. Whatever the
optimiser, our maximum must not be lower than metafor's.
"""

from typing import Any

import numpy as np
import pytest
from stored_robustness import SETS, STORED, assert_close

from dualtrace.pooling.location_scale import fit_location_scale

CASES = [
    pytest.param(c, id=f"{c['set']}-{c['method']}-{c['test']}-{c['optimizer']}-{i}")
    for i, c in enumerate(STORED["location_scale"])
]


@pytest.mark.parametrize("stored", CASES)
def test_reference_location_scale_equals_metafor(stored: dict[str, Any]) -> None:
    rows = SETS[stored["set"]]
    mine = fit_location_scale(
        rows["yi"], rows["vi"], stored["Z"], X=stored["X"], method=stored["method"], test=stored["test"]
    )
    assert mine.ll >= stored["ll"] - 1e-9
    if mine.ll > stored["ll"] + 1e-6 or mine.notes:
        return  # metafor stopped below the maximum, or there is none inside
    assert_close(mine.alpha, stored["alpha"], 1e-4, size=mine.se_alpha)
    assert_close(mine.se_alpha, stored["se_alpha"], 2e-4)
    assert_close(mine.beta, stored["beta"], 1e-4, size=mine.se)
    assert_close(mine.se, stored["se"], 1e-4)
    assert_close(mine.pval_alpha, stored["pval_alpha"], 1e-3, size=0.1)
    assert_close(mine.QM, stored["QM"], 1e-3, size=0.1)
    assert_close(mine.QS, stored["QS"], 1e-3, size=0.1)
    assert_close(mine.QSp, stored["QSp"], 1e-3, size=0.1)
    assert_close(mine.tau2, stored["tau2"], 1e-3)
    assert_close(mine.AICc, stored["AICc"], 1e-6)


def test_reference_most_fits_reach_the_same_maximum() -> None:
    agreed = 0
    for stored in STORED["location_scale"]:
        rows = SETS[stored["set"]]
        mine = fit_location_scale(rows["yi"], rows["vi"], stored["Z"], X=stored["X"], method=stored["method"])
        agreed += abs(mine.ll - stored["ll"]) < 1e-6
    assert agreed >= 0.8 * len(CASES)
    assert len(CASES) >= 20


def test_reference_an_intercept_alone_is_the_ordinary_model() -> None:
    from dualtrace.pooling.univariate import fit

    for name in ("bcg_rr_ablat", "raudenbush1985", "bangertdrowns2004_length"):
        rows = SETS[name]
        ones = np.ones((len(rows["yi"]), 1))
        for method in ("REML", "ML"):
            scale = fit_location_scale(rows["yi"], rows["vi"], ones, X=rows["X"], method=method)
            plain = fit(rows["yi"], rows["vi"], X=rows["X"], method=method)
            assert scale.tau2[0] == pytest.approx(plain.tau2, rel=1e-7)
            assert scale.ll == pytest.approx(plain.ll, abs=1e-10)
            assert scale.beta == pytest.approx(plain.beta, rel=1e-7)
