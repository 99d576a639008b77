"""Small-study methods and sparse counts: numbers printed in published analyses, as metafor's own tests quote them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dualtrace.pooling.small_study.asymmetry import rank_test, regression_test
from dualtrace.pooling.small_study.fail_safe import fail_safe_n
from dualtrace.pooling.small_study.significance import excess_significance
from dualtrace.pooling.sparse.glmm import glmm
from dualtrace.pooling.tau2_interval import tau2_interval

FOLDER = Path(__file__).parent / "metafor"


def stored(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))["sets"]
    return found


SMALL, SPARSE = stored("small_study"), stored("sparse")


def test_reference_egger_2001_magnesium_trials() -> None:
    """Regression tests on standard error and on sample size, and the rank test."""
    rows = SMALL["egger2001"]
    assert regression_test(rows["yi"], rows["vi"]).zval == pytest.approx(-4.6686, abs=6e-5)
    by_size = regression_test(rows["yi"], rows["vi"], model="lm", predictor="sqrtninv", ni=rows["ni"])
    assert by_size.zval == pytest.approx(-5.6083, abs=6e-5)
    ranks = rank_test(rows["yi"], rows["vi"])
    assert ranks.tau == pytest.approx(0.15, abs=6e-5)
    assert ranks.pval == pytest.approx(0.4503, abs=6e-5)


def test_reference_dorn_2007_excess_of_significant_results() -> None:
    rows = SMALL["dorn2007"]
    by_chi2 = excess_significance(rows["yi"], rows["vi"], test="chi2")
    assert pytest.approx(4.9233, abs=6e-5) == by_chi2.E
    assert pytest.approx(7.0656, abs=6e-5) == by_chi2.X2
    assert by_chi2.pval == pytest.approx(0.0039, abs=6e-5)
    assert excess_significance(rows["yi"], rows["vi"], test="exact").pval == pytest.approx(0.0078, abs=6e-5)


@pytest.mark.parametrize(
    ("name", "kind", "printed"), [("raudenbush1985", "Rosenthal", 26), ("hackshaw1998", "Rosenthal", 393)]
)
def test_reference_rosenthals_fail_safe_n(name: str, kind: Any, printed: int) -> None:
    rows = SMALL[name]
    assert fail_safe_n(rows["yi"], rows["vi"], kind=kind).fsnum == printed


def test_reference_stijnen_2010_catheter_infections() -> None:
    """doi:10.1002/sim.4040, tables II and III: logits of one group, and odds ratios by the exact conditional model."""
    table = SPARSE["nielweise2007"]
    odds = glmm("OR", table, model="CM.EL")
    assert (odds.beta[0], odds.se[0]) == (pytest.approx(-1.3532, abs=1e-4), pytest.approx(0.3511, abs=2e-4))
    single = {"xi": table["ci"], "ni": table["n2i"]}
    logit = glmm("PLO", single)
    assert logit.beta[0] == pytest.approx(-3.4964, abs=1e-4)
    assert logit.se[0] == pytest.approx(0.2570, abs=1e-4)
    assert logit.tau2 == pytest.approx(0.8124, abs=2e-4)


def test_reference_konstantopoulos_2011_interval_of_the_two_level_variance() -> None:
    rows = json.loads((FOLDER / "multilevel.json").read_text(encoding="utf-8"))["sets"]["konstantopoulos2011"]
    found = tau2_interval(rows["yi"], rows["vi"])
    assert found.tau2 == pytest.approx(0.0884, abs=6e-5)
    np.testing.assert_allclose([found.ci_lb, found.ci_ub], [0.0564, 0.1388], atol=1e-4)  # printed cut, not rounded
