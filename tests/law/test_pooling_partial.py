"""Laws of the partial-information model."""

import doctest
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special

from dualtrace.errors import FitError, InputError
from dualtrace.pooling import partial, univariate
from dualtrace.pooling.coarse import Coarse, coarse, peak, settle, terms
from dualtrace.pooling.likelihood import Array
from dualtrace.pooling.partial_contract import PartialPooled

SEEDS = st.integers(0, 2**32 - 1)
Columns = dict[str, Any]


def rows(seed: int, k: int) -> Columns:
    """Exact effects, "not significant" intervals and bare directions, the first row exact."""
    rng = np.random.default_rng(seed)
    v = rng.uniform(0.02, 0.2, k)
    y = rng.normal(0.3, np.sqrt(v + rng.choice([0.0, 0.1])))
    s, hidden = np.sqrt(v), rng.random(k) < 0.6
    hidden[0] = False
    null = hidden & (np.abs(y) < 1.96 * s)
    side = hidden & ~null
    lo, hi = np.full(k, np.nan), np.full(k, np.nan)
    lo[null], hi[null] = -1.96 * s[null], 1.96 * s[null]
    lo[side], hi[side] = np.where(y[side] > 0, 0.0, -np.inf), np.where(y[side] > 0, np.inf, 0.0)
    return {"yi": np.where(hidden, np.nan, y), "vi": v, "lo": lo, "hi": hi}


def move(columns: Columns, *, shift: float = 0.0, scale: float = 1.0) -> Columns:
    """The same rows in another unit; a negative scale swaps the ends."""
    ends = [scale * columns[key] + shift for key in ("lo", "hi")]
    lo, hi = ends if scale > 0 else ends[::-1]
    return {"yi": scale * columns["yi"] + shift, "vi": scale**2 * columns["vi"], "lo": lo, "hi": hi}


def append(columns: Columns, row: dict[str, float]) -> Columns:
    return {key: np.append(values, row[key]) for key, values in columns.items()}


def assert_same(one: PartialPooled, other: PartialPooled, *, shift: float = 0.0, scale: float = 1.0) -> None:
    """``other`` is ``one`` after y -> scale·y + shift."""
    ends = [one.ci_lb[0], one.ci_ub[0]][:: 1 if scale > 0 else -1]
    expected = [scale * x + shift for x in (one.beta[0], *ends)]
    size = abs(scale)
    assert [other.beta[0], other.ci_lb[0], other.ci_ub[0]] == pytest.approx(expected, rel=1e-6, abs=1e-7 * size)
    assert other.se[0] == pytest.approx(size * one.se[0], rel=1e-6)
    assert other.tau2 == pytest.approx(scale**2 * one.tau2, rel=1e-6, abs=1e-9 * scale**2)
    assert other.tau2_ci_ub == pytest.approx(scale**2 * one.tau2_ci_ub, rel=1e-6)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=SEEDS, k=st.integers(3, 25))
def test_law_order_shift_unit_and_sign_carry_over(seed: int, k: int) -> None:
    columns = rows(seed, k)
    one = partial.fit(**columns)
    order = np.random.default_rng(seed).permutation(k)
    assert_same(one, partial.fit(**{key: values[order] for key, values in columns.items()}))
    assert_same(one, partial.fit(**move(columns, shift=-3.0)), shift=-3.0)
    assert_same(one, partial.fit(**move(columns, scale=40.0)), scale=40.0)
    assert_same(one, partial.fit(**move(columns, scale=-1.0)), scale=-1.0)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=SEEDS, k=st.integers(2, 25))
