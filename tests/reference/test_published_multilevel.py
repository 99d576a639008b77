"""Multilevel analyses with published results, recomputed; the numbers are those of the papers and of the replications
in metafor's own tests, rounded as printed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dualtrace.pooling.multilevel import Level, Structured, assumed, fit, nested, predict, profile_intervals, robust
from dualtrace.pooling.multilevel.known_v import KnownV

STORED: dict[str, Any] = json.loads(
    (Path(__file__).parent / "metafor" / "multilevel.json").read_text(encoding="utf-8")
)["sets"]


def test_reference_konstantopoulos_2011_schools_in_districts() -> None:
    """doi:10.1002/jrsm.35: two and three levels, 56 schools in 11 districts."""
    d = STORED["konstantopoulos2011"]
    district, school = d["columns"]["district"], d["columns"]["school"]
    two = fit(d["yi"], d["vi"], random=[Level("study", d["columns"]["study"])], method="REML")
    assert two.beta[0] == pytest.approx(0.128, abs=6e-4)
    assert two.sigma2[0] == pytest.approx(0.088, abs=6e-4)
    three = fit(d["yi"], d["vi"], random=nested("district/school", district, school))
    assert three.beta[0] == pytest.approx(0.185, abs=6e-4)
    assert three.se[0] == pytest.approx(0.085, abs=6e-4)
    np.testing.assert_allclose(three.sigma2, [0.065, 0.033], atol=6e-4)
    assert three.ll == pytest.approx(-7.9587, abs=6e-5)
    ml = fit(d["yi"], d["vi"], random=nested("district/school", district, school), method="ML")
    assert ml.beta[0] == pytest.approx(0.1845, abs=6e-5)
    np.testing.assert_allclose(ml.sigma2, [0.0577, 0.0329], atol=6e-5)
    interval = predict(ml, [1.0])
    np.testing.assert_allclose([interval.pi_lb[0], interval.pi_ub[0]], [-0.4262, 0.7951], atol=6e-5)
    assert profile_intervals(two).ci_lb[0] == pytest.approx(0.0575, abs=6e-5)


def test_reference_berkey_1998_two_outcomes_of_five_trials() -> None:
    """doi:10.1002/(SICI)1097-0258(19981130)17:22<2537::AID-SIM953>3.0.CO;2-C, table II: probing depth, attachment."""
    d = STORED["berkey1998"]
    V = KnownV(np.array(d["vi"]), np.array(d["row"]), np.array(d["column"]), np.array(d["covariance"]))
    random = [Structured("UN", d["columns"]["outcome"], d["columns"]["trial"])]
    found = fit(d["yi"], V, X=d["X"], names=["AL", "PD"], random=random, method="ML")
    np.testing.assert_allclose(found.beta, [-0.3379, 0.3448], atol=6e-5)
    np.testing.assert_allclose(found.se, [0.0798, 0.0495], atol=6e-5)
    np.testing.assert_allclose(found.tau2, [0.0261, 0.0070], atol=6e-5)
    assert found.rho[0] == pytest.approx(0.6992, abs=6e-5)
    d = STORED["berkey1998_year"]
    year = fit(d["yi"], V, X=d["X"], names=d["names"], random=random, method="ML")
    np.testing.assert_allclose(year.beta, [-0.3351, 0.3479, -0.0108, 0.0010], atol=6e-5)


def test_reference_bcg_robust_inference() -> None:
    """The BCG trials with each trial a cluster: CR1 and CR2 variances, t statistics and degrees of freedom."""
    d = STORED["bcg"]
    found = fit(d["yi"], d["vi"], random=[Level("trial", d["columns"]["trial"])])
    plain = robust(found, d["columns"]["trial"], type="CR1p", dfs="residual")
    assert (plain.vb[0, 0], plain.df[0]) == (pytest.approx(0.032106, abs=6e-7), 12.0)
    assert plain.tval[0] == pytest.approx(-3.9878, abs=6e-5)
    adjusted = robust(found, d["columns"]["trial"], type="CR2")
    assert adjusted.vb[0, 0] == pytest.approx(0.032294, abs=6e-7)
    assert adjusted.df[0] == pytest.approx(11.04, abs=6e-3)
    assert adjusted.tval[0] == pytest.approx(-3.9762, abs=6e-5)


def test_reference_assumed_covariances_equal_those_of_metafor() -> None:
    """V as metafor's vcalc builds it, from correlations, types and shared control groups of other sizes."""
    d = STORED["assink2016_che"]
    mine = assumed(d["vi"], d["columns"]["study"], obs=d["columns"]["esid"], rho=0.6).dense()
    np.testing.assert_allclose(mine, dense(d), rtol=1e-11)
    d = STORED["kalaian1996"]
    mine = assumed(d["vi"], d["columns"]["study"], type=d["columns"]["outcome"], rho_type=0.66).dense()
    np.testing.assert_allclose(mine, dense(d), rtol=1e-11)
    d = STORED["fine1993"]
    mine = assumed(d["vi"], d["columns"]["study"], time1=d["columns"]["time"], phi=0.7).dense()
    np.testing.assert_allclose(mine, dense(d), rtol=1e-11)
    d = STORED["knapp2017"]
    sizes = {"w1": d["columns"]["n_sz"], "w2": d["columns"]["n_hc"]}
    groups = {"grp1": d["columns"]["group1"], "grp2": d["columns"]["group2"]}
    mine = assumed(d["vi"], d["columns"]["study"], obs=d["columns"]["what"], rho=0.4, **groups, **sizes).dense()
    np.testing.assert_allclose(mine, dense(d), rtol=1e-11)
    d = STORED["assink2016_type"]
    names = {"obs": d["columns"]["esid"], "type": d["columns"]["deltype"]}
    mine = assumed(d["vi"], d["columns"]["study"], **names, rho=0.7, rho_type=0.5).dense()
    np.testing.assert_allclose(mine, dense(d), rtol=1e-11)


def dense(stored: dict[str, Any]) -> Any:
    full = np.diag(np.array(stored["vi"]))
    full[stored["row"], stored["column"]] = full[stored["column"], stored["row"]] = stored["covariance"]
    return full
