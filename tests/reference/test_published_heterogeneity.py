"""Estimates and intervals of τ² printed in papers, from the data printed with them.

Tolerance: half a unit of the last printed digit.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike

from dualtrace.pooling.contract import Tau2Method, TestName
from dualtrace.pooling.robustness.permutation import permutation_test
from dualtrace.pooling.tau2_interval import tau2_interval
from dualtrace.pooling.univariate import fit, predict

SETS: dict[str, Any] = json.loads(
    (Path(__file__).parent / "metafor" / "univariate.json").read_text(encoding="utf-8")
)["sets"]


def assert_printed(found: ArrayLike, printed: ArrayLike, digits: int) -> None:
    difference = np.abs(np.array(found, dtype=float) - np.array(printed, dtype=float))
    assert np.all(difference <= 0.5000001 * 10.0**-digits), f"found {found!r}, printed {printed!r}"


VIECHTBAUER_2005 = {
    "one": {
        "yi": [-0.581, 0.530, 0.771, 1.031, 0.553, 0.295, 0.078, 0.573, -0.176, -0.232],
        "vi": [0.023, 0.052, 0.060, 0.115, 0.095, 0.203, 0.200, 0.211, 0.051, 0.040],
        "tau2": [0.2282, 0.1484, 0.2768, 0.1967, 0.2232, 0.1920, 0.1992],
        "I2": [77.23, 68.80, 80.44, 74.51, 76.84, 74.05, 74.75],
        "H2": [4.39, 3.21, 5.11, 3.92, 4.32, 3.85, 3.96],
    },
    "two": {
        "yi": [
            0.1,
            -0.162,
            -0.09,
            -0.049,
            -0.046,
            -0.01,
            -0.431,
            -0.261,
            0.134,
            0.019,
            0.175,
            0.056,
            0.045,
            0.103,
            0.121,
            -0.482,
            0.29,
            0.342,
        ],
        "vi": [
            0.016,
            0.015,
            0.05,
            0.05,
            0.032,
            0.052,
            0.036,
            0.024,
            0.034,
            0.033,
            0.031,
            0.034,
            0.039,
            0.167,
            0.134,
            0.096,
            0.016,
            0.035,
        ],
        "tau2": [0.0099, 0.0000, 0.0126, 0.0132, 0.0157, 0.0104, 0.0248],
        "I2": [22.93, 0.00, 27.53, 28.45, 32.02, 23.72, 42.67],
        "H2": [1.30, 1.00, 1.38, 1.40, 1.47, 1.31, 1.74],
    },
}


@pytest.mark.parametrize("example", VIECHTBAUER_2005)
def test_reference_viechtbauer_2005_seven_estimators(example: str) -> None:
    """Pages 271 and 272; the last column was printed with two or three digits of τ²."""
    given = VIECHTBAUER_2005[example]
    methods: tuple[Tau2Method, ...] = ("HS", "HE", "DL", "ML", "REML", "EB", "SJ")
    fits = [fit(given["yi"], given["vi"], method=method) for method in methods]
    assert_printed([f.tau2 for f in fits], given["tau2"], 3)
    assert_printed([f.I2 for f in fits], given["I2"], 2)
    assert_printed([f.H2 for f in fits], given["H2"], 2)


def test_reference_dersimonian_kacker_2007_clasp() -> None:
    """Tables 3 and 4 on pages 111 and 112: τ, mean and standard error by nine estimators."""
    n1, n2 = np.array([156, 303, 565, 1570, 103, 4659]), np.array([74, 303, 477, 1565, 105, 4650])
    a, c = np.array([5, 5, 12, 69, 9, 313]), np.array([8, 17, 9, 94, 11, 352])
    y = np.log(a / (n1 - a)) - np.log(c / (n2 - c))
    v = 1.0 / a + 1.0 / (n1 - a) + 1.0 / c + 1.0 / (n2 - c)
    printed: dict[Tau2Method, tuple[float, float, float]] = {
        "PM": (0.3681, -0.3811, 0.2060),
        "EB": (0.3681, -0.3811, 0.2060),
        "HE": (0.4410, -0.4035, 0.2327),
        "DL": (0.2323, -0.3240, 0.1540),
        "REML": (0.1843, -0.2980, 0.1343),
        "HS": (0.1330, -0.2666, 0.1125),
        "SJ": (0.4572, -0.4079, 0.2386),
    }
    for method, numbers in printed.items():
        found = fit(y, v, method=method)
        assert_printed([found.tau2**0.5, found.beta[0], found.se[0]], numbers, 4)
    # the paper prints 0.0023 for ML, where an iteration stopped; the likelihood falls from 0 on
    assert fit(y, v, method="ML").tau2 == 0.0
    two_step: dict[Tau2Method, tuple[float, float, float]] = {
        "HE": (0.3831, -0.3861, 0.2115),
        "DL": (0.3254, -0.3655, 0.1901),
    }
    for method, numbers in two_step.items():
        first = fit(y, v, method=method)
        second = fit(y, v, method="GENQ", weights=1.0 / (v + first.tau2)).tau2
        # the paper then weighs by the second estimate, which is an equal-effects fit of variances v + tau2
        pooled = fit(y, v + second, method="EE")
        assert_printed([second**0.5, pooled.beta[0], pooled.se[0]], numbers, 4)


JACKSON_2014 = (
    (
        [
            0.0267,
            0.8242,
            0.393,
            2.4405,
            2.1401,
            1.2528,
            2.4849,
            0.3087,
            1.4246,
            0.1823,
            1.1378,
            1.2321,
            2.0695,
            4.0237,
            1.4383,
            1.6021,
        ],
        [
            0.1285,
            0.0315,
            0.0931,
            2.0967,
            1.0539,
            0.1602,
            1.0235,
            0.0218,
            0.5277,
            0.0556,
            0.3304,
            0.1721,
            0.4901,
            2.02,
            0.3399,
            0.183,
        ],
        [0] * 10 + [1] * 6,
        {"REML": (0.0110, 0.6330), "1/v": (0.0029, 0.6907), "1/s": (0.0000, 1.1245), "PM": (0.0023, 1.4871)},
    ),
    (
        [
            0.54,
            0.4,
            0.64,
            0.365,
            0.835,
            0.02,
            0.12,
            0.085,
            1.18,
            0.08,
            0.18,
            0.325,
            0.06,
            0.715,
            0.065,
            0.245,
            0.24,
            0.06,
            0.19,
        ],
        [
            0.0176,
            0.019,
            0.0906,
            0.0861,
            0.0063,
            0.0126,
            0.0126,
            0.0041,
            0.0759,
            0.0126,
            0.0104,
            0.0242,
            0.0026,
            0.2629,
            0.0169,
            0.0156,
            0.0481,
            0.0084,
            0.0044,
        ],
        [
            1986,
            1987,
            1988,
            1988,
            1998,
            1999,
            2000,
            2000,
            2000,
            2001,
            2001,
            2001,
            2002,
            2002,
            2002,
            2002,
            2003,
            2003,
            2003,
        ],
        {"REML": (0.0163, 0.1108), "1/v": (0.0170, 0.1393), "1/s": (0.0180, 0.1375), "PM": (0.0178, 0.1564)},
    ),
)


@pytest.mark.parametrize(("yi", "vi", "x", "printed"), JACKSON_2014, ids=["binary covariate", "year"])
def test_reference_jackson_2014_intervals_of_generalised_q(
    yi: list[float], vi: list[float], x: list[float], printed: dict[str, tuple[float, float]]
) -> None:
    """Exact intervals of quadratic forms with the covariates of both examples."""
    X = np.column_stack([np.ones(len(yi)), x])
    v = np.array(vi)
    for name, weights in {"1/v": 1.0 / v, "1/s": v**-0.5}.items():
        found = tau2_interval(yi, vi, X=X, method="GENQ", weights=weights, kind="GENQ")
        # 1.1245 is printed where the exact end is 1.12456: the root was found to about 1e-4
        assert [found.ci_lb, found.ci_ub] == pytest.approx(printed[name], abs=7e-5)
    profile = tau2_interval(yi, vi, X=X, method="PM", kind="QP")
    assert_printed([profile.ci_lb, profile.ci_ub], printed["PM"], 4)
    reml = fit(yi, vi, X=X)
    wald = reml.tau2 * np.exp(np.array([-1.96, 1.96]) * reml.se_tau2 / reml.tau2)
    assert_printed(wald, printed["REML"], 4)


def test_reference_berkey_1995_empirical_bayes() -> None:
    """Page 408, with the smoothed variances of the paper."""
    tpos, tneg = (
        np.array(x)
        for x in (
            [4, 6, 3, 62, 33, 180, 8, 505, 29, 17, 186, 5, 27],
            [119, 300, 228, 13536, 5036, 1361, 2537, 87886, 7470, 1699, 50448, 2493, 16886],
        )
    )
    cpos, cneg = (
        np.array(x)
        for x in (
            [11, 29, 11, 248, 47, 372, 10, 499, 45, 65, 141, 3, 29],
            [128, 274, 209, 12619, 5761, 1079, 619, 87892, 7232, 1600, 27197, 2338, 17825],
        )
    )
    latitude = np.array([44, 55, 42, 52, 13, 44, 19, 13, 27, 42, 18, 33, 33], dtype=float)
    y = np.log(tpos / (tpos + tneg)) - np.log(cpos / (cpos + cneg))
    v = (tneg / tpos).sum() / (13 * (tneg + tpos)) + (cneg / cpos).sum() / (13 * (cneg + cpos))
    alone = fit(y, v, method="EB")
    assert_printed([alone.beta[0], alone.se[0]], [-0.5429, 0.1842], 4)
    assert_printed(alone.tau2, 0.268, 3)
    X = np.column_stack([np.ones(13), latitude - 33.46])
    found = fit(y, v, X=X, method="EB", names=["intercept", "latitude"])
    # the paper prints -0.6304: its slope was found by an iteration that stopped earlier
    assert_printed([*found.beta, *found.se], [-0.6303, -0.0268, 0.1591, 0.0110], 4)
    assert_printed(found.tau2, 0.157, 3)
    assert_printed(found.R2, 41, 0)
    assert_printed(np.exp(predict(found, [[1.0, 0.0], [1.0, 42.0 - 33.46]]).pred), [0.53, 0.42], 2)


TABLE_16_3: tuple[tuple[Tau2Method, TestName, tuple[float, ...]], ...] = (
    ("FE", "z", (0.000, 0.060, 0.036, 1.655, -0.011, 0.132)),
    ("ML", "z", (0.013, 0.078, 0.047, 1.637, -0.015, 0.171)),
    ("REML", "z", (0.019, 0.084, 0.052, 1.621, -0.018, 0.185)),
    ("DL", "z", (0.026, 0.089, 0.056, 1.601, -0.020, 0.199)),
    ("HE", "z", (0.080, 0.114, 0.079, 1.443, -0.041, 0.270)),
    ("FE", "knha", (0.000, 0.060, 0.051, 1.173, -0.048, 0.168)),
    ("ML", "knha", (0.013, 0.078, 0.059, 1.311, -0.047, 0.202)),
    ("REML", "knha", (0.019, 0.084, 0.062, 1.359, -0.046, 0.213)),
    ("DL", "knha", (0.026, 0.089, 0.064, 1.405, -0.044, 0.223)),
    ("HE", "knha", (0.080, 0.114, 0.071, 1.608, -0.035, 0.264)),
)


@pytest.mark.parametrize(("method", "test", "printed"), TABLE_16_3)
def test_reference_raudenbush_2009_table_16_3(method: Tau2Method, test: TestName, printed: tuple[float, ...]) -> None:
    rows = SETS["raudenbush1985"]
    found = fit(rows["yi"], rows["vi"], method=method, test=test)
    assert_printed(
        [found.tau2, found.beta[0], found.se[0], found.zval[0], found.ci_lb[0], found.ci_ub[0]], printed, 3
    )


def test_reference_viechtbauer_2007_estimates_and_intervals() -> None:
    """Table II on page 44."""
    rows = SETS["collins1985b_or"]
    methods: tuple[Tau2Method, ...] = ("DL", "ML", "REML", "SJ")
    assert_printed([fit(rows["yi"], rows["vi"], method=m).tau2 for m in methods], [0.230, 0.239, 0.301, 0.456], 3)
    profile = tau2_interval(rows["yi"], rows["vi"], method="DL", kind="QP")
    assert_printed([profile.ci_lb, profile.ci_ub], [0.072, 2.203], 3)
    for method, printed in {"ML": (0.027, 1.131), "REML": (0.043, 1.475)}.items():
        found = tau2_interval(rows["yi"], rows["vi"], method=method, kind="PL")  # type: ignore[arg-type]  # a key
        assert_printed([found.ci_lb, found.ci_ub], printed, 3)
    # a Wald interval of tau2 reaches below 0; it is printed to show why nobody should use it
    for method, printed in {"ML": (-0.101, 0.578), "REML": (-0.131, 0.732)}.items():
        wald = fit(rows["yi"], rows["vi"], method=method)  # type: ignore[arg-type]  # a key of the table
        assert_printed(wald.tau2 + np.array([-1.96, 1.96]) * wald.se_tau2, printed, 3)


def test_reference_hine_1989_exact_sign_flips() -> None:
    """Six trials have 64 sign patterns; 4 of them are at least as extreme."""
    rows = SETS["hine1989_rd"]
    found = permutation_test(rows["yi"], rows["vi"])
    assert found.exact
    assert found.iterations == 64
    assert found.pval[0] == 4 / 64