def test_law_exact_rows_alone_are_the_classical_ml_fit(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    v = rng.uniform(0.02, 0.2, k)
    y = rng.normal(0.3, np.sqrt(v + 0.1))
    mine, classical = partial.fit(y, v), univariate.fit(y, v, method="ML")
    assert mine.beta == pytest.approx(classical.beta, rel=1e-8, abs=1e-10)
    assert mine.se == pytest.approx(classical.se, rel=1e-8)
    assert mine.tau2 == pytest.approx(classical.tau2, rel=1e-8, abs=1e-10)
    assert mine.ll == pytest.approx(classical.ll, abs=1e-9)
    assert mine.influence.share == pytest.approx(classical.weights, rel=1e-7)
    if mine.tau2 > 0.0:
        assert mine.se_tau2 == pytest.approx(classical.se_tau2, rel=1e-7)


def test_law_an_interval_that_shrinks_becomes_its_density() -> None:
    columns = rows(3, 12)
    y, i = 0.45, 4
    exact = {key: values.copy() for key, values in columns.items()}
    exact["yi"][i], exact["lo"][i], exact["hi"][i] = y, np.nan, np.nan
    expected = partial.fit(**exact)
    for width in (1e-2, 1e-4, 1e-7):
        narrow = {key: values.copy() for key, values in exact.items()}
        narrow["yi"][i], narrow["lo"][i], narrow["hi"][i] = np.nan, y - width / 2, y + width / 2
        found = partial.fit(**narrow)
        # the error of a midpoint is of second order in the width
        assert found.beta == pytest.approx(expected.beta, abs=width**2 + 1e-9)
        assert found.tau2 == pytest.approx(expected.tau2, abs=width**2 + 1e-9)
        assert found.ll - np.log(found_width(narrow, i)) == pytest.approx(expected.ll, abs=10 * width**2 + 1e-9)


def found_width(columns: Columns, i: int) -> float:
    return float(columns["hi"][i] - columns["lo"][i])  # as rounded, not as asked for


def test_law_a_very_wide_interval_adds_nothing() -> None:
    columns = rows(5, 10)
    one = partial.fit(**columns)
    wide = {"yi": np.nan, "vi": 0.05, "lo": -1e3, "hi": 1e3}
    more = partial.fit(**append(columns, wide))
    assert_same(one, more)
    assert more.ll == pytest.approx(one.ll, abs=1e-12)
    assert more.influence.share[-1] == pytest.approx(0.0, abs=1e-9)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=SEEDS, k=st.integers(3, 15))
def test_law_a_direction_pulls_to_its_side(seed: int, k: int) -> None:
    columns = rows(seed, k)
    one = partial.fit(**columns)
    for lo, hi, sign in ((0.0, np.inf, 1.0), (-np.inf, 0.0, -1.0)):
        extra = {"yi": np.nan, "vi": 0.05, "lo": lo, "hi": hi}
        more = partial.fit(**append(columns, extra))
        assert sign * (more.beta[0] - one.beta[0]) > -1e-9
        assert more.ll <= one.ll  # a probability is at most 1


def test_law_derivatives_of_rows_equal_differences() -> None:
    columns = rows(7, 14)
    columns["lo"][3], columns["hi"][3], columns["yi"][3] = 0.2, 0.2001, np.nan  # narrow
    columns["lo"][4], columns["hi"][4], columns["yi"][4] = 9.0, np.inf, np.nan  # far
    X = np.ones((14, 1))
    sets = coarse(columns["yi"], columns["lo"], columns["hi"], columns["vi"], X)
    h, b, t = 1e-5, np.array([[0.2]]), np.array([0.07])
    now = terms(sets, b, t)
    up, down = terms(sets, b + h, t), terms(sets, b - h, t)
    wide, tight = terms(sets, b, t + h), terms(sets, b, t - h)
    for name, exact, plus, minus in (
        ("mu", now.mu, up.value, down.value),
        ("mu_mu", now.mu_mu, up.mu, down.mu),
        ("q", now.q, wide.value, tight.value),
        ("mu_q", now.mu_q, wide.mu, tight.mu),
        ("q_q", now.q_q, wide.q, tight.q),
    ):
        assert exact == pytest.approx((plus - minus) / (2 * h), rel=1e-5, abs=1e-6 * float(np.abs(exact).max())), name


@settings(max_examples=10, deadline=None, derandomize=True)
@given(seed=SEEDS, k=st.integers(3, 25))
def test_law_no_other_point_is_more_likely(seed: int, k: int) -> None:
    """An optimiser without gradients, started all over the plane, finds nothing better."""
    sets = bundle(rows(seed, k))
    best = peak(sets)

    def loss(point: Array) -> float:
        return -float(terms(sets, np.array([[point[0]]]), np.array([point[1] ** 2])).value.sum())

    for start in ((-1.0, 0.1), (0.3, 0.01), (0.3, 1.0), (2.0, 3.0)):
        found = optimize.minimize(loss, np.array(start), method="Nelder-Mead", options={"fatol": 1e-10})
        assert -found.fun <= best.ll[0] + 1e-7


