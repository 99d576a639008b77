"""Laws of the selection models: derivatives, integrals, special cases, symmetries, refusals."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special

from dualtrace.errors import FitError, InputError
from dualtrace.pooling.likelihood import Array
from dualtrace.pooling.small_study.p_uniform import p_uniform_star
from dualtrace.pooling.small_study.selection import selection_model
from dualtrace.pooling.small_study.smooth import CENSOR, SmoothKind, smooth
from dualtrace.pooling.small_study.weighted_likelihood import Rows, log_likelihood
from dualtrace.pooling.small_study.weighting import Conditional, Steps, Weighting
from dualtrace.pooling.univariate import fit

SEEDS = st.integers(0, 2**32 - 1)
SMOOTH: tuple[SmoothKind, ...] = ("beta", "halfnorm", "negexp", "logistic", "power")


def rows(seed: int, k: int = 40) -> tuple[Array, Array]:
    """Effects of which a good share is significant, and the rest is less often reported."""
    rng = np.random.default_rng(seed)
    v = rng.uniform(0.01, 0.2, 6 * k)
    y = rng.normal(0.3, np.sqrt(v + 0.04))
    kept = np.flatnonzero((y > 1.96 * np.sqrt(v)) | (rng.random(6 * k) < 0.5))[:k]
    return y[kept], v[kept]


def weightings(z: Array, scale: Array) -> dict[str, tuple[Weighting, int]]:
    edges = np.array([0.0, 1.2])
    interval = np.asarray(2 - np.searchsorted(edges, z), dtype=np.intp)
    found: dict[str, tuple[Weighting, int]] = {
        "steps": (Steps(edges, np.eye(3)[::-1], interval), 2),
        "conditional": (Conditional(np.full_like(z, 1.2), z > 1.2), 0),
    }
    for kind in SMOOTH:
        for two_sided in (False, True):
            bound = smooth(
                kind,
                z,
                two_sided=two_sided,
                threshold=0.025 if two_sided and kind != "beta" else 0.0,
                scale=scale if two_sided else None,
            )
            found[f"{kind}-{two_sided}"] = (bound, 2 if kind == "beta" else 1)
    return found


def test_law_derivatives_are_those_of_the_likelihood() -> None:
    rng = np.random.default_rng(1)
    k = 12
    v = rng.uniform(0.01, 0.2, (2, k))
    y = rng.normal(0.3, np.sqrt(v + 0.05))
    basis = np.linalg.qr(np.column_stack([np.ones(k), rng.normal(size=k)]))[0]
    z, step = y / np.sqrt(v), 1e-6
    for name, (weighting, r) in weightings(z, rng.uniform(0.2, 1.0, k)).items():
        data = Rows(z, v, basis, weighting)
        theta = np.hstack([rng.normal(size=(2, 2)), np.full((2, 1), 0.08), rng.uniform(0.1, 1.0, (2, r))])
        point = log_likelihood(data, theta)
        for j in range(theta.shape[1]):
            up, down = (theta + sign * step * np.eye(theta.shape[1])[j] for sign in (1.0, -1.0))
            above, below = log_likelihood(data, up), log_likelihood(data, down)
            gradient = (above.value - below.value) / (2.0 * step)
            hessian = (above.gradient - below.gradient) / (2.0 * step)
            assert point.gradient[:, j] == pytest.approx(gradient, rel=1e-6, abs=1e-6), name
            assert point.hessian[:, j] == pytest.approx(hessian, rel=1e-6, abs=1e-5 * float(np.abs(hessian).max())), (
                name
            )


@pytest.mark.parametrize("delta", [(0.3, 0.2), (0.47, 4.46), (30.0, 30.0), (1.0, 60.0)])
@pytest.mark.parametrize("two_sided", [False, True])
def test_law_the_quadrature_of_the_beta_weights_is_exact(delta: tuple[float, float], two_sided: bool) -> None:
    m, s = 0.4, 1.7
    end, middle = -special.ndtri(CENSOR / (1.0 + two_sided)), special.ndtri(0.5 + CENSOR / 2.0) if two_sided else 0.0

    def integrand(z: float) -> float:
        p = float(2.0 * special.ndtr(-abs(z)) if two_sided else special.ndtr(-z))
        p = min(max(p, CENSOR), 1.0 - CENSOR)
        return float(
            p ** (delta[0] - 1.0)
            * (1.0 - p) ** (delta[1] - 1.0)
            * np.exp(-0.5 * ((z - m) / s) ** 2)
            / (s * np.sqrt(2.0 * np.pi))
        )

    cuts = sorted({-20.0, -end, -2.0, -0.5, -middle, middle, 0.5, 2.0, end, 20.0})
    total = sum(
        integrate.quad(integrand, a, b, epsabs=0.0, epsrel=1e-12, limit=200)[0] for a, b in itertools.pairwise(cuts)
    )
    bound = smooth("beta", np.zeros((1, 1)), two_sided=two_sided)
    log = bound.integral(np.array([[m]]), np.array([[s]]), np.log([delta])).log[0, 0]
    assert log == pytest.approx(np.log(total), abs=1e-8)


@pytest.mark.parametrize(
    "options",
    [
        {"delta": (1.0, 1.0)},
        {"steps": (0.05, 0.5), "delta": (1.0, 1.0, 1.0), "alternative": "two.sided"},
        {"kind": "beta", "delta": (1.0, 1.0)},
        {"kind": "halfnorm", "delta": (0.0,)},
        {"kind": "logistic", "delta": (0.0,), "alternative": "less"},
    ],
    ids=str,
)
def test_law_no_selection_is_the_ordinary_fit(options: dict[str, Any]) -> None:
    y, v = rows(5)
    x = np.column_stack([np.ones(y.size), np.random.default_rng(1).normal(size=y.size)])
    mine, plain = selection_model(y, v, X=x, **options), fit(y, v, X=x, method="ML")
    assert mine.beta == pytest.approx(plain.beta, rel=1e-8, abs=1e-10)
    assert mine.tau2 == pytest.approx(plain.tau2, rel=1e-8)
    assert mine.ll == pytest.approx(plain.ll, rel=1e-12)
    assert mine.ll0 == pytest.approx(plain.ll, rel=1e-12)
    assert mine.LRTdf == 0


@settings(max_examples=12, deadline=None, derandomize=True)
@given(seed=SEEDS, kind=st.sampled_from(("stepfun", "beta", "negexp")), power=st.floats(-3.0, 3.0))
def test_law_sign_unit_and_order_do_not_matter(seed: int, kind: Any, power: float) -> None:
    y, v = rows(seed)
    try:
        one = selection_model(y, v, kind=kind)
    except FitError:
        return
    c, order = 10.0**power, np.random.default_rng(seed).permutation(y.size)
    other = selection_model(-c * y[order], c * c * v[order], kind=kind, alternative="less")
    assert -other.beta / c == pytest.approx(one.beta, rel=1e-6, abs=1e-7)
    assert other.tau2 / c**2 == pytest.approx(one.tau2, rel=1e-6, abs=1e-9)
    assert other.delta == pytest.approx(one.delta, rel=1e-6, abs=1e-8)
    assert pytest.approx(one.LRT, rel=1e-8, abs=1e-9) == other.LRT


def test_law_two_sided_selection_has_no_side() -> None:
    y, v = rows(9)
    one, other = (selection_model(sign * y, v, alternative="two.sided", steps=(0.05,)) for sign in (1.0, -1.0))
    assert -other.beta == pytest.approx(one.beta, rel=1e-8)
    assert other.delta == pytest.approx(one.delta, rel=1e-8)


@settings(max_examples=5, deadline=None, derandomize=True)
@given(seed=SEEDS)
def test_law_with_equal_variances_p_uniform_star_is_the_three_parameter_model(seed: int) -> None:
    """Then the weight is estimated by a share that does not depend on the mean.

    Shown by Pustejovsky 2026, jepusto.netlify.app/posts/p-uniform-star.
    """
    rng = np.random.default_rng(seed)
    v = np.full(60, 0.05)
    y = rng.normal(0.35, np.sqrt(0.05 + 0.03), 60)
    try:
        step, star = selection_model(y, v), p_uniform_star(y, v)
    except FitError:
        return
    assert star.est == pytest.approx(float(step.beta[0]), abs=1e-6 * star.se)
    assert star.tau2 == pytest.approx(step.tau2, rel=1e-5, abs=1e-9)


def test_law_profile_ends_are_where_the_likelihood_has_fallen() -> None:
    y, v = rows(5)
    mine = selection_model(y, v, intervals="profile")
    for end in (mine.ci_lb_delta[1], mine.ci_ub_delta[1]):
        held = selection_model(y, v, delta=(1.0, float(end)))
        assert 2.0 * (mine.ll - held.ll) == pytest.approx(special.chdtri(1, 0.05), rel=1e-7)
    assert np.isnan(mine.ci_lb_delta[0])
    assert mine.ci_lb[0] < mine.beta[0] < mine.ci_ub[0]


def test_law_the_estimate_is_a_maximum() -> None:
    y, v = rows(3)
    mine = selection_model(y, v, steps=(0.025, 0.5))
    for j in (1, 2):
        for factor in (0.9, 1.1):
            held = [None, *(None if i != j else float(mine.delta[j] * factor) for i in (1, 2))]
            assert selection_model(y, v, steps=(0.025, 0.5), delta=held).ll < mine.ll


def test_law_weight_is_the_selection_function() -> None:
    y, v = rows(3)
    p = np.array([0.01, 0.025, 0.3, 0.9])
    step = selection_model(y, v)
    assert step.weight(p) == pytest.approx([1.0, 1.0, step.delta[1], step.delta[1]])
    smooth_fit = selection_model(y, v, kind="negexp", steps=(0.025,))
    assert smooth_fit.weight(p) == pytest.approx([1.0, 1.0, *np.exp(-smooth_fit.delta[0] * (p[2:] - 0.025))])


def test_law_results_print_and_go_to_json() -> None:
    y, v = rows(3)
    mine = selection_model(y, v, intervals="profile")
    assert "Step function selection model (ML), greater, k = 40" in str(mine)
    assert "0.025 < p <= 1" in str(mine)
    assert mine.to_dict()["LRTdf"] == 1
    assert mine.to_dict()["se_delta"][0] is None


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"steps": (1e-9,)}, FitError, "Every interval of the p value needs at least one result"),
        ({"steps": (1.2,)}, InputError, "steps must be p values between 0 and 1"),
        ({"steps": (1.0,)}, InputError, "steps must be p values between 0 and 1"),
        ({"delta": (1.0,)}, InputError, "delta must have one value per parameter, 2; given 1"),
        ({"delta": (1.0, -1.0)}, InputError, "delta must be positive; given -1 for parameter 2"),
        ({"delta": (0.5, None)}, InputError, "The first delta of a step function is 1"),
        ({"kind": "beta", "steps": (0.05,)}, InputError, "A beta selection model takes no steps"),
        ({"kind": "negexp", "steps": (0.05, 0.1)}, InputError, "takes one step"),
        ({"kind": "negexp", "steps": (1e-12,)}, FitError, "p values on both sides of the step"),
        ({"kind": "negexp", "prec": "ninv"}, InputError, "give ni, one per row"),
        ({"prec": "sei"}, InputError, "prec applies to halfnorm"),
        ({"kind": "sigmoid"}, InputError, "kind must be one of stepfun"),
        ({"intervals": "bayes"}, InputError, "intervals must be one of wald, profile"),
    ],
    ids=str,
)
def test_law_what_cannot_be_fitted_is_refused_in_a_sentence(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    y, v = rows(3)
    with pytest.raises(error, match=message):
        selection_model(y, v, **options)


def test_law_random_data_end_in_a_fit_or_a_sentence() -> None:
    rng = np.random.default_rng(8)
    fitted = 0
    for _ in range(60):
        k = int(rng.integers(4, 60))
        v = 10.0 ** rng.uniform(-3.0, 1.0, k)
        y = rng.normal(0.2, np.sqrt(v * rng.choice([0.3, 1.0, 4.0]) + rng.choice([0.0, 0.3])))
        try:
            mine = selection_model(y, v)
        except FitError:
            continue
        fitted += 1
        assert np.isfinite([*mine.beta, mine.tau2, *mine.delta, mine.ll]).all()
        assert mine.ll >= mine.ll0 - 1e-9
    assert fitted >= 40
