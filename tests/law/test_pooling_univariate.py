"""Laws of the classical fits: invariances, closed forms, stationarity, refusals.

Random data sets span k from 2 to 200 and sampling variances over six orders of magnitude.
"""

import json
from collections.abc import Iterator
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from dualtrace.errors import FitError, InputError
from dualtrace.pooling import tau2 as variance
from dualtrace.pooling.contract import Pooled, Tau2Method
from dualtrace.pooling.likelihood import Array, Data, data, loglik, slope
from dualtrace.pooling.univariate import fit, predict

METHODS = tuple(m for m in get_args(Tau2Method) if not m.startswith("GENQ"))  # those need weights


def rows(seed: int, k: int, *, moderators: int = 0, orders: float = 2.0) -> tuple[Array, Array, Array]:
    """Random effects, variances and design."""
    rng = np.random.default_rng(seed)
    v = 10.0 ** rng.uniform(-orders / 2.0, orders / 2.0, k)
    y = rng.normal(0.3, np.sqrt(v + rng.choice([0.0, 0.1, 2.0])))
    return y, v, np.column_stack([np.ones(k), rng.normal(size=(k, moderators))])


def basis(X: Array) -> Array:
    q: Array = np.linalg.qr(X)[0]
    return q


def batches(count: int, seed: int) -> Iterator[Data]:
    """Batches of ten data sets: any k, any spread of variances, heavy tails, sometimes no heterogeneity."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        k = int(rng.integers(2, 8)) if i % 4 == 0 else int(rng.integers(2, 201))
        v = 10.0 ** rng.uniform(-3.0, 3.0, (10, k))
        tau = 10.0 ** rng.uniform(-3.0, 3.0, (10, 1)) * (rng.random((10, 1)) < 0.8)
        y = rng.normal(size=(10, k)) * np.sqrt(v) * rng.choice([0.1, 1.0, 3.0]) + tau * rng.standard_t(2.0, (10, k))
        p = 2 if k >= 4 and i % 3 == 0 else 1
        yield data(y, v, basis(np.column_stack([np.ones(k), rng.normal(size=k)])[:, :p]))


SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=SEEDS, k=st.integers(2, 40), method=st.sampled_from(METHODS))
def test_law_order_of_rows_does_not_matter(seed: int, k: int, method: Tau2Method) -> None:
    y, v, _ = rows(seed, k)
    order = np.random.default_rng(seed + 1).permutation(k)
    one, other = fit(y, v, method=method, test="knha"), fit(y[order], v[order], method=method, test="knha")
    assert_same(one, other)
    assert one.weights[order] == pytest.approx(other.weights, rel=1e-8)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=SEEDS, k=st.integers(2, 40), method=st.sampled_from(METHODS), shift=st.floats(-1e4, 1e4))
def test_law_a_shift_moves_the_mean_only(seed: int, k: int, method: Tau2Method, shift: float) -> None:
    y, v, _ = rows(seed, k)
    one, other = fit(y, v, method=method), fit(y + shift, v, method=method)
    noise = 1e-9 * (1.0 + abs(shift))
    assert other.beta[0] - shift == pytest.approx(one.beta[0], abs=noise)
    assert other.tau2 == pytest.approx(one.tau2, rel=1e-7, abs=noise * float(v.max()))
    assert pytest.approx(one.QE, rel=1e-7, abs=1e-6) == other.QE


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=SEEDS, k=st.integers(2, 40), method=st.sampled_from(METHODS), power=st.floats(-6.0, 6.0))
def test_law_a_change_of_unit_changes_units_only(seed: int, k: int, method: Tau2Method, power: float) -> None:
    y, v, _ = rows(seed, k)
    c = 10.0**power
    one, other = fit(y, v, method=method), fit(c * y, c * c * v, method=method)
    assert other.beta / c == pytest.approx(one.beta, rel=1e-8, abs=1e-10)
    assert other.se / c == pytest.approx(one.se, rel=1e-8)
    assert other.tau2 / c**2 == pytest.approx(one.tau2, rel=1e-8, abs=1e-12)
    assert pytest.approx(one.I2, rel=1e-8, abs=1e-8) == other.I2
    df = k - 1 if method == "REML" else k
    assert other.ll + df * np.log(c) == pytest.approx(one.ll, abs=1e-7)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=SEEDS, k=st.integers(4, 40), method=st.sampled_from(METHODS))
def test_law_the_sign_of_all_effects_flips_the_answer(seed: int, k: int, method: Tau2Method) -> None:
    y, v, X = rows(seed, k, moderators=1)
    one, other = fit(y, v, X=X, method=method), fit(-y, v, X=X, method=method)
    assert -other.beta == pytest.approx(one.beta, rel=1e-12)
    assert -other.ci_ub == pytest.approx(one.ci_lb)
    assert [other.tau2, other.QM] == pytest.approx([one.tau2, one.QM])


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=SEEDS, k=st.integers(5, 40), method=st.sampled_from(METHODS))
def test_law_recoding_moderators_changes_no_fit(seed: int, k: int, method: Tau2Method) -> None:
    y, v, X = rows(seed, k, moderators=2)
    recode = np.array([[1.0, 1990.0, 3.0], [0.0, 12.0, 1.0], [0.0, 0.0, -0.01]])
    one, other = fit(y, v, X=X, method=method), fit(y, v, X=X @ recode, method=method)
    assert other.tau2 == pytest.approx(one.tau2, rel=1e-8, abs=1e-10)
    assert other.ll == pytest.approx(one.ll, abs=1e-8)
    assert recode @ other.beta == pytest.approx(one.beta, rel=1e-6, abs=1e-8)
    assert np.array([other.QE, other.QM]) == pytest.approx(np.array([one.QE, one.QM]), rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("k", [2, 3, 17])
def test_law_identical_effects_have_no_heterogeneity(method: Tau2Method, k: int) -> None:
    v = np.geomspace(1e-3, 1e3, k)
    found = fit(np.full(k, 0.37), v, method=method)
    assert (found.tau2, found.I2) == (0.0, 0.0)
    assert found.beta[0] == pytest.approx(0.37, rel=1e-12)
    assert found.se[0] == pytest.approx((1.0 / v).sum() ** -0.5, rel=1e-12)


@pytest.mark.parametrize("k", [2, 3, 10, 50])
def test_law_equal_variances_have_closed_forms(k: int) -> None:
    rng = np.random.default_rng(k)
    y = rng.normal(0.2, 2.0, k)
    squares = ((y - y.mean()) ** 2).sum()
    expected = {m: max(0.0, squares / (k - 1) - 0.5) for m in ("REML", "DL", "PM")}
    expected["ML"] = max(0.0, squares / k - 0.5)
    for method in METHODS[:4]:
        found = fit(y, np.full(k, 0.5), method=method)
        assert found.tau2 == pytest.approx(expected[method], rel=1e-11), method
        assert found.beta[0] == pytest.approx(y.mean(), rel=1e-12)
    student = fit(y, np.full(k, 0.5), test="knha")
    assert student.se[0] == pytest.approx(y.std(ddof=1) / np.sqrt(k), rel=1e-11)  # the one-sample t test


def test_law_no_data_set_ends_in_an_error_and_every_estimate_solves_its_equation() -> None:
    """2,000 random data sets (10,000 in ``-m slow``): REML and ML stationary, PM and Q-profile on their target."""
    solve_everything(batches(200, seed=11))


@pytest.mark.slow
def test_law_ten_thousand_data_sets_solve() -> None:
    solve_everything(batches(1000, seed=12))


def solve_everything(sets: Iterator[Data]) -> None:
    for batch in sets:
        smallest = batch.v.min(axis=1)
        for restricted in (True, False):
            found = variance.maximum_likelihood(batch, restricted=restricted)
            here = slope(batch, found, restricted=restricted)
            inside = found > 0.0
            step = np.abs(here.first / here.second)[inside]
            # an estimate far below the smallest variance is known relative to that variance only
            assert np.all(step <= 1e-9 * found[inside] + 1e-11 * smallest[inside])
            assert np.all(here.second[inside] <= 0.0)
            assert np.all(here.first[~inside] <= 1e-9 / smallest[~inside])
        pm = variance.estimate(batch, "PM")
        q = variance.generalised_q(batch, pm)
        df = batch.k - batch.p
        assert np.all((np.abs(q / df - 1.0) < 1e-9) | ((pm == 0.0) & (q <= df)))
        low, high = variance.q_profile(batch, 0.95)
        for end, tail in ((low, 0.025), (high, 0.975)):
            target = special.chdtri(df, tail)
            q = variance.generalised_q(batch, end)
            assert np.all((np.abs(q / target - 1.0) < 1e-9) | ((end == 0.0) & (q <= target)))


def test_law_the_likelihood_maximum_is_the_global_one() -> None:
    """No point of a fine grid beats the estimate; some of these likelihoods have several maxima."""
    several = 0
    for batch in batches(25, seed=3):
        for restricted in (True, False):
            found = variance.maximum_likelihood(batch, restricted=restricted)
            best = loglik(batch, found, restricted=restricted)
            s = batch.v.min(axis=1)
            reach = np.log1p((10.0 * found + 2.0 * (np.ptp(batch.y, axis=1) ** 2 + batch.v.max(axis=1))) / s)
            grid = s[:, None] * np.expm1(reach[:, None] * np.linspace(0.0, 1.0, 200))
            spread = batch.pick(np.repeat(np.arange(10), 200))
            heights = loglik(spread, grid.ravel(), restricted=restricted).reshape(10, 200)
            rises = slope(spread, grid.ravel(), restricted=restricted).first.reshape(10, 200) > 0.0
            several += int(((rises[:, :-1] & ~rises[:, 1:]).sum(axis=1) > 1).sum())
            assert np.all(heights.max(axis=1) <= best + 1e-9)
    assert several > 0


@pytest.mark.parametrize("restricted", [True, False])
def test_law_derivatives_equal_differences(restricted: bool) -> None:
    y, v, X = rows(5, 12, moderators=2)
    sets = data(y, v, basis(X))
    t, h = np.array([0.3]), 1e-4
    exact = slope(sets, t, restricted=restricted)
    up, down = (loglik(sets, t + d, restricted=restricted) for d in (h, -h))
    middle = loglik(sets, t, restricted=restricted)
    assert exact.first == pytest.approx((up - down) / (2 * h), rel=1e-6)
    assert exact.second == pytest.approx((up - 2 * middle + down) / h**2, rel=1e-4)


def test_law_rows_marked_unused_are_as_good_as_absent() -> None:
    rng = np.random.default_rng(8)
    y, v, X = rows(9, 15, moderators=1)
    use = (rng.random((20, 15)) < 0.7).astype(float)
    batch = data(y, v, basis(X), use=use)
    for method in METHODS[:4]:
        together = variance.estimate(batch, method)
        for i in range(20):
            kept = use[i] > 0.0
            alone = fit(y[kept], v[kept], X=X[kept], method=method)
            assert together[i] == pytest.approx(alone.tau2, rel=1e-9, abs=1e-12)
    restricted = loglik(batch, np.full(20, 0.2), restricted=True)
    kept = use[0] > 0.0
    alone_ll = loglik(data(y[kept], v[kept], basis(X[kept])), np.array([0.2]), restricted=True)
    assert restricted[0] == pytest.approx(alone_ll[0], rel=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_law_huge_tiny_and_dominating_variances_give_finite_answers(method: Tau2Method) -> None:
    y = np.array([0.1, 0.5, -0.2, 0.9])
    for v in ([1e-12] * 4, [1e12] * 4, [1e-9, 1.0, 1.0, 1.0], [1e-3, 1e3, 1e-3, 1e3], [1e-6, 1e6, 1.0, 1.0]):
        found = fit(y, v, method=method)
        assert np.isfinite([found.beta[0], found.se[0], found.tau2, found.ll]).all()
        assert found.ci_lb[0] <= found.beta[0] <= found.ci_ub[0]
    dominated = fit(y, [1e-9, 1.0, 1.0, 1.0], method="EE")
    assert dominated.beta[0] == pytest.approx(0.1, abs=1e-8)
    assert dominated.weights[0] == pytest.approx(100.0, abs=1e-6)


def test_law_one_row_is_answered_and_says_so() -> None:
    found = fit([0.4], [0.04], test="knha", method="REML")
    assert (found.method, found.test, found.k, found.dfs) == ("EE", "z", 1, 0)
    half = 1.959963984540054 * 0.2
    assert [found.beta[0], found.ci_lb[0], found.ci_ub[0]] == pytest.approx([0.4, 0.4 - half, 0.4 + half])
    assert np.isnan([found.tau2, found.se_tau2, found.I2, found.H2, found.pi_lb, found.tau2_ci_lb]).all()
    assert "Only one row" in str(found)
    assert found.to_dict()["tau2"] is None


def test_law_knapp_hartung_on_rows_that_fit_exactly_falls_back_and_says_so() -> None:
    found = fit([0.1, 0.1, 0.1], [1.0, 2.0, 3.0], test="knha")
    assert found.test == "z"
    assert found.se[0] > 0.0
    assert any("Knapp-Hartung" in note for note in found.notes)


def test_law_an_empty_q_profile_set_is_said_so() -> None:
    found = fit([0.1, 0.1001, 0.1], [1.0, 2.0, 3.0])
    assert (found.tau2_ci_lb, found.tau2_ci_ub) == (0.0, 0.0)
    assert any("is empty" in note for note in found.notes)


def test_law_to_dict_holds_metafor_names_and_is_json() -> None:
    y, v, X = rows(1, 8, moderators=1)
    found = fit(y, v, X=X, names=["intercept", "dose"], slab=[f"trial {i}" for i in range(8)])
    coefficients = {"names", "beta", "se", "zval", "pval", "ci_lb", "ci_ub"}
    heterogeneity = {"tau2", "se_tau2", "tau2_ci_lb", "tau2_ci_ub", "I2", "H2", "QE", "QE_df", "QEp"}
    model = {"QM", "QM_df", "QMp", "pi_lb", "pi_ub", "ll", "k", "p", "dfs", "method", "test", "level"}
    names = coefficients | heterogeneity | model | {"slab", "weights", "notes", "R2", "AIC", "BIC", "AICc"}
    assert set(found.to_dict()) == names
    restored = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert restored["beta"] == found.beta.tolist()
    assert restored["pi_lb"] is None  # a regression has no single prediction interval
    assert list(found.to_frame().index) == ["intercept", "dose"]
    assert "dose" in str(found)
    assert "Moderators: QM(1)" in str(found)


def test_law_results_cannot_be_changed() -> None:
    found = fit([0.1, 0.3], [1.0, 2.0])
    with pytest.raises(ValueError, match="read-only"):
        found.beta[0] = 1.0


def test_law_prediction_at_the_intercept_is_the_estimate() -> None:
    y, v, _ = rows(2, 9)
    found = fit(y, v, test="knha")
    at = predict(found, [1.0])
    assert [at.pred[0], at.se[0], at.ci_lb[0], at.pi_lb[0]] == pytest.approx(
        [found.beta[0], found.se[0], found.ci_lb[0], found.pi_lb]
    )
    with pytest.raises(FitError, match="one finite number for each of intercept; given shape"):
        predict(found, [1.0, 2.0])


@pytest.mark.parametrize(
    ("yi", "vi", "options", "message"),
    [
        ([], [], {}, "k = 0 rows"),
        ([0.1, 0.2], [1.0], {}, "given lengths: yi 2, vi 1"),
        ([0.1, 0.2], [1.0, 0.0], {"slab": ["A", "B"]}, "must be positive and finite; given 0 in row B"),
        ([0.1, 0.2], [1.0, -3.0], {}, "given -3 in row 2"),
        ([0.1, float("nan")], [1.0, 1.0], {"slab": ["A", "B"]}, "yi must be a finite number; given nan in row B"),
        ([0.1, None], [1.0, 1.0], {}, "given nan in row 2"),
        ([0.1, float("inf")], [1.0, 1.0], {}, "given inf in row 2"),
        ([0.1, "x"], [1.0, 1.0], {"slab": ["A", "B"]}, "yi must be a number; given 'x' in row B"),
        ([0.1, 0.2], [1.0, float("inf")], {}, "given inf in row 2"),
        ([0.1, 0.2], [1e-9, 1e9], {}, "range from 1e-09 in row 1 to 1e.09 in row 2"),
        ([[0.1, 0.2]], [1.0, 1.0], {}, "yi must be a list of numbers"),
        ([0.1, 0.2], [1.0, 1.0], {"slab": ["A"]}, "1 labels for 2 rows"),
        ([0.1, 0.2], [1.0, 1.0], {"X": [[1, 0], [1, 1]]}, "k = 2 rows cannot determine p = 2 coefficients"),
        ([0.1], [1.0], {"X": [[1, 0]]}, "k = 1 rows cannot determine p = 2"),
        ([0.1, 0.2, 0.3], [1.0] * 3, {"X": [[1, 2], [1, 2], [1, 2]]}, "x2 is a combination of x1"),
        ([0.1, 0.2, 0.3], [1.0] * 3, {"X": [[1, 0], [1, 0], [1, 0]]}, "x2 is zero in every row"),
        ([0.1, 0.2, 0.3], [1.0] * 3, {"X": [[1, 2], [1, 2]]}, r"given shape \(2, 2\) for k = 3"),
        ([0.1, 0.2, 0.3], [1.0] * 3, {"X": [[1], [1], [float("nan")]]}, "Moderator x1 must be a finite number"),
        ([0.1, 0.2], [1.0, 1.0], {"names": ["a", "b"]}, "2 names for 1 columns"),
    ],
)
def test_law_input_without_an_answer_is_refused_in_a_sentence(
    yi: list[float], vi: list[float], options: dict[str, list[str]], message: str
) -> None:
    with pytest.raises(FitError, match=message):
        fit(yi, vi, **options)  # type: ignore[arg-type]  # wrong types are the point


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "reml"}, "method must be one of REML, ML, DL, .*, EE, FE; given 'reml'"),
        ({"test": "kh"}, "test must be one of z, t, knha, adhoc; given 'kh'"),
        ({"level": 95}, "level must lie between 0 and 1, for example 0.95; given 95"),
    ],
)
def test_law_unknown_options_are_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit([0.1, 0.2], [1.0, 1.0], **options)  # type: ignore[arg-type]  # wrong values are the point


def assert_same(one: Pooled, other: Pooled) -> None:
    for key in ("beta", "se", "ci_lb", "ci_ub", "tau2", "I2", "H2", "QE", "ll", "tau2_ci_ub", "pi_lb"):
        assert getattr(one, key) == pytest.approx(getattr(other, key), rel=1e-8, abs=1e-9, nan_ok=True), key
