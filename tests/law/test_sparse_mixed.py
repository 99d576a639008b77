"""Laws of the mixed models of counts: integrals against brute force, derivatives, symmetries, limits, refusals."""

import json

import numpy as np
import pytest

from dualtrace.errors import DualtraceError, FitError, InputError
from dualtrace.pooling.likelihood import Array
from dualtrace.pooling.sparse import mixed
from dualtrace.pooling.sparse.betabinomial import Groups, beta_binomial
from dualtrace.pooling.sparse.betabinomial import evaluate as beta_evaluate
from dualtrace.pooling.sparse.common import mantel_haenszel
from dualtrace.pooling.sparse.families import Binomial, Family, Poisson, hypergeometric
from dualtrace.pooling.sparse.glmm import build, counts, glmm
from dualtrace.pooling.sparse.quadrature import Effects, marginal
from dualtrace.pooling.univariate import fit

NIELWEISE = {  # catheter infections, events among patients; some arms have none
    "ai": [0, 0, 2, 5, 0, 0, 1, 5, 4],
    "n1i": [116, 44, 208, 130, 151, 98, 174, 74, 97],
    "ci": [3, 3, 9, 7, 6, 4, 3, 8, 1],
    "n2i": [117, 35, 195, 136, 157, 139, 177, 75, 103],
}
RATES = {
    "x1i": [7, 0, 4, 11, 2],
    "t1i": [1491.0, 500.0, 900.0, 1600.0, 300.0],
    "x2i": [11, 3, 9, 12, 8],
    "t2i": [1988.0, 450.0, 700.0, 1400.0, 310.0],
}
MODELS = ("UM.FS", "UM.RS", "CM.EL", "CM.AL")


def families() -> dict[str, tuple[Family, Array]]:
    n = np.array([[20.0, 30.0], [8.0, 5.0], [50.0, 44.0]])
    y = np.array([[3.0, 9.0], [0.0, 5.0], [50.0, 20.0]])
    return {
        "binomial": (Binomial(y, n), np.array([[0.5, 1.0], [-0.5, 1.0]])),
        "poisson": (Poisson(y, n), np.array([[0.5, 1.0], [-0.5, 1.0]])),
        "hypergeometric": (hypergeometric(*y.T[:1], *n.T[:1], *y.T[1:], *n.T[1:]), np.array([[1.0, 0.5]])),
    }


@pytest.mark.parametrize("name", families())
@pytest.mark.parametrize("dimensions", [1, 2])
def test_law_integrals_equal_brute_force(name: str, dimensions: int) -> None:
    family, loads = families()[name]
    loads = loads[:, :dimensions]
    sigma = np.array([[0.9, 0.6]])[:, :dimensions]
    eta = np.random.default_rng(4).normal(-0.5, 0.4, (1, 3, loads.shape[0]))
    found = marginal(family, Effects(eta, sigma, loads), nodes=60 if dimensions == 1 else 40)
    grid = np.linspace(-10.0, 10.0, 4001 if dimensions == 1 else 401)
    z = grid[:, None] if dimensions == 1 else np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    value = family(eta + ((z * sigma) @ loads.T)[:, None, :]).value.sum(-1) - 0.5 * (z**2).sum(-1)[:, None]
    cell = ((grid[1] - grid[0]) / np.sqrt(2.0 * np.pi)) ** dimensions
    assert found.value[0] == pytest.approx(np.log(np.exp(value).sum(0) * cell), rel=1e-9)


@pytest.mark.parametrize("name", families())
def test_law_derivatives_equal_differences(name: str) -> None:
    family, loads = families()[name]
    J = loads.shape[0]
    start = np.concatenate([np.random.default_rng(5).normal(-0.4, 0.3, J), [0.8, 0.5]])

    def look(point: Array) -> tuple[Array, Array]:
        at = Effects(np.broadcast_to(point[:J], (1, 3, J)), point[None, J:], loads)
        found = marginal(family, at, nodes=40)
        return found.value[0], found.first[0]

    at = Effects(np.broadcast_to(start[:J], (1, 3, J)), start[None, J:], loads)
    found, h = marginal(family, at, nodes=40), 1e-5
    for a in range(J + 2):
        step = np.eye(J + 2)[a] * h
        (v1, g1), (v2, g2) = look(start + step), look(start - step)
        assert found.first[0, :, a] == pytest.approx((v1 - v2) / (2 * h), rel=1e-6, abs=1e-8)
        assert found.second[0, :, a] == pytest.approx((g1 - g2) / (2 * h), rel=1e-5, abs=1e-7)
    # the derivative in a variance is that in its standard deviation over twice the latter
    assert found.rise[0] == pytest.approx(found.first[0, :, J:] / (2.0 * start[J:]), rel=1e-7, abs=1e-10)


