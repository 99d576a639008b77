"""Laws of what follows a multilevel fit: predictions, profiles, robust inference, influence, assumed V."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dualtrace.errors import FitError, InputError
from dualtrace.pooling.likelihood import Array
from dualtrace.pooling.multilevel import (
    Level,
    Multilevel,
    Structured,
    assumed,
    cluster_influence,
    fit,
    fitted,
    nested,
    profile_intervals,
    random_effects,
    refit,
    robust,
)
from dualtrace.pooling.multilevel.known_v import known

if TYPE_CHECKING:
    from dualtrace.pooling.multilevel.terms import RandomTerm


def rows(seed: int = 1, studies: int = 12) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    study = np.repeat(np.arange(studies), rng.integers(1, 6, studies))
    k = study.size
    v = rng.uniform(0.05, 0.3, k)
    y = rng.normal(0.2, 0.5, studies)[study] + rng.normal(0.0, 0.3, k) + rng.normal(0.0, np.sqrt(v))
    outcome = np.concatenate([rng.permutation(6)[: int((study == s).sum())] for s in range(studies)]) % 2
    return {
        "y": y,
        "v": v,
        "study": study,
        "outcome": outcome,
        "X": np.column_stack([np.ones(k), rng.normal(size=k)]),
    }


def three_level(d: dict[str, Any], **options: Any) -> Multilevel:
    V = assumed(d["v"], d["study"], obs=list(range(len(d["y"]))), rho=0.4)
    return fit(d["y"], V, X=d["X"], random=nested("study/row", d["study"], np.arange(len(d["y"]))), **options)


def marginal(found: Multilevel) -> Array:
    M = found.source.V.dense()
    for term, psi in zip(found.source.coded.terms, found.psi, strict=True):
        M += psi[np.ix_(term.inner, term.inner)] * (term.outer[:, None] == term.outer)
    return M


@pytest.mark.parametrize("beside", [False, True])
def test_law_random_effects_solve_the_mixed_model_equations(beside: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    price = 1e9 if beside else 0.0
    monkeypatch.setattr("dualtrace.pooling.multilevel.layout._cube", lambda block: price * np.bincount(block).max())
    d = rows()
    random: list[RandomTerm] = [Structured("UN", d["outcome"], d["study"]), Level("row", np.arange(len(d["y"])))]
    # a fixed correlation keeps Ψ invertible, as the equations in their textbook form need it
    found = fit(d["y"], d["v"], X=d["X"], random=random, fixed={"rho[outer: 0, 1]": 0.3})
    assert min(found.tau2.min(), found.sigma2.min()) > 0.0
    Z, Psi = [], []
    for term, psi in zip(found.source.coded.terms, found.psi, strict=True):
        Z.append((term.effects[:, None] == np.arange(term.groups * len(psi))).astype(float))
        Psi.append(np.kron(np.eye(term.groups), psi))
    ZZ, p = np.hstack(Z), found.p
    N = np.hstack([d["X"], ZZ])
    total = sum(len(part) for part in Psi)
    G = np.zeros((total, total))
    at = 0
    for part in Psi:
        G[at : at + len(part), at : at + len(part)] = part
        at += len(part)
    C = N.T @ (N / d["v"][:, None])
    C[p:, p:] += np.linalg.inv(G)
    C = np.linalg.inv(C)
    solution = C @ N.T @ (d["y"] / d["v"])
    answers = random_effects(found)
    np.testing.assert_allclose(np.concatenate([a.u for a in answers]), solution[p:], rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(np.concatenate([a.se for a in answers]), np.sqrt(np.diag(C)[p:]), rtol=1e-7)
    np.testing.assert_allclose(fitted(found).blup, N @ solution, rtol=1e-8, atol=1e-10)
    assert "outer" in str(answers[0])
    json.dumps(answers[0].to_dict())


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_law_ends_of_a_profile_interval_lose_the_same_likelihood(method: Any) -> None:
    d = rows(2)
    random = [Structured("UN", d["outcome"], d["study"], name="study")]
    found = fit(d["y"], d["v"], X=d["X"], random=random, method=method)
    intervals = profile_intervals(found)
    assert "95% CI" in str(intervals)
    checked = 0
    for label, low, high, value in zip(
        intervals.labels, intervals.ci_lb, intervals.ci_ub, intervals.value, strict=True
    ):
        assert low <= value <= high
        for end in (low, high):
            if label.startswith("tau2") and end == 0.0:
                continue
            held = fit(d["y"], d["v"], X=d["X"], random=random, method=method, fixed={label: float(end)})
            loss = 2.0 * (found.ll - held.ll)
            if abs(end) == 1.0:
                assert loss <= 3.841459 + 1e-6
            else:
                assert loss == pytest.approx(3.841458820694124, rel=1e-7)
                checked += 1
    assert checked >= 3
    with pytest.raises(InputError, match="level must lie between 0 and 1"):
        profile_intervals(found, level=95.0)


def test_law_cr2_is_unbiased_when_the_working_model_is_right() -> None:
    from dualtrace.pooling.multilevel.robust import _adjusted, _pieces
    from dualtrace.pooling.multilevel.terms import cluster_code

    d = rows(3)
    found = three_level(d)
    code, labels = cluster_code(d["study"], found.k)
    pieces = _pieces(found, code, len(labels))
    assert pieces is not None
    _, spread = _adjusted(pieces, "CR2", 1.0)
    expected = (spread.own - spread.shared.swapaxes(1, 2) @ spread.shared).sum(0) * found.source.unit**2
    np.testing.assert_allclose(expected, found.vb, rtol=1e-9)


@pytest.mark.parametrize(("type_", "factor"), [("CR0", 1.0), ("CR1", 12 / 11), ("CR1p", 12 / 10)])
def test_law_plain_sandwich_equals_its_formula(type_: Any, factor: float) -> None:
    d = rows(4)
    found = three_level(d)
    W = np.linalg.inv(marginal(found))
    bread = np.linalg.inv(d["X"].T @ W @ d["X"])
    same = d["study"][:, None] == d["study"]
    r = d["y"] - d["X"] @ found.beta
    meat = d["X"].T @ W @ (np.outer(r, r) * same) @ W @ d["X"]
    for dfs in ("satterthwaite", "residual"):
        mine = robust(found, d["study"], type=type_, dfs=dfs)
        np.testing.assert_allclose(mine.vb, factor * bread @ meat @ bread, rtol=1e-8)
    assert "12 clusters" in str(mine)
    json.dumps(mine.to_dict())


def test_law_clusters_tied_together_are_refused_or_taken_with_plain_residuals() -> None:
    d = rows(5)
    lab = np.arange(len(d["y"])) % 5
    found = fit(d["y"], d["v"], X=d["X"], random=[Level("study", d["study"]), Level("lab", lab)])
    with pytest.raises(FitError, match="tie rows of different clusters together"):
        robust(found, d["study"])
    mine = robust(found, d["study"], type="CR0", dfs="residual")
    W = np.linalg.inv(marginal(found))
    bread = np.linalg.inv(d["X"].T @ W @ d["X"])
    scores = (W @ d["X"]) * (d["y"] - d["X"] @ found.beta)[:, None]
    sums = np.array([scores[d["study"] == s].sum(0) for s in range(12)])
    np.testing.assert_allclose(mine.vb, bread @ sums.T @ sums @ bread, rtol=1e-8)


def test_law_robust_refusals() -> None:
    d = rows(6)
    found = three_level(d)
    with pytest.raises(FitError, match="more clusters than coefficients; given 2 clusters for p = 2"):
        robust(found, d["study"] % 2)
    with pytest.raises(InputError, match="type must be one of CR0"):
        robust(found, d["study"], type="HC3")  # type: ignore[arg-type]  # the refusal is the test
    with pytest.raises(FitError, match="cluster must have one value per row"):
        robust(found, d["study"][1:])


@pytest.mark.parametrize("crossed", [False, True])
def test_law_influence_equals_fits_of_the_other_rows(crossed: bool) -> None:
    d = rows(7)
    k = len(d["y"])
    lab = np.arange(k) % 5

    def again(keep: Any) -> Multilevel:
        random = [
            Level("study", d["study"][keep]),
            Level("lab" if crossed else "row", (lab if crossed else np.arange(k))[keep]),
        ]
        return fit(d["y"][keep], d["v"][keep], X=d["X"][keep], random=random)

    found = again(np.ones(k, dtype=bool))
    cluster = lab if crossed else d["study"]
    mine = cluster_influence(found, cluster)
    assert mine.converged.all()
    for i, label in enumerate(mine.clusters):
        other = again(cluster != int(label))
        np.testing.assert_allclose(mine.beta[i], other.beta, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(mine.se[i], other.se, rtol=1e-7)
        np.testing.assert_allclose(mine.values[i], other.sigma2, rtol=1e-6, atol=1e-8)
        change = found.beta - other.beta
        assert mine.cook[i] == pytest.approx(change @ np.linalg.solve(found.vb, change), rel=1e-6)
    assert "Cook" in str(mine)
    json.dumps(mine.to_dict())
    with pytest.raises(FitError, match="Leaving clusters out needs at least two"):
        cluster_influence(found, [1] * k)


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_law_many_data_sets_at_once_equal_one_after_the_other(method: Any) -> None:
    d = rows(10)
    found = three_level(d, method=method)
    root = np.linalg.cholesky(marginal(found))
    Y = d["X"] @ found.beta + np.random.default_rng(1).normal(size=(6, found.k)) @ root.T
    many = refit(found, Y)
    assert many.converged.all()
    for i, y in enumerate(Y):
        one = three_level(d | {"y": y}, method=method)
        assert many.ll[i] == pytest.approx(one.ll, abs=1e-8)
        np.testing.assert_allclose(many.beta[i], one.beta, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(many.se[i], one.se, rtol=1e-7)
        np.testing.assert_allclose(many.values[i], one.sigma2, rtol=1e-6, atol=1e-8)
    with pytest.raises(FitError, match="one finite effect for each of k"):
        refit(found, Y[:, 1:])


def test_law_a_cluster_that_alone_holds_a_moderator_gives_nan() -> None:
    d = rows(8)
    X = np.column_stack([np.ones(len(d["y"])), d["study"] == 3])
    found = fit(d["y"], d["v"], X=X, random=[Level("study", d["study"])])
    mine = cluster_influence(found, d["study"])
    assert np.isnan(mine.beta[3]).all()
    assert np.isfinite(np.delete(mine.beta, 3, axis=0)).all()


def test_law_assumed_correlations_follow_their_formulas() -> None:
    v = np.array([1.0, 4.0, 9.0])
    V = assumed(v, [1, 1, 2], obs=["a", "b", "a"], rho=0.5).dense()
    np.testing.assert_allclose(V, [[1.0, 1.0, 0.0], [1.0, 4.0, 0.0], [0.0, 0.0, 9.0]])
    # a control group shared by two equal arms gives one half; sizes n give n1/(n1 + n0) shares
    shared = assumed(v, [1, 1, 1], grp1=["x", "y", "z"], grp2=["c", "c", "d"]).dense()
    assert shared[0, 1] == pytest.approx(0.5 * 2.0)
    assert shared[0, 2] == 0.0
    sized = assumed([1.0, 1.0], [1, 1], grp1=["x", "y"], grp2=["c", "c"], w1=[10, 20], w2=[40, 40]).dense()
    assert sized[0, 1] == pytest.approx(np.sqrt(10.0 / 50.0 * 20.0 / 60.0))
    times = assumed([1.0] * 3, [1] * 3, time1=[0, 1, 3], phi=0.5).dense()
    np.testing.assert_allclose(times, [[1.0, 0.5, 0.125], [0.5, 1.0, 0.25], [0.125, 0.25, 1.0]])
    pairs = {("m", "v"): 0.66}
    assert assumed([1.0, 1.0], [1, 1], type=["v", "m"], rho_type=pairs).dense()[0, 1] == 0.66
    apart = assumed([1.0, 1.0], [1, 1], obs=["a", "b"], rho=0.5, subgroup=["f", "m"]).dense()
    assert apart[0, 1] == 0.0


def test_law_v_may_come_in_any_form() -> None:
    d = rows(9)
    V = assumed(d["v"], d["study"], obs=list(range(len(d["y"]))), rho=0.4)
    full = V.dense()
    blocks = [full[np.ix_(d["study"] == s, d["study"] == s)] for s in range(12)]
    for form in (full, blocks, known(full)):
        found = fit(d["y"], form, random=[Level("study", d["study"])])
        assert found.ll == pytest.approx(fit(d["y"], V, random=[Level("study", d["study"])]).ll, abs=1e-10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"obs": ["a", "b"]}, "rho, the correlation between them, must be given"),
        ({"obs": ["a", "b"], "rho": 1.5}, "rho must lie between -1 and 1; given 1.5"),
        ({"obs": ["a", "b"], "rho": {("a", "c"): 0.2}}, r"rho must hold every pair that occurs; given none for \['a', 'b'\]"),
        ({"time1": [0, 1]}, "phi, the autocorrelation for one unit of time, must be given"),
        ({"time1": [0, 1], "phi": 1.0}, "phi must lie between -1 and 1"),
        ({"grp1": ["a", "b"], "grp2": ["a", "c"]}, "must compare two conditions; row 1 does not"),
        ({"grp1": ["a", "b"], "grp2": ["c", "c"], "w1": [0, 1], "w2": [1, 1]}, "w1 and w2 must be positive"),
    ],
)  # fmt: skip
def test_law_impossible_assumptions_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        assumed([0.1, 0.2], [1, 1], **options)


def test_law_nested_needs_a_column_per_name() -> None:
    with pytest.raises(FitError, match="one column per name; given 1 for 'study/row'"):
        nested("study/row", [1, 2])
