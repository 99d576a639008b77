"""Agreement with metafor's rma.mh, rma.peto and rma.glmm on stored fits; script and versions are in ``metafor/``.

Tolerances: 1e-8 relative for closed forms and for what a convex fit determines (equal effects, likelihood-ratio
tests). Of the mixed models, lme4 searches without derivatives to about 1e-6 of a standard error; nlminb, under the
exact conditional model, stops at about 1e-5 and takes its standard errors from finite differences.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike
from scipy.optimize import minimize

from dualtrace.pooling.sparse import mixed
from dualtrace.pooling.sparse.betabinomial import Groups, beta_binomial, evaluate
from dualtrace.pooling.sparse.common import mantel_haenszel, peto
from dualtrace.pooling.sparse.contract import CommonEffect, MixedPooled
from dualtrace.pooling.sparse.glmm import build_two, counts, glmm

STORED = json.loads((Path(__file__).parent / "metafor" / "sparse.json").read_text(encoding="utf-8"))
SETS: dict[str, Any] = STORED["sets"]


def label(case: dict[str, Any]) -> str:
    words = (case["set"], case["measure"], case.get("model"), case["method"], case.get("mods"))
    coding = f"coding{case['coding']}" if case.get("coding", 0.5) != 0.5 else None
    return "-".join(word for word in (*words, coding) if word)


def has_zero(name: str) -> bool:
    s = {key: np.array(values, dtype=float) for key, values in SETS[name].items()}
    if "ai" in s:
        return bool(((s["ai"] == 0) | (s["ci"] == 0) | (s["ai"] == s["n1i"]) | (s["ci"] == s["n2i"])).any())
    if "x1i" in s:
        return bool(((s["x1i"] == 0) | (s["x2i"] == 0)).any())
    return bool(((s["xi"] == 0) | (s["xi"] == s.get("ni", -1.0))).any())


def assert_close(mine: ArrayLike, theirs: ArrayLike, tolerance: float, size: ArrayLike = 0.0) -> None:
    ours_, theirs_ = (np.atleast_1d(np.array(values, dtype=float)) for values in (mine, theirs))
    allowed = tolerance * np.maximum(np.abs(theirs_), size)
    assert np.all(np.abs(ours_ - theirs_) <= allowed), f"ours {ours_}, metafor {theirs_}"


def common(case: dict[str, Any]) -> CommonEffect:
    table = SETS[case["set"]]
    return peto(table) if case["method"] == "PETO" else mantel_haenszel(case["measure"], table)


@pytest.mark.parametrize("case", STORED["strata"], ids=label)
def test_reference_common_effect_equals_metafor(case: dict[str, Any]) -> None:
    mine = common(case)
    for key in ("beta", "ci_lb", "ci_ub"):
        assert_close(getattr(mine, key), case[key], 1e-8, size=mine.se)
    assert_close(mine.se, case["se"], 1e-8)
    assert_close(mine.zval, case["zval"], 1e-8, size=1.0)
    assert_close(mine.pval, case["pval"], 1e-8 * (1.0 + mine.zval**2))
    for key in ("CMH", "BD", "TA"):
        if case.get(key) is not None:
            assert_close(getattr(mine, key), case[key], 1e-8, size=1e-6)
            assert_close(getattr(mine, key + "p"), case[key + "p"], 1e-8 * (1.0 + case[key]))
    if case["measure"] in {"RD", "IRD"} and has_zero(case["set"]):
        # metafor shifts the risk difference of a table with an empty cell; ours stays as counted
        return
    assert_close(mine.QE, case["QE"], 1e-8, size=1e-6)
    assert_close(mine.QEp, case["QEp"], 1e-8 * (1.0 + mine.QE))


def ours(case: dict[str, Any]) -> MixedPooled:
    table = SETS[case["set"]]
    X = None
    if case["mods"] is not None:
        X = np.stack([np.ones(len(table["ai"])), np.array(table[case["mods"]], dtype=float)], axis=1)
    return glmm(
        case["measure"],
        table,
        model=case["model"] or "UM.FS",
        method=case["method"],
        X=X,
        coding=case["coding"],
    )


LAPLACE = [c for c in STORED["mixed"] if c["model"] == "UM.RS" and c["method"] == "ML"]
MIXED = [c for c in STORED["mixed"] if c not in LAPLACE]


@pytest.mark.parametrize("case", MIXED, ids=label)
def test_reference_mixed_model_equals_metafor(case: dict[str, Any]) -> None:
    mine = ours(case)
    exact = case["measure"] == "OR" and case["model"] == "CM.EL"
    closed = case["method"] == "EE" and case["model"] != "UM.RS" and not exact
    tolerance = 1e-8 if closed else 2e-5 if exact else 1e-5
    # nlminb searches log tau², so that it stops short of the boundary, where its Hessian has no inverse
    short = exact and 0.0 < case["tau2"] < 1e-3
    if short:
        assert mine.tau2 == 0.0
        assert mine.ll > case["ll"]
        assert_close(mine.beta, case["beta"], 1e-4, size=mine.se)
        return
    assert_close(mine.beta, case["beta"], tolerance, size=mine.se)
    assert_close(mine.se, case["se"], 1e-8 if closed else 1e-3 if exact else 2e-5)
    assert_close(mine.tau2, case["tau2"], 1e-5, size=0.1)
    if case["sigma2"] is not None:
        assert_close(mine.sigma2, case["sigma2"], 1e-5, size=0.1)
    if exact or (case["model"] != "UM.RS" and case["tau2"] == 0.0):
        # with several nodes lme4 leaves a constant out of the likelihood; a law holds ours against brute force
        assert mine.ll >= case["ll"] - 1e-8 * abs(case["ll"])
        assert_close(mine.ll, case["ll"], 1e-8 if case["tau2"] == 0.0 else 1e-5)
    if case["QE_LRT"] is not None and np.isfinite(mine.QE_LRT):
        assert_close(mine.QE_LRT, case["QE_LRT"], 1e-7, size=1.0)
        assert mine.QE_df == case["QE_df"]
    if case["QE_Wld"] is not None and np.isfinite(mine.QE_Wld):
        assert_close(mine.QE_Wld, case["QE_Wld"], 1e-7, size=1.0)


@pytest.mark.parametrize("case", LAPLACE, ids=label)
def test_reference_random_levels_differ_from_metafor_by_its_laplace_approximation(case: dict[str, Any]) -> None:
    """lme4 has one quadrature node for two random effects; with one node our likelihood has its maximum there too."""
    given = counts(case["measure"], SETS[case["set"]], X=None, names=None, slab=None)
    model = build_two(given, 0.5)
    exact = glmm(case["measure"], SETS[case["set"]], model="UM.RS")

    def laplace(point: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        state = mixed.origin(model, np.abs(point[None, 2:]))._replace(beta=point[None, :2])
        return -float(mixed.evaluate(model, state, 1).value.sum())

    start = np.array([-2.0, exact.beta[0], np.sqrt(exact.sigma2), np.sqrt(exact.tau2) + 0.01])
    found = minimize(laplace, start, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-11, "maxiter": 4000})
    sigma = np.abs(found.x[2:])
    assert -found.fun == pytest.approx(case["ll"], abs=2e-5)
    assert found.x[1] == pytest.approx(case["beta"], abs=1e-4 * exact.se[0])
    assert sigma**2 == pytest.approx([case["sigma2"], case["tau2"]], rel=2e-4, abs=1e-6)
    assert exact.beta[0] == pytest.approx(case["beta"], abs=0.05 * exact.se[0])  # the approximation is not far off


@pytest.mark.parametrize("case", STORED["beta_binomial"], ids=lambda case: case["set"])
def test_reference_beta_binomial_equals_vgam_and_its_likelihood(case: dict[str, Any]) -> None:
    table = SETS[case["set"]]
    arms = "ai" in table
    mine = beta_binomial("OR" if arms else "PLO", table)
    assert mine.ll >= case["ll"] - 1e-8
    assert mine.ll == pytest.approx(case["vgam_ll"], abs=1e-6)
    beta = case["beta"][1] if arms else np.atleast_1d(case["beta"])[0]
    se = case["se"][1] if arms else np.atleast_1d(case["se"])[0]
    assert mine.beta[0] == pytest.approx(beta, abs=1e-5 * mine.se[0])
    assert mine.se[0] == pytest.approx(se, rel=1e-4)
    assert mine.rho == pytest.approx(case["rho"], rel=1e-5)


def test_reference_beta_binomial_likelihood_written_out_with_beta_functions() -> None:
    from scipy.special import betaln, gammaln

    x, n, w = np.array([0.0, 4.0, 11.0]), np.array([7.0, 30.0, 11.0]), 0.3
    groups = Groups(x, n, np.ones((3, 1)), log=False)
    mu, s = 1.0 / (1.0 + np.exp(0.8)), 1.0 / w
    expected = gammaln(n + 1) - gammaln(x + 1) - gammaln(n - x + 1)
    expected = expected + betaln(x + mu * s, n - x + (1 - mu) * s) - betaln(mu * s, (1 - mu) * s)
    assert evaluate(groups, np.array([-0.8]), w).value == pytest.approx(expected.sum(), rel=1e-12)


def test_reference_stijnen_2010_tables_ii_and_iii() -> None:
    """Catheter infections (doi:10.1002/sim.4040): proportions of control arms, and exact conditional odds ratios."""
    control = glmm("PLO", SETS["nielweise2007_control"])
    # the variance printed, .8124, came from few quadrature nodes; with many it is .8122
    assert (control.beta[0], control.se[0], control.tau2) == pytest.approx((-3.4964, 0.2570, 0.8124), abs=2.5e-4)
    exact = glmm("OR", SETS["nielweise2007"], model="CM.EL")
    assert (exact.beta[0], exact.se[0]) == pytest.approx((-1.3532, 0.3511), abs=1e-4)


def test_reference_van_houwelingen_1993() -> None:
    """Bleeding ulcers (doi:10.1002/sim.4780122405): exact conditional model, fixed and random, arms as printed."""
    fixed = glmm("OR", SETS["collins1985a"], model="CM.EL", method="EE")
    assert (-fixed.beta[0], fixed.se[0], fixed.ll) == pytest.approx((0.1216, 0.0995, -53.679), abs=5e-4)
    random = glmm("OR", SETS["collins1985a"], model="CM.EL")
    assert (-random.beta[0], random.tau2) == pytest.approx((0.1744, 0.1192), abs=5e-5)


def test_reference_yusuf_1985_peto() -> None:
    """Short-term beta-blocker trials, Table 6 (doi:10.1016/s0033-0620(85)80003-7): odds ratio .9332."""
    found = peto(SETS["yusuf1985_6"])
    assert np.exp([found.beta, found.ci_lb, found.ci_ub]) == pytest.approx([0.9332, 0.7385, 1.1792], abs=5e-5)


def test_reference_stata_metan_on_bcg() -> None:
    """Mantel-Haenszel log risk ratio and Peto's log odds ratio as Stata's metan prints them."""
    ratio, odds = mantel_haenszel("RR", SETS["bcg"]), peto(SETS["bcg"])
    assert (ratio.beta, ratio.ci_lb, ratio.ci_ub) == pytest.approx((-0.4537, -0.5308, -0.3766), abs=5e-5)
    assert (ratio.zval, odds.beta, odds.zval) == pytest.approx((-11.5338, -0.4744, -11.6689), abs=5e-5)


def test_reference_rothman_2008_chapter_15() -> None:
    """Tolbutamide deaths by age: risk difference .034, risk ratio 1.33, odds ratio 1.40; clozapine: rate ratio .469.

    Modern Epidemiology, ch. 15 (isbn:9780781755641), to the digits given there.
    """
    table = SETS["rothman2008_risk"]
    assert mantel_haenszel("RD", table).beta == pytest.approx(0.034, abs=1e-3)
    assert np.exp(mantel_haenszel("RR", table).beta) == pytest.approx(1.33, abs=6e-3)
    assert np.exp(mantel_haenszel("OR", table).beta) == pytest.approx(1.40, abs=6e-3)
    assert np.exp(mantel_haenszel("IRR", SETS["rothman2008_rate"]).beta) == pytest.approx(0.469, abs=5e-4)


def test_reference_holds_enough_fits() -> None:
    fits = [*STORED["strata"], *STORED["mixed"], *STORED["beta_binomial"]]
    assert len(fits) >= 100
    assert len({case["set"] for case in fits}) >= 25