@pytest.mark.parametrize("model", MODELS[:3])
@pytest.mark.parametrize("method", ["ML", "EE"])
def test_law_swapping_arms_turns_the_sign(model: str, method: str) -> None:
    c = NIELWEISE
    swapped = {"ai": c["ci"], "n1i": c["n2i"], "ci": c["ai"], "n2i": c["n1i"]}
    one, other = (glmm("OR", t, model=model, method=method) for t in (c, swapped))  # type: ignore[arg-type]  # words from the lists
    assert other.beta == pytest.approx(-one.beta, rel=1e-7)
    assert other.se == pytest.approx(one.se, rel=1e-7)
    assert (other.tau2, other.ll) == pytest.approx((one.tau2, one.ll), rel=1e-6)


@pytest.mark.parametrize("model", MODELS[:3])
def test_law_swapping_events_and_others_turns_the_sign(model: str) -> None:
    c = {name: np.array(values) for name, values in NIELWEISE.items()}
    swapped = {**c, "ai": c["n1i"] - c["ai"], "ci": c["n2i"] - c["ci"]}
    one, other = (glmm("OR", t, model=model) for t in (c, swapped))  # type: ignore[arg-type]  # words from the list
    assert other.beta == pytest.approx(-one.beta, rel=1e-7)
    assert (other.tau2, other.ll) == pytest.approx((one.tau2, one.ll), rel=1e-6)


def test_law_order_and_silent_rows_do_not_matter() -> None:
    order = np.random.default_rng(1).permutation(9)
    c = {name: np.array(values) for name, values in NIELWEISE.items()}
    more = {
        "ai": np.append(c["ai"], 0),
        "n1i": np.append(c["n1i"], 50),
        "ci": np.append(c["ci"], 0),
        "n2i": np.append(c["n2i"], 40),
    }
    for model in MODELS:
        one = glmm("OR", c, model=model)  # type: ignore[arg-type]  # a word from the list
        moved = glmm("OR", {n: v[order] for n, v in c.items()}, model=model)  # type: ignore[arg-type]
        wider = glmm("OR", more, model=model, slab=[*"abcdefghij"])  # type: ignore[arg-type]
        assert moved.beta == pytest.approx(one.beta, rel=1e-8)
        assert (wider.beta[0], wider.tau2, wider.k) == pytest.approx((one.beta[0], one.tau2, 9), rel=1e-12)
        assert wider.notes == ("Left out, no events or nothing but events in both arms: row j.",)


def test_law_rates_given_the_events_are_the_same_model() -> None:
    """Poisson arms with free levels: conditioning on a row's events loses nothing, so β and its error agree."""
    free, given = (glmm("IRR", RATES, model=model, method="EE") for model in ("UM.FS", "CM.EL"))
    assert free.beta == pytest.approx(given.beta, rel=1e-10)
    assert free.se == pytest.approx(given.se, rel=1e-10)
    assert pytest.approx(given.QE_LRT, rel=1e-9) == free.QE_LRT


def test_law_matched_pairs_have_a_closed_conditional_answer() -> None:
    first, second = np.repeat([1, 0], [31, 11]), np.repeat([0, 1], [31, 11])
    pairs = {"ai": first, "n1i": 1, "ci": second, "n2i": 1}
    exact = glmm("OR", pairs, model="CM.EL", method="EE")
    free = glmm("OR", pairs, model="UM.FS", method="EE")
    assert exact.beta[0] == pytest.approx(np.log(31 / 11), rel=1e-10)
    assert exact.se[0] == pytest.approx(np.sqrt(1 / 31 + 1 / 11), rel=1e-10)
    assert free.beta[0] == pytest.approx(2.0 * np.log(31 / 11), rel=1e-8)  # as many levels as pairs: twice the truth


