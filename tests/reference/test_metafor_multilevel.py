"""Agreement of multilevel fits with metafor and clubSandwich (R) on stored fits; script and versions in ``metafor/``.

The maximised likelihood comes first: ours is at least metafor's. Estimates agree to 1e-6 of their size (of their
standard error, or a typical sampling variance, where they may be near 0) plus what is left to climb: where metafor's
search stopped g below the maximum, its estimates are off by up to √(2g) standard errors. That is more than 1e-6 in
one of the fits stored.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike

from dualtrace.pooling.multilevel import (
    Level,
    Multilevel,
    Structured,
    cluster_influence,
    fit,
    predict,
    profile_intervals,
    random_effects,
    robust,
)
from dualtrace.pooling.multilevel.known_v import KnownV
from dualtrace.pooling.multilevel.terms import RandomTerm

STORED = json.loads((Path(__file__).parent / "metafor" / "multilevel.json").read_text(encoding="utf-8"))
SETS: dict[str, Any] = STORED["sets"]
FITS: list[dict[str, Any]] = STORED["fits"]


def name(answer: dict[str, Any]) -> str:
    terms = "+".join("/".join(term) for term in answer["terms"])
    return f"{answer['set']}-{terms}-{answer['method']}{'-fixed' if answer['fixed'] else ''}"


CASES = [pytest.param(answer, id=name(answer)) for answer in FITS]
KEPT: dict[str, Multilevel] = {}


def known(stored: dict[str, Any]) -> KnownV:
    row, column = (np.atleast_1d(np.array(stored[key], dtype=np.intp)) for key in ("row", "column"))
    return KnownV(np.array(stored["vi"]), row, column, np.atleast_1d(np.array(stored["covariance"], dtype=float)))


def random_terms(answer: dict[str, Any]) -> list[RandomTerm]:
    columns = SETS[answer["set"]]["columns"]
    return [
        Level(term[1], columns[term[1]])
        if term[0] == "level"
        else Structured(term[0], columns[term[1]], columns[term[2]], name=term[2])
        for term in answer["terms"]
    ]


def fixed(answer: dict[str, Any]) -> dict[str, float]:
    """metafor's fixed values by our labels."""
    labels = {}
    for key, values in (answer["fixed"] or {}).items():
        for term, value in zip(answer["terms"], np.atleast_1d(np.array(values, dtype=float)), strict=False):
            if np.isfinite(value):
                labels[f"{key}[{term[-1]}]"] = float(value)
    return labels


def ours(answer: dict[str, Any]) -> Multilevel:
    if name(answer) not in KEPT:
        stored = SETS[answer["set"]]
        KEPT[name(answer)] = fit(
            stored["yi"],
            known(stored),
            X=stored["X"],
            names=stored["names"],
            random=random_terms(answer),
            method=answer["method"],
            test=answer["test"],
            fixed=fixed(answer),
        )
    return KEPT[name(answer)]


def assert_close(mine: ArrayLike, theirs: ArrayLike, tolerance: float, size: ArrayLike = 0.0) -> None:
    ours_, theirs_ = (np.atleast_1d(np.array(values, dtype=float)) for values in (mine, theirs))
    allowed = tolerance * np.maximum(np.abs(theirs_), size)
    assert np.all(np.abs(ours_ - theirs_) <= allowed), f"ours {ours_}, metafor {theirs_}"


def slack(answer: dict[str, Any]) -> float:
    """1e-6, and what metafor's search left to climb."""
    return 1e-6 + float(np.sqrt(2.0 * max(0.0, ours(answer).ll - answer["ll"])))


@pytest.mark.parametrize("answer", CASES)
def test_reference_fit_equals_metafor(answer: dict[str, Any]) -> None:
    mine = ours(answer)
    tolerance = slack(answer)
    typical = float(np.median(SETS[answer["set"]]["vi"]))
    assert mine.converged
    assert -1e-11 <= mine.ll - answer["ll"] <= 1e-9
    for key in ("sigma2", "tau2", "gamma2"):
        if key in answer:
            assert_close(getattr(mine, key), answer[key], tolerance, size=typical)
    for key in ("rho", "phi"):
        if key in answer and getattr(mine, key).size:
            determined = np.isfinite(getattr(mine, key))
            assert_close(getattr(mine, key)[determined], np.atleast_1d(answer[key])[determined], tolerance, size=1.0)
    for key in ("beta", "ci_lb", "ci_ub"):
        assert_close(getattr(mine, key), answer[key], tolerance, size=mine.se)
    assert_close(mine.se, answer["se"], tolerance)
    assert_close(mine.zval, answer["zval"], tolerance, size=1.0)
    assert_close(mine.pval, answer["pval"], tolerance * (1.0 + float(np.max(mine.zval**2))), size=1e-300)
    assert_close(mine.QE, answer["QE"], 1e-8)
    assert_close(mine.QM, answer["QM"], tolerance, size=1.0)
    assert mine.QM_df == answer["QM_df"]
    for key in ("AIC", "BIC", "AICc"):
        assert_close(getattr(mine, key), answer[key], 1e-8, size=1.0)


