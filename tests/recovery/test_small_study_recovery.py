"""Known selection is undone: the mean before selection comes back; without selection no test finds one.

200 simulated meta-analyses each; tolerances are three Monte Carlo standard errors, plus the stated bias where a
maximum-likelihood estimate has one.
"""

from typing import NamedTuple

import numpy as np
import pytest

from dualtrace.pooling.likelihood import Array
from dualtrace.pooling.small_study.ascent import Ascent
from dualtrace.pooling.small_study.selection_fit import Bounds, Plain, bind, plain_fit, search
from dualtrace.pooling.small_study.selection_function import limits, step_model
from dualtrace.pooling.small_study.weighting import Conditional

MEAN, TAU2, SETS, K, REPORTED = 0.3, 0.04, 200, 80, 0.25
"""Non-significant results are reported a quarter as often as significant positive ones."""


class Simulated(NamedTuple):
    y: Array
    v: Array


def simulate(reported: float) -> Simulated:
    rng = np.random.default_rng(77)
    y, v = np.empty((SETS, K)), np.empty((SETS, K))
    for i in range(SETS):
        spread = rng.uniform(0.01, 0.15, 12 * K)
        effects = rng.normal(MEAN, np.sqrt(spread + TAU2))
        kept = np.flatnonzero((effects > 1.96 * np.sqrt(spread)) | (rng.random(12 * K) < reported))[:K]
        y[i], v[i] = effects[kept], spread[kept]
    return Simulated(y, v)


def step_fits(data: Simulated) -> tuple[Plain, Ascent]:
    ones = np.ones((K, 1))
    model = step_model(data.y / np.sqrt(data.v), (0.025,), delta=None, two_sided=False)
    plain = plain_fit(data.y, data.v, ones, random=True)
    found = search(bind(data.y, data.v, ones, model.weighting), [plain], model.starts, Bounds(*limits(model)))[0]
    return plain, found


def off(values: Array, truth: float) -> tuple[float, float]:
    """Bias, and three Monte Carlo standard errors."""
    return float(values.mean() - truth), 3.0 * float(values.std(ddof=1) / np.sqrt(values.size))


@pytest.fixture(scope="module")
def selected() -> Simulated:
    return simulate(REPORTED)


def test_recovery_of_the_mean_and_the_weight_under_known_selection(selected: Simulated) -> None:
    plain, found = step_fits(selected)
    assert found.converged.all()
    naive, _ = off(plain.coef[:, 0], MEAN)
    assert naive > 0.1
    bias, error = off(found.theta[:, 0], MEAN)
    assert abs(bias) < error + 0.02
    bias, error = off(found.theta[:, 1], TAU2)
    assert abs(bias) < error + 0.15 * TAU2
    bias, error = off(found.theta[:, 2], float(np.log(REPORTED)))
    assert abs(bias) < error + 0.1


def test_recovery_by_p_uniform_star_without_knowing_the_weight(selected: Simulated) -> None:
    ones, none = np.ones((K, 1)), np.zeros((1, 0))
    threshold = np.full_like(selected.v, 1.96)
    weighting = Conditional(threshold, selected.y >= threshold * np.sqrt(selected.v))
    plain = plain_fit(selected.y, selected.v, ones, random=True)
    found = search(bind(selected.y, selected.v, ones, weighting), [plain], none, Bounds(none[0], none[0]))[0]
    assert found.converged.all()
    bias, error = off(found.theta[:, 0], MEAN)
    assert abs(bias) < error + 0.02


def test_recovery_without_selection_the_likelihood_ratio_keeps_its_level() -> None:
    plain, found = step_fits(simulate(1.0))
    assert found.converged.all()
    rejected = float((2.0 * (found.point.value - plain.ll) > 3.841458820694124).mean())
    assert abs(rejected - 0.05) < 3.0 * np.sqrt(0.05 * 0.95 / SETS)
    bias, error = off(found.theta[:, 0], MEAN)
    assert abs(bias) < error + 0.01