def test_law_large_counts_lead_to_the_normal_model() -> None:
    rng = np.random.default_rng(8)
    n = np.full(12, 10**7)
    x = rng.binomial(n, 1.0 / (1.0 + np.exp(-rng.normal(-1.0, 0.5, 12))))
    found = glmm("PLO", {"xi": x, "ni": n})
    normal = fit(np.log(x / (n - x)), 1.0 / x + 1.0 / (n - x), method="ML")
    assert found.beta == pytest.approx(normal.beta, rel=1e-5)
    assert (found.se[0], found.tau2) == pytest.approx((normal.se[0], normal.tau2), rel=1e-4)


@pytest.mark.parametrize("model", ["UM.FS", "CM.EL", "CM.AL", "PLO", "IRLN"])
def test_law_twice_the_nodes_change_nothing(model: str) -> None:
    if model in {"PLO", "IRLN"}:
        name = "ni" if model == "PLO" else "ti"
        given = counts(model, {"xi": NIELWEISE["ci"], name: NIELWEISE["n2i"]}, X=None, names=None, slab=None)  # type: ignore[arg-type]
    else:
        given = counts("OR", NIELWEISE, X=None, names=None, slab=None)
    one = build(given, model, 0.5)
    found = mixed.random(one, mixed.fixed(one))
    finer = mixed.climb(one, found.peak.state, nodes=4 * found.nodes, free=True)
    assert finer.state.beta == pytest.approx(found.peak.state.beta, rel=1e-8)
    assert finer.state.sigma == pytest.approx(found.peak.state.sigma, rel=1e-8)
    assert finer.value == pytest.approx(found.peak.value, rel=1e-9)


def test_law_random_sparse_tables_have_a_stationary_answer_or_a_sentence() -> None:
    """60 sets of tables, 2 to 15 rows, risks from 1 to 60 %: interior answers have score 0, boundary ones do not rise."""
    rng = np.random.default_rng(12)
    answered = 0
    for i in range(60):
        k = int(rng.integers(2, 16))
        n1, n2 = rng.integers(3, 80, (2, k))
        base = rng.normal(rng.uniform(-4.5, 0.4), rng.uniform(0.0, 1.0), k)
        u = rng.normal(0.5, rng.choice([0.0, 0.5, 1.5]), k)
        table = {
            "ai": rng.binomial(n1, 1.0 / (1.0 + np.exp(-base - u))),
            "n1i": n1,
            "ci": rng.binomial(n2, 1.0 / (1.0 + np.exp(-base))),
            "n2i": n2,
        }
        try:
            given = counts("OR", table, X=None, names=None, slab=None)
            one = build(given, ("UM.FS", "CM.EL", "CM.AL")[i % 3], 0.5)
            equal = mixed.fixed(one)
            found = mixed.random(one, equal)
        except DualtraceError:
            continue  # a sentence: separated, or no limit on tau²
        answered += 1
        peak = found.peak
        assert peak.value[0] >= equal.value[0] - 1e-9
        fine = mixed.evaluate(one, peak.state, 120)
        if peak.state.sigma[0, 0] == 0.0:
            assert fine.rise.sum() <= 1e-9
        else:
            assert abs(fine.first.sum((0, 1))[-1]) < 1e-5
    assert answered >= 45


def test_law_perfect_separation_is_said() -> None:
    c = NIELWEISE
    with pytest.raises(FitError, match="perfectly separated"):
        glmm("OR", {**c, "ai": [0] * 9})
    for model in ("CM.EL", "CM.AL", "UM.RS"):
        with pytest.raises(FitError, match="perfectly separated"):
            glmm("OR", {**c, "ci": [0] * 9}, model=model)
    with pytest.raises(FitError, match="perfectly separated"):
        glmm("PLO", {"xi": [0, 0], "ni": [5, 9]})
    with pytest.raises(FitError, match="keeps rising"):
        glmm("PLO", {"xi": [0, 9, 0, 30], "ni": [5, 9, 40, 30]})
    with pytest.raises(FitError, match="No row has both events and others"):
        glmm("OR", {"ai": [0], "n1i": [9], "ci": [0], "n2i": [9]})
    with pytest.raises(FitError, match="perfectly separated"):  # by a moderator
        glmm("PLO", {"xi": [0, 0, 4, 5], "ni": [9, 9, 9, 9]}, X=[[1, 0], [1, 0], [1, 1], [1, 1]], method="EE")