def bundle(columns: Columns) -> Coarse:
    k = len(columns["yi"])
    return coarse(columns["yi"], columns["lo"], columns["hi"], columns["vi"], np.ones((k, 1)))


@settings(max_examples=10, deadline=None, derandomize=True)
@given(seed=SEEDS, k=st.integers(4, 25))
def test_law_interval_ends_have_the_deviance_of_their_level(seed: int, k: int) -> None:
    columns = rows(seed, k)
    found = partial.fit(**columns, level=0.9)
    target = special.chdtri(1, 0.1)
    sets = bundle(columns)
    for end in (found.ci_lb[0], found.ci_ub[0]):
        held = peak(sets, held=np.array([[True]]), at=np.array([[end]]))
        assert 2.0 * (found.ll - held.ll[0]) == pytest.approx(target, rel=1e-6)
    for end in (found.tau2_ci_lb, found.tau2_ci_ub):
        over_mean = optimize.minimize_scalar(
            lambda b, t=end: -float(terms(sets, np.array([[b]]), np.array([t])).value.sum()),
            bracket=(found.beta[0] - 0.1, found.beta[0] + 0.1),
            tol=1e-10,
        )
        deviance = 2.0 * (found.ll + over_mean.fun)
        assert deviance == pytest.approx(target, rel=1e-5) or (end == 0.0 and deviance <= target)


def test_law_likelihood_ratio_test_agrees_with_the_interval() -> None:
    for seed in range(20):
        found = partial.fit(**rows(seed, 12))
        outside = not found.ci_lb[0] <= 0.0 <= found.ci_ub[0]
        assert (found.pval[0] < 0.05) == outside


def test_law_influence_is_the_change_when_a_row_is_left_out() -> None:
    columns = rows(11, 9)
    found = partial.fit(**columns)
    for i in range(9):
        kept = np.arange(9) != i
        without = partial.fit(**{key: values[kept] for key, values in columns.items()})
        assert found.influence.change[i, 0] == pytest.approx(without.beta[0] - found.beta[0], rel=1e-6, abs=1e-9)
        assert found.influence.change_se[i] == pytest.approx(found.influence.change[i] / found.se)
        assert found.influence.tau2[i] == pytest.approx(without.tau2, rel=1e-6, abs=1e-9)
    assert found.influence.share.sum() == pytest.approx(100.0)


def test_law_moderators_of_any_unit_give_the_same_fit() -> None:
    columns = rows(13, 20)
    x = np.random.default_rng(1).normal(size=20)
    one = partial.fit(**columns, X=np.column_stack([np.ones(20), x]), names=["intercept", "dose"])
    other = partial.fit(**columns, X=np.column_stack([np.ones(20), 1e6 * x]), names=["intercept", "dose"])
    assert other.beta * [1.0, 1e6] == pytest.approx(one.beta, rel=1e-6)
    assert other.ci_lb * [1.0, 1e6] == pytest.approx(one.ci_lb, rel=1e-6)
    assert other.pval == pytest.approx(one.pval, rel=1e-6)
    assert np.isnan(one.pi_lb)


def test_law_comparison_holds_both_answers_and_is_json() -> None:
    columns = rows(17, 12)
    both = partial.compare(**columns, slab=[f"trial {i}" for i in range(12)])
    exact = np.isfinite(columns["yi"])
    assert both.exact is not None
    alone = partial.fit(columns["yi"][exact], columns["vi"][exact])
    assert (both.exact.beta[0], both.exact.tau2) == (alone.beta[0], alone.tau2)
    assert both.everything.counts["exact"] == exact.sum()
    assert sum(both.everything.counts.values()) == 12
    json.dumps(both.to_dict(), allow_nan=False)
    frame = both.to_frame()
    assert frame["share_exact"].sum() == pytest.approx(100.0)
    assert (frame["share_exact"][~exact] == 0.0).all()
    assert str(both).splitlines()[0].split() == ["exact", "effects", "only", "all", "information"]
    assert "LR χ²(1)" in str(both.everything)


def test_law_comparison_without_exact_rows_says_why() -> None:
    both = partial.compare([None, None], [0.05, 0.05], lo=[-0.4, -0.4], hi=[0.4, 0.4])
    assert both.exact is None
    assert both.reason == "there is no exact effect."
    assert both.everything.beta[0] == pytest.approx(0.0, abs=1e-9)
    assert "rests on intervals and directions alone" in str(both)


