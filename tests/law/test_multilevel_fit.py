"""Laws of multilevel fits: derivatives, invariances, special cases, global maximum, refusals.

Random data sets have sampling variances over two orders of magnitude; unbalanced groups of one row to many.
"""

import json
from dataclasses import FrozenInstanceError
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualtrace.errors import FitError, InputError
from dualtrace.pooling import univariate
from dualtrace.pooling.likelihood import Array
from dualtrace.pooling.multilevel import Level, Multilevel, Structured, compare, fit, fitted, nested, predict
from dualtrace.pooling.multilevel.contract import Method
from dualtrace.pooling.multilevel.known_v import KnownV
from dualtrace.pooling.multilevel.likelihood import given as effects
from dualtrace.pooling.multilevel.search import maximise
from dualtrace.pooling.multilevel.source import source
from dualtrace.pooling.multilevel.structures import Struct
from dualtrace.pooling.multilevel.terms import RandomTerm

METHODS = get_args(Method)
STRUCTS = get_args(Struct)


def rows(seed: int, k: int) -> dict[str, Any]:
    """Effects, variances, a moderator, groups, inner levels and a factor that crosses the groups."""
    rng = np.random.default_rng(seed)
    v = 10.0 ** rng.uniform(-1.0, 1.0, k)
    groups = rng.integers(0, max(3, k // 4), k)
    y = 0.3 + rng.normal(size=k // 4 + 3)[groups] + rng.normal(0.0, np.sqrt(v))
    return {
        "y": y,
        "v": v,
        "X": np.column_stack([np.ones(k), rng.normal(size=k)]),
        "groups": groups,
        "inner": rng.integers(0, 3, k),
        "lab": rng.integers(0, 5, k),
    }


def three_level(d: dict[str, Any], **options: Any) -> Multilevel:
    levels = nested("study/row", d["groups"], np.arange(len(d["y"])))
    return fit(d["y"], d["v"], X=d["X"], random=levels, **options)


def dense(d: dict[str, Any], V: Array, found: Multilevel) -> tuple[float, Array]:
    """Log-likelihood and coefficients by the textbook formulas with k x k matrices."""
    M = V.copy()
    for term, psi in zip(found.source.coded.terms, found.psi, strict=True):
        M += psi[np.ix_(term.inner, term.inner)] * (term.outer[:, None] == term.outer)
    X, y, W = found.source.X, d["y"], np.linalg.inv(M)
    gram = X.T @ W @ X
    b = np.linalg.solve(gram, X.T @ W @ y)
    rest = (y - X @ b) @ W @ (y - X @ b) + np.linalg.slogdet(M)[1]
    k, p = X.shape
    if found.method == "ML":
        return float(-0.5 * (k * np.log(2.0 * np.pi) + rest)), b
    rest += np.linalg.slogdet(gram)[1] - np.linalg.slogdet(X.T @ X)[1]
    return float(-0.5 * ((k - p) * np.log(2.0 * np.pi) + rest)), b


def correlated(v: Array) -> KnownV:
    first = np.arange(0, len(v) - 1, 2)
    return KnownV(v, first, first + 1, 0.4 * np.sqrt(v[first] * v[first + 1]))


def every_term(d: dict[str, Any], struct: Struct) -> list[RandomTerm]:
    return [Structured(struct, d["inner"], d["groups"], name="study"), Level("lab", d["lab"])]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("struct", STRUCTS)
def test_law_every_structure_has_the_likelihood_of_the_textbook(struct: Struct, method: Method) -> None:
    d = rows(1, 40)
    V = correlated(d["v"])
    found = fit(d["y"], V, X=d["X"], random=every_term(d, struct), method=method)
    ll, b = dense(d, V.dense(), found)
    assert found.converged
    assert found.ll == pytest.approx(ll, abs=1e-10)
    np.testing.assert_allclose(found.beta, b, rtol=1e-9)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("struct", STRUCTS)
def test_law_every_structure_has_its_pattern(struct: Struct, seed: int) -> None:
    d = rows(seed, 60)
    found = fit(d["y"], d["v"], random=[Structured(struct, d["inner"], d["groups"])])
    sd = np.sqrt(np.diag(found.psi[0]))
    if struct in {"ID", "CS", "AR", "CAR"}:
        np.testing.assert_array_equal(sd, sd[0])
    if struct == "UN" or sd.min() == 0.0:
        assert np.linalg.eigvalsh(found.psi[0])[0] >= -1e-12
        return
    expected = np.eye(3)
    if found.rho.size:
        i, j = np.indices((3, 3))
        expected = found.rho[0] ** (np.abs(i - j) if "AR" in struct else (i != j))
    np.testing.assert_allclose(found.psi[0] / np.outer(sd, sd), expected, atol=1e-12)


@pytest.mark.parametrize("crossed_beside", [False, True])
@pytest.mark.parametrize("restricted", [False, True])
@pytest.mark.parametrize("struct", STRUCTS)
def test_law_derivatives_equal_differences(
    struct: Struct, restricted: bool, crossed_beside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    d = rows(2, 36)
    price = 1e9 if crossed_beside else 0.0  # of blocks: so dear that every term stays outside them, or free
    monkeypatch.setattr("dualtrace.pooling.multilevel.layout._cube", lambda block: price * np.bincount(block).max())
    src = source(d["y"], correlated(d["v"]), X=d["X"], names=None, random=every_term(d, struct), slab=None)
    assert (src.where.q > 0) == crossed_beside
    model = src.model(restricted=restricted)
    use = np.ones(36)
    use[[2, 7, 20]] = 0.0
    theta = np.random.default_rng(3).normal(0.0, 0.8, model.n)
    h = 1e-5
    for sets in (src.sets, effects(src.sets.y[:, :36], use)):
        here = model.slope(sets, theta[None])
        first, second = np.zeros(model.n), np.zeros((model.n, model.n))
        for j, step in enumerate(h * np.eye(model.n)):
            up, down = (model.slope(sets, (theta + s)[None]) for s in (step, -step))
            first[j] = (up.value[0] - down.value[0]) / (2.0 * h)
            second[j] = (up.first[0] - down.first[0]) / (2.0 * h)
        np.testing.assert_allclose(here.first[0], first, atol=1e-7 * np.abs(first).max())
        np.testing.assert_allclose(here.second[0], second, atol=1e-7 * np.abs(second).max())


def test_law_crossed_terms_inside_or_beside_the_blocks_give_one_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    d = rows(4, 60)
    random = [Level("study", d["groups"]), Level("lab", d["lab"]), Level("row", list(range(60)))]
    found = []
    for price in (1e9, 0.0):
        monkeypatch.setattr(
            "dualtrace.pooling.multilevel.layout._cube", lambda block, price=price: price * np.bincount(block).max()
        )
        found.append(fit(d["y"], d["v"], random=random))
    beside, inside = found
    assert beside.source.where.q > 0
    assert inside.source.where.q == 0
    assert beside.ll == pytest.approx(inside.ll, abs=1e-10)
    np.testing.assert_allclose(beside.sigma2, inside.sigma2, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(fitted(beside).blup, fitted(inside).blup, rtol=1e-8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(5))
def test_law_one_variance_between_rows_is_the_univariate_model(method: Method, seed: int) -> None:
    d = rows(seed, 25)
    mine = fit(d["y"], d["v"], X=d["X"], random=[Level("row", list(range(25)))], method=method)
    theirs = univariate.fit(d["y"], d["v"], X=d["X"], method=method)
    assert mine.ll == pytest.approx(theirs.ll, abs=1e-10)
    assert mine.sigma2[0] == pytest.approx(theirs.tau2, rel=1e-8, abs=1e-10)
    assert mine.I2[0] == pytest.approx(theirs.I2, rel=1e-7, abs=1e-6)
    for key in ("beta", "se", "zval", "ci_lb", "QE", "QM"):
        np.testing.assert_allclose(getattr(mine, key), getattr(theirs, key), rtol=1e-8)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), k=st.integers(8, 40), method=st.sampled_from(METHODS))
def test_law_order_shift_scale_and_sign(seed: int, k: int, method: Method) -> None:
    d = rows(seed, k)
    base = three_level(d, method=method)
    order = np.random.default_rng(seed).permutation(k)
    other = three_level({key: part[order] for key, part in d.items()}, method=method)
    assert other.ll == pytest.approx(base.ll, abs=1e-8)
    np.testing.assert_allclose(other.sigma2, base.sigma2, rtol=1e-6, atol=1e-8)
    moved = three_level(d | {"y": 7.0 - 1e3 * d["y"], "v": 1e6 * d["v"]}, method=method)
    np.testing.assert_allclose(moved.sigma2, 1e6 * base.sigma2, rtol=1e-6, atol=1e-2)
    np.testing.assert_allclose(moved.beta, np.array([7.0, 0.0]) - 1e3 * base.beta, rtol=1e-6, atol=1e-4)
    assert pytest.approx(base.QE, rel=1e-9) == moved.QE


@pytest.mark.parametrize(
    ("special", "general"),
    [("ID", "DIAG"), ("ID", "CS"), ("CS", "HCS"), ("HCS", "UN"), ("DIAG", "UN"), ("AR", "HAR")],
)
@pytest.mark.parametrize("seed", range(4))
def test_law_a_special_case_never_beats_the_general_model(special: Struct, general: Struct, seed: int) -> None:
    d = rows(seed, 30)
    random = {s: [Structured(s, d["inner"], d["groups"])] for s in (special, general)}
    small, large = (fit(d["y"], d["v"], random=random[s]) for s in (special, general))
    assert large.ll >= small.ll - 1e-9
    test = compare(large, small)
    assert test.df == large.parms - small.parms > 0
    assert 0.0 <= test.p <= 1.0
    assert pytest.approx(2.0 * (large.ll - small.ll), abs=1e-8) == test.LRT


@pytest.mark.parametrize("seed", range(12))
def test_law_no_search_from_elsewhere_finds_a_higher_maximum(seed: int) -> None:
    rng = np.random.default_rng(seed)
    d = rows(seed, int(rng.integers(8, 40)))
    found = fit(d["y"], d["v"], random=every_term(d, STRUCTS[seed % len(STRUCTS)]), method=METHODS[seed % 2])
    model = found.source.model(restricted=found.method == "REML")
    starts = rng.normal(0.0, 1.5, (10, model.n)) * rng.choice([0.1, 1.0, 5.0], (10, 1))
    peaks = maximise(model, found.source.sets.pick(np.zeros(10, dtype=np.intp)), starts)
    count = found.k - found.p if found.method == "REML" else found.k
    assert np.nanmax(peaks.value) <= found.ll + count * np.log(found.source.unit) + 1e-8


def test_law_random_models_converge() -> None:
    converge_all(range(40))


@pytest.mark.slow
def test_law_two_thousand_random_models_converge() -> None:
    converge_all(range(1000, 3000))


def converge_all(seeds: range) -> None:
    """Fit every structure to k from 4 to 60 rows with variances over six orders of magnitude."""
    rng = np.random.default_rng(seeds.start)
    for seed in seeds:
        k = int(np.exp(rng.uniform(np.log(4), np.log(60))))
        d = rows(seed, k) | {"v": 10.0 ** rng.uniform(-3.0, 3.0, k)}
        random = every_term(d, STRUCTS[seed // 2 % len(STRUCTS)]) if seed % 2 else [Level("study", d["groups"])]
        try:
            found = fit(d["y"], d["v"], random=random, method=METHODS[seed // 3 % 2])
        except FitError as refused:  # two random groupings may coincide
            assert "same way" in str(refused) or "already has" in str(refused)  # noqa: PT017
            continue
        assert found.converged, (seed, found.status)
        assert np.isfinite([*found.beta, *found.se, found.ll]).all()


def test_law_identical_effects_have_no_variance_at_all() -> None:
    d = rows(5, 20) | {"y": np.full(20, 0.4)}
    found = fit(d["y"], d["v"], random=every_term(d, "UN"))
    assert found.converged
    assert (found.sigma2 == 0.0).all()
    assert (found.tau2 == 0.0).all()
    assert np.isnan(found.rho).all()
    assert "not determined" in str(found)


def test_law_a_perfect_correlation_is_reached_exactly() -> None:
    rng = np.random.default_rng(6)
    study = np.repeat(np.arange(20), 2)
    y = rng.normal(0.0, 2.0, 20)[study] + rng.normal(0.0, 0.05, 40)
    structs: tuple[Struct, ...] = ("UN", "HCS", "CS")
    for struct in structs:
        found = fit(y, np.full(40, 0.1), random=[Structured(struct, [0, 1] * 20, study)])
        assert found.converged
        np.testing.assert_array_equal(found.rho, [1.0])


def test_law_a_fixed_component_stays_and_costs_no_parameter() -> None:
    d = rows(7, 30)
    free = fit(d["y"], d["v"], random=[Structured("CS", d["inner"], d["groups"], name="study")])
    label = free.components[1].label
    assert label == "rho[study]"
    held = fit(
        d["y"],
        d["v"],
        random=[Structured("CS", d["inner"], d["groups"], name="study")],
        fixed={label: float(free.rho[0])},
    )
    assert held.ll == pytest.approx(free.ll, abs=1e-9)
    assert held.tau2[0] == pytest.approx(free.tau2[0], rel=1e-6)
    assert held.parms == free.parms - 1


def test_law_no_random_terms_is_weighted_least_squares() -> None:
    d = rows(8, 15)
    found = fit(d["y"], d["v"], X=d["X"])
    theirs = univariate.fit(d["y"], d["v"], X=d["X"], method="EE")
    np.testing.assert_allclose(found.beta, theirs.beta, rtol=1e-12)
    np.testing.assert_allclose(found.se, theirs.se, rtol=1e-12)
    assert found.components == ()
    assert np.isnan(predict(found, d["X"][0]).pi_lb).all()


def test_law_prediction_adds_the_variances_of_the_row() -> None:
    d = rows(9, 40)
    random: list[RandomTerm] = [Structured("DIAG", d["inner"], d["groups"]), Level("lab", d["lab"])]
    found = fit(d["y"], d["v"], random=random, test="t")
    named = predict(found, [[1.0], [1.0]], inner=[[0, 2]])
    half = 0.5 * (named.pi_ub - named.pi_lb)
    t = 0.5 * (named.ci_ub - named.ci_lb) / named.se
    expected = found.se[0] ** 2 + found.tau2[[0, 2]] + found.sigma2[0]
    np.testing.assert_allclose((half / t) ** 2, expected, rtol=1e-10)
    assert np.isnan(predict(found, [1.0]).pi_lb).all()
    with pytest.raises(FitError, match="inner must name one of 0, 1, 2"):
        predict(found, [1.0], inner=[["x"]])


def test_law_result_is_json_frozen_and_prints() -> None:
    found = three_level(rows(10, 24))
    text = json.dumps(found.to_dict())
    assert "sigma2[study]" in text
    assert list(found.to_frame().index) == ["x1", "x2"]
    assert "log-likelihood" in str(found)
    with pytest.raises(FrozenInstanceError, match="cannot assign"):
        found.ll = 0.0  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        found.beta[0] = 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"V": [0.1, 0.1, -1.0, 0.1]}, "must be positive and finite; given -1 in row 3"),
        ({"V": np.ones((4, 4))}, "V must be positive definite.*rows 1, 2, 3, 4"),
        ({"V": np.triu(np.ones((4, 4)))}, "V must be symmetric"),
        ({"V": np.ones((4, 3))}, "V must be square"),
        ({"V": np.diag([1.0, 1.0, 1.0, np.nan])}, "V must hold finite numbers"),
        ({"X": np.eye(4)}, "k = 4 rows cannot determine p = 4"),
        ({"random": [Level("a", [1, 1, 1, 1])]}, "already has a coefficient for every a"),
        ({"random": [Level("a", [1, 1, 2, 2]), Level("b", "xxyy")]}, "a and b group the rows in the same way"),
        ({"random": [Level("a", [1, 1, 2])]}, "a must have one value per row; given 3 for 4"),
        ({"random": [Level("a", [1, 1, 2, None])]}, "row 4 has none"),
        ({"random": [Structured("AR", "abab", [1, 1, 2, 2])]}, "must be numbers, times, under AR"),
    ],
)
def test_law_input_without_an_answer_is_refused_in_a_sentence(options: dict[str, Any], message: str) -> None:
    given_: dict[str, Any] = {"yi": [0.1, 0.2, 0.4, 0.0], "V": [0.1] * 4} | options
    with pytest.raises(FitError, match=message):
        fit(**given_)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "DL"}, "method must be one of REML, ML"),
        ({"test": "knha"}, "test must be one of z, t"),
        ({"level": 95}, "level must lie between 0 and 1"),
        ({"fixed": {"tau2": 1.0}}, r"fixed must name one of sigma2\[study\], sigma2\[study/row\]"),
        ({"fixed": {"sigma2[study]": -1.0}}, "must lie between 0 and inf"),
    ],
)
def test_law_unknown_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        three_level(rows(12, 20), **options)


def test_law_comparison_needs_one_full_and_one_reduced_model() -> None:
    d = rows(13, 20)
    full = three_level(d)
    reduced = fit(d["y"], d["v"], X=d["X"], random=[Level("study", d["groups"])])
    assert "LRT(1)" in str(compare(full, reduced))
    with pytest.raises(InputError, match="full model must come first"):
        compare(reduced, full)
    with pytest.raises(InputError, match="same rows and method"):
        compare(full, three_level(rows(14, 20)))
    with pytest.raises(InputError, match="fit both by ML"):
        compare(full, fit(d["y"], d["v"]))
