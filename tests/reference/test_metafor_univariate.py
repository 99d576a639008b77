"""Agreement with metafor (R) on stored fits; script and versions are in ``metafor/``.

Tolerances: 1e-8 relative for closed forms (equal effects, DerSimonian-Laird), 1e-6 for estimates that metafor
finds by iteration. Differences are measured against the size of the quantity, or against the standard error
where the quantity itself may be near 0.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike

from dualtrace.pooling.contract import Pooled, Tau2Method, TestName
from dualtrace.pooling.robustness.leave_out import leave_one_out
from dualtrace.pooling.univariate import fit, predict

STORED = json.loads((Path(__file__).parent / "metafor" / "univariate.json").read_text(encoding="utf-8"))
SETS: dict[str, Any] = STORED["sets"]
CASES = [
    pytest.param(name, answer, id=f"{name}-{answer['method']}-{answer['test']}")
    for name, stored in SETS.items()
    for answer in stored["fits"]
]


def ours(name: str, method: Tau2Method, test: TestName) -> Pooled:
    stored = SETS[name]
    names = np.atleast_1d(stored["names"]).tolist()
    return fit(stored["yi"], stored["vi"], X=stored["X"], names=names, method=method, test=test)


def assert_close(mine: ArrayLike, theirs: ArrayLike, tolerance: float, size: ArrayLike = 0.0) -> None:
    ours_, theirs_ = (np.atleast_1d(np.array(values, dtype=float)) for values in (mine, theirs))
    allowed = tolerance * np.maximum(np.abs(theirs_), size)
    assert np.all(np.abs(ours_ - theirs_) <= allowed), f"ours {ours_}, metafor {theirs_}"


@pytest.mark.parametrize(("name", "answer"), CASES)
def test_reference_fit_equals_metafor(name: str, answer: dict[str, Any]) -> None:
    mine = ours(name, answer["method"], answer["test"])
    closed = answer["method"] in {"EE", "DL"}
    tolerance = 1e-8 if closed else 1e-6
    # variances of the rows set the scale on which tau2 is known when it is small
    typical = float(np.median(SETS[name]["vi"]))
    for key in ("beta", "ci_lb", "ci_ub"):
        assert_close(getattr(mine, key), answer[key], tolerance, size=mine.se)
    assert_close(mine.se, answer["se"], tolerance)
    assert_close(mine.zval, answer["zval"], tolerance, size=1.0)
    # a p value in the far tail magnifies the error of its statistic by about z²
    assert_close(mine.pval, answer["pval"], tolerance * (1.0 + float(np.max(mine.zval**2))), size=1e-300)
    assert_close(mine.tau2, answer["tau2"], tolerance, size=typical)
    if answer["se_tau2"] is not None:
        assert_close(mine.se_tau2, answer["se_tau2"], tolerance)
    assert_close(mine.I2, answer["I2"], tolerance, size=100.0)
    assert_close(mine.H2, answer["H2"], tolerance)
    assert_close(mine.QE, answer["QE"], 1e-8)
    assert_close(mine.QEp, answer["QEp"], 1e-7 * (1.0 + mine.QE), size=1e-300)
    assert_close(mine.QM, answer["QM"], tolerance, size=1.0)
    assert_close(mine.QMp, answer["QMp"], tolerance * (1.0 + mine.QM), size=1e-300)
    assert mine.QM_df == answer["QM_df"]
    assert_close(mine.ll, answer["ll"], tolerance, size=1.0)
    if "weights" in answer:
        assert_close(mine.weights, answer["weights"], tolerance, size=1e-3)


@pytest.mark.parametrize(("name", "answer"), CASES)
def test_reference_prediction_equals_metafor(name: str, answer: dict[str, Any]) -> None:
    mine = ours(name, answer["method"], answer["test"])
    tolerance = 1e-8 if answer["method"] in {"EE", "DL"} else 1e-6
    found = predict(mine, SETS[name]["X"][0])
    expected = answer["predict"]
    assert_close(found.pred, expected["pred"], tolerance, size=found.se)
    assert_close(found.se, expected["se"], tolerance)
    if answer["method"] == "EE":
        # metafor repeats the confidence interval here; an equal-effects model predicts no spread, so we give none
        assert np.isnan(found.pi_lb).all()
        return
    assert_close(found.pi_lb, expected["pi_lb"], tolerance, size=found.se)
    assert_close(found.pi_ub, expected["pi_ub"], tolerance, size=found.se)
    if mine.p == 1 and mine.names == ("intrcpt",):
        assert (mine.pi_lb, mine.pi_ub) == (found.pi_lb[0], found.pi_ub[0])


@pytest.mark.parametrize("name", SETS)
def test_reference_q_profile_equals_metafor(name: str) -> None:
    mine = ours(name, "REML", "z")
    typical = float(np.median(SETS[name]["vi"]))
    assert_close([mine.tau2_ci_lb, mine.tau2_ci_ub], SETS[name]["tau2_ci"], 1e-6, size=typical)


@pytest.mark.parametrize("stored", STORED["leave_one_out"], ids=lambda stored: f"{stored['set']}-{stored['test']}")
def test_reference_leave_one_out_equals_metafor(stored: dict[str, Any]) -> None:
    rows = SETS[stored["set"]]
    mine = leave_one_out(rows["yi"], rows["vi"], test=stored["test"])
    for key in ("beta", "se", "ci_lb", "ci_ub"):
        assert_close(getattr(mine, key)[:, 0], stored[key], 1e-6, size=mine.se[:, 0])
    assert_close(mine.pval[:, 0], stored["pval"], 1e-5)
    assert_close(mine.tau2, stored["tau2"], 1e-6, size=float(np.median(rows["vi"])))
    assert_close(mine.I2, stored["I2"], 1e-6, size=100.0)
    for key in ("H2", "QE", "QEp"):
        assert_close(getattr(mine, key), stored[key], 1e-6)


def test_reference_holds_enough_fits() -> None:
    assert len(SETS) >= 35
    assert len(CASES) >= 150