@pytest.mark.parametrize("answer", [a for a in FITS if "profile" in a], ids=name)
def test_reference_profile_intervals_equal_metafor(answer: dict[str, Any]) -> None:
    mine = profile_intervals(ours(answer))
    typical = float(np.median(SETS[answer["set"]]["vi"]))
    stored = answer["profile"]
    theirs = list(stored.values()) if isinstance(stored, dict) else stored
    for label, low, high, their in zip(mine.labels, mine.ci_lb, mine.ci_ub, theirs, strict=True):
        ends, expected = np.array([low, high]), np.array(their[1:], dtype=float)
        found = np.isfinite(expected)  # an end is absent where one of metafor's refits did not converge
        assert_close(ends[found], expected[found], 2e-6, size=1.0 if label.startswith("rho") else typical)


@pytest.mark.parametrize("answer", [a for a in FITS if "ranef" in a], ids=name)
def test_reference_random_effects_and_prediction_equal_metafor(answer: dict[str, Any]) -> None:
    found = ours(answer)
    for mine, theirs in zip(random_effects(found), answer["ranef"].values(), strict=True):
        labels = {label.split("/")[-1]: i for i, label in enumerate(mine.labels)}
        order = [labels[label.split("/")[-1]] for label in theirs["names"]]
        size = float(np.max(mine.se))
        assert_close(mine.u[order], theirs["u"], slack(answer) + 1e-6, size=size)
        assert_close(mine.se[order], theirs["se"], slack(answer) + 1e-6, size=size)
    if "pi" in answer:
        interval = predict(found, SETS[answer["set"]]["X"][0])
        assert_close([interval.pi_lb[0], interval.pi_ub[0]], answer["pi"], slack(answer) + 1e-6, size=interval.se[0])


@pytest.mark.parametrize("answer", [a for a in FITS if a.get("robust")], ids=name)
def test_reference_robust_inference_equals_metafor(answer: dict[str, Any]) -> None:
    cluster = SETS[answer["set"]]["columns"][answer["cluster"]]
    mine = robust(ours(answer), cluster, type="CR1p", dfs="residual")
    theirs = answer["robust"]
    assert_close(mine.vb, theirs["vb"], slack(answer) + 1e-6, size=float(np.max(mine.se**2)))
    assert_close(mine.df, theirs["dfs"], 0.0)
    assert_close(mine.pval, theirs["pval"], 1e-4, size=1e-12)
    assert_close(mine.ci_lb, theirs["ci_lb"], slack(answer) + 1e-6, size=mine.se)


@pytest.mark.parametrize("answer", [a for a in FITS if a.get("sandwich")], ids=name)
def test_reference_robust_inference_equals_clubsandwich(answer: dict[str, Any]) -> None:
    cluster = SETS[answer["set"]]["columns"][answer["cluster"]]
    for type_, theirs in answer["sandwich"].items():
        if type_ == "CR3" and answer["set"] == "assink2016_type":
            # one study alone holds a moderator's level, so there is no fit without it: clubSandwich divides by a
            # rounding error there, we leave the direction out
            continue
        mine = robust(ours(answer), cluster, type=type_)
        assert_close(mine.vb, theirs["vb"], slack(answer) + 1e-6, size=float(np.max(mine.se**2)))
        assert_close(mine.df, theirs["df"], slack(answer) + 1e-6)
        assert_close(mine.pval, theirs["p"], 1e-4, size=1e-12)
        if "F" in theirs and mine.F_df1 == len(mine.names) - 1:
            assert_close(mine.F, theirs["F"], slack(answer) + 1e-6)
            assert_close(mine.F_df2, theirs["F_df"], slack(answer) + 1e-6)
            assert_close(mine.Fp, theirs["F_p"], 1e-4, size=1e-12)


@pytest.mark.parametrize("answer", [a for a in FITS if "influence" in a], ids=name)
def test_reference_cluster_influence_equals_metafor(answer: dict[str, Any]) -> None:
    mine = cluster_influence(ours(answer), SETS[answer["set"]]["columns"][answer["cluster"]])
    theirs = answer["influence"]
    order = [mine.clusters.index(label) for label in theirs["names"]]
    expected = np.array(theirs["cook"], dtype=float)
    found = np.isfinite(expected)  # absent where metafor's refit did not converge
    assert found.mean() > 0.9
    assert mine.converged.all()
    assert_close(mine.cook[order][found], expected[found], 2e-6, size=0.01)
    assert_close(mine.dfbetas[order][found], np.array(theirs["dfbetas"], dtype=float)[found], 2e-6, size=0.1)


def test_reference_holds_enough_fits() -> None:
    assert len({a["set"].split("_")[0] for a in FITS}) >= 10
    assert len(FITS) >= 25