def test_law_wrong_use_is_refused() -> None:
    with pytest.raises(InputError, match="measure must be one of OR, IRR, PLO, IRLN"):
        glmm("RD", NIELWEISE)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(InputError, match=r"CM\.AL is for odds ratios"):
        glmm("IRR", RATES, model="CM.AL")
    with pytest.raises(InputError, match="coding, the code of arm 1"):
        glmm("OR", NIELWEISE, coding=2.0)
    with pytest.raises(InputError, match=r"ai must be a whole number for CM\.EL; given 0\.5 in row 1"):
        glmm("OR", {**NIELWEISE, "ai": [0.5, *NIELWEISE["ai"][1:]]}, model="CM.EL")
    with pytest.raises(FitError, match="is a combination of"):
        glmm("PLO", {"xi": [1, 2, 3], "ni": [9, 9, 9]}, X=np.ones((3, 2)), names=["a", "b"])


def test_law_one_row_and_agreeing_rows_have_no_heterogeneity() -> None:
    alone = glmm("PLO", {"xi": [3], "ni": [10]})
    assert alone.beta[0] == pytest.approx(np.log(3 / 7), rel=1e-10)
    assert alone.tau2 == 0.0
    assert "Only one row" in alone.notes[0]
    same = glmm("OR", {"ai": [4] * 5, "n1i": [20] * 5, "ci": [8] * 5, "n2i": [20] * 5})
    assert (same.tau2, same.LRT, same.LRTp) == (0.0, 0.0, 1.0)
    assert same.beta[0] == pytest.approx(np.log(4 / 16 / (8 / 12)), rel=1e-10)
    assert pytest.approx(0.0, abs=1e-9) == same.QE_LRT
    assert same.beta[0] == pytest.approx(
        mantel_haenszel("OR", {"ai": [4] * 5, "n1i": [20] * 5, "ci": [8] * 5, "n2i": [20] * 5}).beta
    )


def test_law_beta_binomial_links_fit_alike_and_ends_are_found() -> None:
    odds, ratio = beta_binomial("OR", NIELWEISE), beta_binomial("RR", NIELWEISE)
    assert ratio.ll == pytest.approx(odds.ll, rel=1e-10)  # two mean risks, whatever their scale
    assert ratio.rho == pytest.approx(odds.rho, rel=1e-6)
    assert abs(ratio.beta[0]) < abs(odds.beta[0])
    even = beta_binomial("PLO", {"xi": [5, 5, 5, 5], "ni": [20, 20, 20, 20]})
    assert (even.rho, even.LRTp) == (0.0, 1.0)
    assert even.beta[0] == pytest.approx(np.log(1 / 3), rel=1e-10)
    assert even.ll == pytest.approx(glmm("PLO", {"xi": [5, 5, 5, 5], "ni": [20, 20, 20, 20]}).ll, rel=1e-10)
    with pytest.raises(FitError, match="An arm has 0 events among 50"):
        beta_binomial("OR", {"ai": [0, 0], "n1i": [20, 30], "ci": [1, 2], "n2i": [9, 9]})
    with pytest.raises(FitError, match="rho goes to 1"):
        beta_binomial("PLO", {"xi": [0, 9, 0, 30], "ni": [5, 9, 40, 30]})
    with pytest.raises(InputError, match=r"xi must be a whole number; given 0\.5 in row 1"):
        beta_binomial("PLO", {"xi": [0.5], "ni": [5]})


def test_law_beta_binomial_derivatives_equal_differences() -> None:
    groups = Groups(
        np.array([3.0, 0.0, 9.0]),
        np.array([20.0, 5.0, 9.0]),
        np.array([[1.0, 1.0], [0.0, 1.0], [1.0, 1.0]]),
        log=False,
    )
    point, h = np.array([0.4, -0.9, 0.2]), 1e-6
    here = beta_evaluate(groups, point[:2], point[2])
    for a in range(3):
        up, down = (
            beta_evaluate(groups, (point + s * h * np.eye(3)[a])[:2], (point + s * h * np.eye(3)[a])[2])
            for s in (1, -1)
        )
        assert here.gradient[a] == pytest.approx((up.value - down.value) / (2 * h), rel=1e-6)
        assert -here.information[a] == pytest.approx((up.gradient - down.gradient) / (2 * h), rel=1e-6)


def test_law_results_print_and_serialise() -> None:
    found = glmm("OR", NIELWEISE, model="CM.EL")
    assert "odds ratio" in str(found)
    assert "tau²" in str(found)
    assert json.loads(json.dumps(found.to_dict()))["sigma2"] is None
    assert list(found.to_frame().columns) == ["beta", "se", "zval", "pval", "ci_lb", "ci_ub"]
