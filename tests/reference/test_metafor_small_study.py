"""Funnel tests, trim and fill, fail-safe N, excess significance: agreement with metafor (R) on stored answers.

Script and versions are in ``metafor/``. Tolerances: 1e-8 for closed forms, 1e-6 of a standard error for REML.
Where we differ on purpose the test says so.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import special

from dualtrace.errors import FitError
from dualtrace.pooling.small_study.asymmetry import rank_test, regression_test
from dualtrace.pooling.small_study.fail_safe import fail_safe_n
from dualtrace.pooling.small_study.significance import excess_significance
from dualtrace.pooling.small_study.trim_and_fill import trim_and_fill

STORED = json.loads((Path(__file__).parent / "metafor" / "small_study.json").read_text(encoding="utf-8"))
SETS: dict[str, Any] = STORED["sets"]


def cases(kind: str, *keys: str) -> list[Any]:
    return [pytest.param(a, id="-".join(str(a[key]) for key in ("set", *keys))) for a in STORED[kind]]


def value(stored: Any) -> float:
    """NaN for what R leaves out."""
    return float(stored) if isinstance(stored, int | float) else np.nan


@pytest.mark.parametrize("name", SETS)
def test_reference_regression_tests_equal_metafor(name: str) -> None:
    rows = SETS[name]
    answers = [a for a in STORED["regtest"] if a["set"] == name]
    assert len(answers) >= 8
    for a in answers:
        mine = regression_test(
            rows["yi"],
            rows["vi"],
            model=a["model"],
            predictor=a["predictor"],
            ni=rows["ni"],
            X=rows["X"],
            method=a["method"],
            test=a["test"],
        )
        tolerance = 1e-6 if a["method"] == "REML" and a["model"] == "rma" else 1e-8
        scale = float(mine.fit.se[0])
        assert mine.zval == pytest.approx(a["zval"], rel=tolerance, abs=tolerance)
        assert mine.pval == pytest.approx(a["pval"], rel=tolerance * (1.0 + mine.zval**2))
        for key in ("est", "ci_lb", "ci_ub"):
            assert getattr(mine, key) == pytest.approx(value(a[key]), abs=tolerance * scale, nan_ok=True), key
        if a["dfs"] and mine.dfs != np.inf:
            assert mine.dfs == a["dfs"]


@pytest.mark.parametrize("a", cases("ranktest"))
def test_reference_rank_test_equals_metafor(a: dict[str, Any]) -> None:
    mine = rank_test(SETS[a["set"]]["yi"], SETS[a["set"]]["vi"])
    assert mine.tau == pytest.approx(a["tau"], rel=1e-10)
    assert mine.pval == pytest.approx(a["pval"], rel=1e-8)


@pytest.mark.parametrize("name", dict.fromkeys(a["set"] for a in STORED["trimfill"]))
def test_reference_trim_and_fill_equals_metafor(name: str) -> None:
    """Metafor keeps its default REML convergence (a change of 1e-5 in τ²) while it trims, hence 1e-4 there.

    It evaluates the standard error of k₀ at negative estimates too; we evaluate it at 0 then, so it is compared
    only where rows are missing.
    """
    for a in (a for a in STORED["trimfill"] if a["set"] == name):
        side = None if a["side"] == "auto" else a["side"]
        rows = SETS[name]
        mine = trim_and_fill(rows["yi"], rows["vi"], side=side, estimator=a["estimator"], method=a["method"])
        assert (mine.k0, mine.side) == (a["k0"], a["found_side"])
        tolerance = 1e-4 if a["method"] == "REML" else 1e-8
        assert mine.fit.beta[0] == pytest.approx(a["beta"], abs=tolerance * mine.fit.se[0])
        assert mine.fit.se[0] == pytest.approx(a["se"], rel=tolerance)
        imputed = np.sort(np.atleast_1d(a["yi"]).astype(float))
        assert np.sort(mine.yi[mine.fill]) == pytest.approx(
            imputed, abs=tolerance * float(np.sqrt(np.median(rows["vi"])))
        )
        if a["estimator"] == "R0":
            assert mine.p_k0 == pytest.approx(a["p_k0"], rel=1e-12)
        if mine.k0 > 0:
            assert mine.se_k0 == pytest.approx(a["se_k0"], rel=1e-10)


@pytest.mark.parametrize("name", ["baskerville2012", "linde2005"])
def test_reference_q0_that_does_not_exist_is_refused_in_a_sentence(name: str) -> None:
    """Metafor stops with "missing value where TRUE/FALSE needed"."""
    with pytest.raises(FitError, match="Q0 does not exist for these rows"):
        trim_and_fill(SETS[name]["yi"], SETS[name]["vi"], side="left", estimator="Q0", method="EE")


@pytest.mark.parametrize("a", cases("fsn", "type", "alpha", "weighted"))
def test_reference_fail_safe_n_equals_metafor(a: dict[str, Any]) -> None:
    rows = SETS[a["set"]]
    target = a["target"] if a["type"] == "Orwin" else None
    mine = fail_safe_n(
        rows["yi"], rows["vi"], kind=a["type"], alpha=a["alpha"], target=target, weighted=a["weighted"]
    )
    assert mine.fsnum == a["fsnum"]
    assert mine.meanes == pytest.approx(value(a["meanes"]), rel=1e-10, nan_ok=True)
    # far in the tail metafor loses the p value to rounding (1 - Φ)
    assert mine.pval == pytest.approx(value(a["pval"]), rel=1e-8, abs=1e-15, nan_ok=True)


@pytest.mark.parametrize("a", cases("tes", "test", "alternative", "tes_alternative", "tau2"))
def test_reference_excess_significance_equals_metafor(a: dict[str, Any]) -> None:
    """The power under heterogeneity is exact here and integrated numerically there, to 1e-5; so is the limit.

    Of the two limits of a two-sided test we give the one of an excess; metafor stores the other first. Where
    metafor finds none within the range it searches, we may.
    """
    rows = SETS[a["set"]]
    mine = excess_significance(
        rows["yi"],
        rows["vi"],
        test=a["test"],
        alternative=a["alternative"],
        tes_alternative=a["tes_alternative"],
        tau2=a["tau2"],
    )
    tolerance = 1e-10 if a["tau2"] == 0.0 else 1e-5
    assert a["O"] == mine.O
    assert pytest.approx(a["E"], rel=tolerance) == mine.E
    assert mine.theta == pytest.approx(a["theta"], rel=1e-10)
    assert mine.power == pytest.approx(a["power"], abs=tolerance)
    assert mine.pval == pytest.approx(a["pval"], rel=1e2 * tolerance, abs=1e-14)
    if a["tes_alternative"] != "two.sided" and a["alternative"] != "less" and not np.isnan(value(a["theta_lim"])):
        assert mine.theta_lim == pytest.approx(a["theta_lim"], abs=1e-4)


def rows(name: str) -> tuple[list[float], list[float]]:
    return SETS[name]["yi"], SETS[name]["vi"]


def test_reference_egger_2001_as_in_metafors_own_tests() -> None:
    y, v = rows("egger2001")
    assert round(regression_test(y, v, predictor="sei").zval, 4) == -4.6686
    lm = regression_test(y, v, model="lm", predictor="sqrtninv", ni=SETS["egger2001"]["ni"])
    assert round(lm.zval, 4) == -5.6083
    test = rank_test(y, v)
    assert (round(test.tau, 2), round(test.pval, 4)) == (0.15, 0.4503)


def test_reference_dorn_2007_as_printed_by_ioannidis_and_trikalinos() -> None:
    y, v = rows("dorn2007")
    chi2, exact = excess_significance(y, v, test="chi2"), excess_significance(y, v)
    assert (chi2.O, round(chi2.E, 4), round(chi2.X2, 4), round(chi2.pval, 4)) == (10, 4.9233, 7.0656, 0.0039)
    assert round(exact.pval, 4) == 0.0078


def test_reference_published_fail_safe_numbers() -> None:
    y, v = rows("raudenbush1985")
    assert [fail_safe_n(y, v, kind="Rosenthal").fsnum, fail_safe_n(y, v, kind="Orwin", target=0.05).fsnum] == [26, 44]
    y, v = rows("hackshaw1998")
    found = [
        fail_safe_n(y, v, kind=kind, target=0.049 if kind == "Orwin" else None).fsnum
        for kind in ("Rosenthal", "Orwin", "Rosenberg")
    ]
    assert found == [393, 186, 202]


def test_reference_fisher_counts_every_study_on_the_side_of_all_of_them() -> None:
    """Metafor's 40 takes each one-sided p value on the study's own side, which makes opposite results agree.

    On the common side it is 21; with every effect turned positive ours gives metafor's number, rounded up.
    """
    y, v = (np.array(part) for part in rows("raudenbush1985"))
    assert fail_safe_n(y, v, kind="Fisher").fsnum == 21
    statistic = -2.0 * float(special.log_ndtr(-np.abs(y) / np.sqrt(v)).sum())
    turned = fail_safe_n(np.abs(y), v, kind="Fisher").fsnum
    assert turned == 41
    for n, significant in ((40, True), (41, False)):
        p = float(special.chdtrc(2.0 * (y.size + n), statistic + 2.0 * n * np.log(2.0)))
        assert (p <= 0.05) == significant


def test_reference_holds_enough() -> None:
    assert len(SETS) >= 15
    assert len(STORED["regtest"]) >= 200