def test_law_one_row_takes_heterogeneity_as_unknown() -> None:
    found = partial.fit([0.3], [0.04])
    classical = univariate.fit([0.3], [0.04])
    assert [found.ci_lb[0], found.ci_ub[0]] == pytest.approx([classical.ci_lb[0], classical.ci_ub[0]], rel=1e-8)
    assert np.isnan([found.tau2, found.tau2_ci_ub, found.pi_lb]).all()
    assert "Only one row" in str(found)


def test_law_a_row_that_holds_everything_has_no_leave_one_out_answer() -> None:
    found = partial.fit([0.3, None, None], [0.04, 0.05, 0.05], lo=[None, 0, 0], hi=[None, np.inf, np.inf])
    assert np.isnan(found.influence.change[0, 0])
    assert np.isfinite(found.influence.change[1:, 0]).all()


TWO_GROUPS = [[1, 0], [1, 0], [1, 1], [1, 1], [1, 0]]


def test_law_contradicting_directions_determine_a_moderator() -> None:
    found = partial.fit(
        [0.3, 0.2, None, None, 0.25],
        [0.04] * 5,
        lo=[None, None, 0, -np.inf, None],
        hi=[None, None, np.inf, 0, None],
        X=TWO_GROUPS,
    )
    assert found.beta == pytest.approx([0.25, -0.25], abs=1e-7)
    assert np.isfinite([found.ci_lb, found.ci_ub]).all()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"yi": [None, None], "lo": [0, 0], "hi": [np.inf, np.inf]},
            "All 2 rows are directions.*no finite maximum.*sign test",
        ),
        (
            {
                "yi": [0.3, 0.2, None, None, 0.25],
                "lo": [None, None, 0, 0, None],
                "hi": [None, None, np.inf, np.inf, None],
                "X": TWO_GROUPS,
                "names": ["intercept", "group"],
            },
            "Nothing keeps group finite",
        ),
        ({"yi": [0.1, 0.2], "lo": [None, 0.0], "hi": [None, 1.0]}, "an effect or an interval, not both; row 2"),
        ({"yi": [0.1, None]}, "needs yi, or both lo and hi.*row 2"),
        ({"yi": [0.1, None], "lo": [None, 0.0], "hi": [None, None]}, "row 2 has lo = 0, hi = nan"),
        ({"yi": [0.1, None], "lo": [None, 1.0], "hi": [None, 1.0]}, "lo must be below hi; row 2"),
        ({"yi": [0.1, None], "lo": [None, -np.inf], "hi": [None, np.inf]}, "Row 2 reaches from -inf to inf"),
        ({"yi": [np.inf, 0.1]}, "yi must be a finite number; given inf in row 1"),
        ({"yi": [], "vi": []}, "k = 0 rows"),
        ({"yi": [0.1], "vi": [0.0]}, "must be positive and finite; given 0 in row 1"),
        ({"yi": [0.1, 0.2], "lo": [None]}, "given lengths: yi 2, vi 2, lo 1, hi 2"),
    ],
)
def test_law_rows_without_an_answer_are_refused_in_a_sentence(columns: Columns, message: str) -> None:
    with pytest.raises(FitError, match=message):
        partial.fit(**{"vi": [0.05] * len(columns["yi"]), **columns})


def test_law_examples_in_the_documentation_hold() -> None:
    for module in (partial, univariate):
        outcome = doctest.testmod(module)
        assert (outcome.failed, outcome.attempted > 0) == (0, True)


def test_law_a_level_outside_its_range_is_refused() -> None:
    with pytest.raises(InputError, match="level must lie between 0 and 1"):
        partial.fit([0.1], [0.1], level=1.5)


def test_law_the_maximum_alone_is_the_maximum_of_the_fit() -> None:
    rng = np.random.default_rng(11)
    v = rng.uniform(0.02, 0.2, 14)
    y = np.where(np.arange(14) % 3 == 0, np.nan, rng.normal(0.2, np.sqrt(v)))
    lo, hi = np.where(np.isnan(y), -0.5, np.nan), np.where(np.isnan(y), 0.6, np.nan)
    X = np.column_stack([np.ones(14), rng.normal(size=14)])
    assert partial.maximum(y, v, lo=lo, hi=hi, X=X) == pytest.approx(
        partial.fit(y, v, lo=lo, hi=hi, X=X).ll, abs=1e-10
    )


