"""Agreement with lme4, lmerTest and nlme (R) on stored simulated participants; script and versions in ``lme4/``.

Estimates found by iteration agree to 1e-6 (linear) and 1e-5 (logistic, where lme4 stops a little earlier), degrees
of freedom to 1e-3 (lmerTest differentiates numerically), standard errors of logistic models to 2e-3 (lme4 takes the
curvature by differences of a deviance known to fewer digits). nlme's by-trial variances agree to 1e-4, its own
stopping rule.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import special

from dualtrace.pooling.participants import logistic as mixed_logistic
from dualtrace.pooling.participants.fit import one_stage

STORED = json.loads((Path(__file__).parent / "lme4" / "participant.json").read_text(encoding="utf-8"))
MAIN = ("treatment", "interaction_within", "interaction_across")


def options(model: str, people: dict[str, Any]) -> dict[str, Any]:
    intercept, _, moderator = model.partition("_")
    return {"intercept": intercept, "moderator": people["z"] if moderator else None}


CASES = [
    pytest.param(name, method, model, id=f"{name}-{method}-{model}")
    for name, answers in STORED["answers"].items()
    for method in ("REML", "ML")
    for model in answers[method]
]


@pytest.mark.parametrize(("name", "method", "model"), CASES)
def test_reference_linear_model_equals_lme4(name: str, method: Any, model: str) -> None:
    people, theirs = STORED["sets"][name], STORED["answers"][name][method][model]
    mine = one_stage(people["y"], people["t"], people["trial"], method=method, **options(model, people))
    shown = [mine.names.index(n) for n in MAIN if n in mine.names]
    se = mine.se[shown]
    assert np.abs(mine.beta[shown] - np.atleast_1d(theirs["beta"])).max() < 1e-6 * se.max()
    assert se == pytest.approx(np.atleast_1d(theirs["se"]), rel=1e-6)
    assert mine.psi == pytest.approx(np.array(theirs["psi"]), rel=2e-6, abs=1e-6)
    assert mine.sigma2 == pytest.approx([theirs["sigma2"]], rel=1e-6)
    # ours is the likelihood of residual contrasts, lme4 leaves out the part of it that is fixed by the design
    constant = 0.5 * theirs["log_det"] if method == "REML" else 0.0
    assert mine.ll == pytest.approx(theirs["ll"] + constant, rel=1e-9)
    assert mine.df[shown] == pytest.approx(np.atleast_1d(theirs["df"]), rel=1e-3)


@pytest.mark.parametrize("name", STORED["sets"])
def test_reference_residual_variances_by_trial_equal_nlme(name: str) -> None:
    people, theirs = STORED["sets"][name], STORED["answers"][name]["by_trial"]
    mine = one_stage(people["y"], people["t"], people["trial"], residual="by_trial")
    at = mine.names.index("treatment")
    assert mine.beta[at] == pytest.approx(theirs["beta"], abs=1e-4 * mine.se[at])
    assert mine.se[at] == pytest.approx(theirs["se"], rel=1e-4)
    assert mine.tau2 == pytest.approx(theirs["psi"], rel=1e-3)
    assert mine.sigma2 == pytest.approx(theirs["sigma2"], rel=1e-3)


@pytest.mark.parametrize("name", STORED["sets"])
@pytest.mark.parametrize("model", ["stratified", "stratified_moderator"])
def test_reference_logistic_model_equals_lme4(name: str, model: str) -> None:
    people, theirs = STORED["sets"][name], STORED["answers"][name]["logistic"][model]
    mine = one_stage(people["event"], people["t"], people["trial"], family="binomial", **options(model, people))
    shown = [mine.names.index(n) for n in MAIN if n in mine.names]
    assert mine.ll == pytest.approx(theirs["ll"], rel=1e-9)
    assert mine.ll >= theirs["ll"] - 1e-8
    assert mine.beta[shown] == pytest.approx(np.atleast_1d(theirs["beta"]), abs=1e-4 * mine.se[shown].max())
    assert mine.se[shown] == pytest.approx(np.atleast_1d(theirs["se"]), rel=2e-3)
    assert mine.tau2 == pytest.approx(theirs["psi"], rel=1e-3)


def test_reference_two_random_effects_integrate_to_a_plain_grid() -> None:
    """The likelihood of a logistic model with intercept and effect random, against a fine grid in two dimensions."""
    rng = np.random.default_rng(4)
    trial = np.repeat(np.arange(3), 20)
    t = np.tile([-0.5, 0.5], 30)
    y = (rng.random(60) < 0.4 + 0.2 * (t > 0)).astype(float)
    X = np.column_stack([np.ones(60), t])
    beta, L = np.array([-0.2, 0.7]), np.array([[0.8, 0.0], [0.3, 0.5]])
    given = mixed_logistic.trials(y, X, X, trial)
    ll, _ = mixed_logistic.evaluate(given, np.array([*beta, 0.8, 0.3, 0.5]))
    z, w = np.polynomial.legendre.leggauss(120)
    u, weight = 8.0 * z, 8.0 * w * np.exp(-32.0 * z * z) / np.sqrt(2.0 * np.pi)
    first, second = np.meshgrid(u, u, indexing="ij")
    total = 0.0
    for j in range(3):
        mine = trial == j
        b0, b1 = L[0, 0] * first, L[1, 0] * first + L[1, 1] * second
        eta = (X[mine] @ beta)[:, None, None] + b0 + t[mine][:, None, None] * b1
        each = np.where(y[mine][:, None, None] == 1.0, special.expit(eta), special.expit(-eta)).prod(axis=0)
        total += np.log(weight @ each @ weight)
    assert ll == pytest.approx(total, abs=1e-8)
