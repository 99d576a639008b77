"""Laws of the mixed models of patients: exact derivatives, the dense likelihood, and the cases that ANCOVA answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dualtrace.analysis import ancova, mmrm, moderation, reml, session_moderation, visits
from dualtrace.analysis.structures import Observed, structure

STRUCTURES: tuple[Any, ...] = ("unstructured", "compound", "ar1")


def trial(seed: int, *, n: int = 60, m: int = 4, drop: float = 0.1) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    arm, baseline, age = np.arange(n) % 2, rng.normal(60.0, 12.0, n), rng.uniform(18.0, 65.0, n)
    y = 0.6 * baseline[:, None] - arm[:, None] * np.arange(1.0, m + 1.0) + rng.normal(0.0, 6.0, (n, 1))
    y = y + rng.normal(0.0, 4.0, (n, m)) * np.linspace(0.8, 1.4, m)
    y[np.cumsum(rng.random((n, m)) < drop, axis=1) > 0] = np.nan
    return {"y": y, "baseline": baseline, "arm": arm, "age": age}


def sessions(seed: int, *, patients: int = 30, between: float = 8.0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    m = rng.integers(1, 6, patients)
    patient = np.repeat(np.arange(patients), m)
    drug, end = patient % 2, rng.uniform(5.0, 85.0, patient.size)
    y = 20.0 - 10.0 * drug + 0.4 * end + 0.25 * drug * end + rng.normal(0.0, between, patients)[patient]
    return {"y": y + rng.normal(0.0, 9.0, y.size), "drug": drug, "end": end, "patient": patient}


@pytest.mark.parametrize("kind", STRUCTURES)
@pytest.mark.parametrize("df", ["satterthwaite", "kenward-roger"])
def test_law_one_visit_is_ancova(kind: Any, df: Any) -> None:
    d = trial(1, m=1)
    mixed = mmrm(d["y"], d["baseline"], d["arm"], d["age"], covariance=kind, df=df)
    plain = ancova(d["y"][:, 0], d["baseline"], d["arm"], d["age"])
    for field in ("estimate", "se", "t", "p", "ci_lb", "ci_ub", "adjusted", "adjusted_se"):
        assert getattr(mixed, field)[0] == pytest.approx(getattr(plain, field), rel=1e-8), field
    assert mixed.df[0] == pytest.approx(float(plain.df), rel=1e-8)
    assert np.sqrt(mixed.sigma[0, 0]) == pytest.approx(plain.residual_sd, rel=1e-8)


@pytest.mark.parametrize("df", ["satterthwaite", "kenward-roger"])
def test_law_complete_scores_make_every_visit_an_ancova(df: Any) -> None:
    d = trial(2, drop=0.0)
    mixed = mmrm(d["y"], d["baseline"], d["arm"], df=df)
    for v in range(4):
        plain = ancova(d["y"][:, v], d["baseline"], d["arm"])
        for field in ("estimate", "se", "p", "ci_lb", "adjusted", "adjusted_se"):
            assert getattr(mixed, field)[v] == pytest.approx(getattr(plain, field), rel=1e-7), field
        assert mixed.df[v] == pytest.approx(float(plain.df), rel=1e-7)


@pytest.mark.parametrize("kind", STRUCTURES)
def test_law_mmrm_follows_a_change_of_units_and_of_labels(kind: Any) -> None:
    d = trial(3)
    was = mmrm(d["y"], d["baseline"], d["arm"], covariance=kind)
    now = mmrm(1000.0 - 20.0 * d["y"], 3.0 * d["baseline"], d["arm"], covariance=kind)
    assert now.estimate == pytest.approx(-20.0 * was.estimate, rel=1e-6)
    assert now.se == pytest.approx(20.0 * was.se, rel=1e-7)
    assert now.df == pytest.approx(was.df, rel=1e-6)
    assert now.ll == pytest.approx(was.ll - (np.isfinite(d["y"]).sum() - 12) * np.log(20.0), rel=1e-9)
    turned = mmrm(d["y"], d["baseline"], np.where(d["arm"] == 1, "DCS", "placebo"), reference="DCS", covariance=kind)
    assert turned.arms == ("DCS", "placebo")
    assert turned.estimate == pytest.approx(-was.estimate, rel=1e-7)
    order = np.random.default_rng(0).permutation(len(d["y"]))
    again = mmrm(d["y"][order], d["baseline"][order], d["arm"][order], covariance=kind)
    assert again.estimate == pytest.approx(was.estimate, rel=1e-7)


def test_law_two_visits_make_compound_symmetry_and_autoregression_one_model() -> None:
    d = trial(4, m=2)
    first = mmrm(d["y"], d["baseline"], d["arm"], covariance="compound")
    second = mmrm(d["y"], d["baseline"], d["arm"], covariance="ar1")
    assert first.estimate == pytest.approx(second.estimate, rel=1e-6)
    assert first.df == pytest.approx(second.df, rel=1e-5)
    assert first.ll == pytest.approx(second.ll, abs=1e-9)


def test_law_freer_covariances_never_fit_worse() -> None:
    for seed in range(5):
        d = trial(seed)
        free, *bound = (mmrm(d["y"], d["baseline"], d["arm"], covariance=kind).ll for kind in STRUCTURES)
        assert free >= max(bound)


def ready(seed: int, kind: Any) -> tuple[reml.Sums, Observed, Any]:
    d = trial(seed, n=40)
    people = visits.patients(d["y"], d["baseline"], d["arm"], d["age"], None)
    given, shape = visits.rows(people), structure(kind, 4)
    rng = np.random.default_rng(seed)
    theta = shape.start(given.rough)
    return given.sums, Observed(shape, given.there), theta * (1.0 + 0.05 * rng.random(theta.size))


@pytest.mark.parametrize("kind", STRUCTURES)
def test_law_score_and_observed_information_are_derivatives_of_the_likelihood(kind: Any) -> None:
    sums, model, theta = ready(5, kind)

    def at(x: Any) -> tuple[reml.Height, reml.Slopes]:
        given = model.at(x)
        here = reml.height(sums, given.V)
        assert here is not None
        return here, reml.slopes(sums, here, given)

    steps = 1e-5 * np.eye(theta.size)
    score = [(at(theta + s)[0].ll - at(theta - s)[0].ll) / 2e-5 for s in steps]
    bend = [-(at(theta + s)[1].gradient - at(theta - s)[1].gradient) / 2e-5 for s in steps]
    here = at(theta)[1]
    assert here.gradient == pytest.approx(score, rel=1e-6, abs=1e-5)
    assert here.observed == pytest.approx(np.array(bend), rel=1e-5, abs=1e-4 * np.abs(bend).max())


@pytest.mark.parametrize("kind", STRUCTURES)
def test_law_expected_information_is_the_mean_of_the_observed_one(kind: Any) -> None:
    """Over data drawn at θ; within four Monte Carlo standard errors."""
    d = trial(6, n=30, m=3)
    people = visits.patients(d["y"], d["baseline"], d["arm"], None, None)
    there, shape = ~np.isnan(people.scores), structure(kind, 3)
    theta = np.array(
        {"unstructured": [1.0, 0.4, 1.2, 0.3, 0.5, 1.5], "compound": [0.5, 0.7], "ar1": [1.0, 0.5]}[kind]
    )
    root, rng, observed = np.linalg.cholesky(shape.matrix(theta)), np.random.default_rng(7), []
    for _ in range(200):
        drawn = np.where(there, rng.normal(size=there.shape) @ root.T, np.nan)
        given = visits.rows(people._replace(scores=drawn))
        sums = given.sums._replace(cross=given.sums.cross * _outcome_scale(given))
        model = Observed(shape, given.there).at(theta)
        here = reml.height(sums, model.V)
        assert here is not None
        found = reml.slopes(sums, here, model)
        observed.append(found.observed)
    error = np.std(observed, axis=0) / np.sqrt(200)
    assert np.all(np.abs(np.mean(observed, axis=0) - found.expected) < 4.0 * error)


def _outcome_scale(given: visits.Rows) -> Any:
    """What brings sums of the scaled outcome back to its own unit."""
    unit = np.ones(given.sums.p + 1)
    unit[-1] = given.scale
    return np.outer(unit, unit)


def dense(X: Any, y: Any, V: Any) -> float:
    """Log-likelihood of residual contrasts, by the whole matrices."""
    W = np.linalg.inv(V)
    inner = X.T @ W @ X
    r = y - X @ np.linalg.solve(inner, X.T @ W @ y)
    logs = np.linalg.slogdet(V)[1] + np.linalg.slogdet(inner)[1] - np.linalg.slogdet(X.T @ X)[1]
    return float(-0.5 * (logs + r @ W @ r + (len(y) - X.shape[1]) * np.log(2.0 * np.pi)))


@pytest.mark.parametrize("kind", STRUCTURES)
def test_law_the_likelihood_by_patterns_is_the_dense_one(kind: Any) -> None:
    d = trial(8, n=25, m=3)
    found = mmrm(d["y"], d["baseline"], d["arm"], covariance=kind)
    there = ~np.isnan(d["y"])
    n, rows = len(there), []
    for v in range(3):
        at = np.zeros((n, 3, 3))
        at[:, v, 0], at[:, v, 1], at[:, v, 2] = d["arm"] == 0, d["arm"] == 1, d["baseline"]
        rows.append(at)
    X = np.concatenate(rows, axis=-1)[there]
    V = np.kron(np.eye(n), found.sigma)[np.ix_(there.ravel(), there.ravel())]
    assert found.ll == pytest.approx(dense(X, d["y"][there], V), abs=1e-7)


def test_law_the_likelihood_of_sessions_is_the_dense_one_and_highest_where_it_stops() -> None:
    d = sessions(9)
    found = session_moderation(d["y"], d["drug"], d["end"], d["patient"])
    c = d["end"] - found.centre
    X = np.column_stack([np.ones(c.size), d["drug"], c, d["drug"] * c])
    same = (d["patient"][:, None] == d["patient"]).astype(float)

    def at(between: float, within: float) -> float:
        return dense(X, d["y"], between**2 * same + within**2 * np.eye(c.size))

    u, e = found.sd_patient, found.sd_session
    assert u > 0.0
    assert found.ll == pytest.approx(at(u, e), abs=1e-7)
    assert found.ll > max(at(1.05 * u, e), at(0.95 * u, e), at(u, 1.05 * e), at(u, 0.95 * e))


def test_law_sessions_without_variance_between_patients_are_one_regression() -> None:
    d = next(d for d in (sessions(seed, between=0.0) for seed in range(50)) if not found_between(d))
    mixed = session_moderation(d["y"], d["drug"], d["end"], d["patient"])
    plain = moderation(d["y"], d["drug"], d["end"])
    for field in ("estimate", "se", "ci_lb", "p"):
        assert getattr(mixed, field) == pytest.approx(getattr(plain, field), rel=1e-8), field
    assert mixed.df == pytest.approx(np.full(4, float(plain.df)), rel=1e-8)
    assert mixed.crossing().lower == pytest.approx(plain.crossing().lower, rel=1e-7)


def found_between(d: dict[str, Any]) -> bool:
    return session_moderation(d["y"], d["drug"], d["end"], d["patient"]).sd_patient > 0.0


def test_law_ends_of_the_crossing_are_tests_at_their_own_degrees_of_freedom() -> None:
    d = sessions(10, patients=60)
    found = session_moderation(d["y"], d["drug"], d["end"], d["patient"])
    where = found.crossing()
    ends = found.effect_at([where.lower, where.upper])
    assert where.bounded
    assert abs(ends.df[0] - ends.df[1]) > 1.0
    assert ends.p == pytest.approx(0.05, rel=1e-8)
    other = session_moderation(10.0 * d["y"], d["drug"], 2.0 * d["end"], [f"p{i}" for i in d["patient"]])
    assert other.crossing().upper == pytest.approx(2.0 * where.upper, rel=1e-6)
    assert other.df == pytest.approx(found.df, rel=1e-5)