def test_law_a_flat_likelihood_has_an_interval_and_no_standard_error() -> None:
    found = partial.fit([None, None], [0.01, 0.01], lo=[-50.0, -40.0], hi=[50.0, 60.0])
    assert np.isnan(found.se[0])
    assert -np.inf < found.ci_lb[0] < -40.0  # every mean both intervals allow, and more if τ² is not 0
    assert 50.0 < found.ci_ub[0] < np.inf
    assert any("flat around intercept" in note for note in found.notes)


def test_law_sharp_and_contradicting_intervals_are_fitted() -> None:
    """Slivers and half-lines many standard errors apart: the search neither stalls nor loses the maximum."""
    v = np.full(6, 1e-6)
    columns: Columns = {
        "yi": [None, None, None, None, 0.5, None],
        "lo": [0.1, -0.3, 2.0, -np.inf, None, 0.5],
        "hi": [0.1 + 1e-7, -0.3 + 1e-7, np.inf, -1.0, None, 0.5 + 1e-9],
    }
    found = partial.fit(**columns, vi=v)
    assert found.tau2 == pytest.approx(found.influence.tau2.mean(), rel=1.0)
    assert found.tau2 > 0.1
    exact = partial.fit([0.1, -0.3, 0.5, 0.5], v[:4])
    slivers = partial.fit(
        [None] * 4, v[:4], lo=[0.1, -0.3, 0.5, 0.5], hi=[0.1 + 1e-9, -0.3 + 1e-9, 0.5 + 1e-9, 0.5 + 1e-9]
    )
    assert slivers.beta == pytest.approx(exact.beta, rel=1e-6)
    assert slivers.tau2 == pytest.approx(exact.tau2, rel=1e-6)


def wild(seed: int) -> tuple[Columns, Array]:
    """Rows of every kind, any size, widths and variances over six orders of magnitude, up to three coefficients."""
    rng = np.random.default_rng(seed)
    k = int(rng.integers(4, 30))
    v = 10.0 ** rng.uniform(-3.0, 3.0, k)
    s = np.sqrt(v)
    y = rng.normal(rng.choice([0.0, 2.0]), s) + rng.standard_t(2, k) * rng.choice([0.0, 1.0, 10.0])
    kind = rng.integers(0, 4, k)
    kind[:4] = 0  # enough to hold every coefficient
    width, place = s * 10.0 ** rng.uniform(-6.0, 3.0, k), rng.random(k)
    null = np.abs(y) < 1.96 * s
    lo = np.select(
        [kind == 1, kind == 2, kind == 3],
        [
            y - place * width,
            np.where(y > 0, 0.0, -np.inf),
            np.where(null, -1.96 * s, np.where(y > 0, 1.96 * s, -np.inf)),
        ],
        np.nan,
    )
    hi = np.select(
        [kind == 1, kind == 2, kind == 3],
        [
            y + (1 - place) * width,
            np.where(y > 0, np.inf, 0.0),
            np.where(null, 1.96 * s, np.where(y > 0, np.inf, -1.96 * s)),
        ],
        np.nan,
    )
    X = np.column_stack([np.ones(k), rng.normal(size=(k, int(rng.integers(0, 3))))])
    return {"yi": np.where(kind == 0, y, np.nan), "vi": v, "lo": lo, "hi": hi}, X


@pytest.mark.parametrize("seed", range(25))
def test_law_wild_rows_are_fitted_at_the_global_maximum(seed: int) -> None:
    columns, X = wild(seed)
    p = X.shape[1]
    found = partial.fit(**columns, X=X)
    assert np.isfinite([found.beta, found.ci_lb, found.ci_ub]).all()
    assert found.tau2_ci_lb <= found.tau2 * (1 + 1e-6) <= found.tau2_ci_ub * (1 + 1e-5) + 1e-9
    sets = coarse(columns["yi"], columns["lo"], columns["hi"], columns["vi"], X)
    grid = np.concatenate([[0.0], np.geomspace(1e-6, 1e10, 200)])
    many = sets.pick(np.zeros(201, dtype=np.intp))
    _, now = settle(many, grid, held=np.zeros((201, p), dtype=bool), at=np.zeros((201, p)))
    assert now.value.sum(axis=1).max() <= found.ll + 1e-7
