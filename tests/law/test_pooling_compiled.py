"""Laws of the compiled fit: it is the fit of ``univariate``, mapped and differentiated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dualtrace.pooling import compiled, univariate

SETS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "reference" / "metafor" / "univariate.json").read_text(encoding="utf-8")
)["sets"]


SOME = [n for n in sorted(SETS) if n.startswith(("bcg", "raudenbush1985", "normand1999", "hine", "collins1985b"))]


def test_the_stored_sets_hold_regressions_and_fits_at_zero() -> None:
    assert len(SOME) >= 10
    assert any(SETS[n].get("X") is not None for n in SOME)


@pytest.mark.parametrize("name", SOME)
@pytest.mark.parametrize("method", ["REML", "ML"])
def test_reference_equals_the_fit_of_every_stored_set(name: str, method: Any) -> None:
    rows = SETS[name]
    y, v = np.array(rows["yi"], dtype=float), np.array(rows["vi"], dtype=float)
    X = None if rows.get("X") is None else np.array(rows["X"], dtype=float)
    plain = univariate.fit(y, v, X=X, method=method)
    found = jax.jit(compiled.fit, static_argnames="restricted")(y, v, X, restricted=method == "REML")
    assert float(found.tau2) == pytest.approx(plain.tau2, rel=1e-8, abs=1e-10 * float(np.median(v)))
    np.testing.assert_allclose(found.beta, plain.beta, atol=1e-8 * float(plain.se.max()), rtol=1e-8)
    np.testing.assert_allclose(np.sqrt(np.diag(found.vb)), plain.se, rtol=1e-8)
    assert float(found.ll) == pytest.approx(plain.ll, abs=1e-8 * (1.0 + abs(plain.ll)))


def random_sets(n: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    v = np.exp(rng.normal(-3.0, 1.0, (n, k)))
    return 0.3 + rng.normal(size=(n, k)) * np.sqrt(v + rng.choice([0.0, 0.05, 0.5], (n, 1))), v


def test_law_mapped_over_data_sets_it_is_each_fit_alone() -> None:
    y, v = random_sets(300, 8)
    found = jax.jit(jax.vmap(compiled.fit))(jnp.asarray(y), jnp.asarray(v))
    alone = [univariate.fit(a, b) for a, b in zip(y, v, strict=True)]
    np.testing.assert_allclose(found.tau2, [fit.tau2 for fit in alone], rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(found.beta[:, 0], [fit.beta[0] for fit in alone], rtol=1e-7, atol=1e-10)
    assert (np.asarray(found.tau2) == 0.0).sum() == sum(fit.tau2 == 0.0 for fit in alone) > 20


@pytest.mark.parametrize("name", ["bcg_rr", "bcg_rr_ablat", "raudenbush1985"])
def test_law_gradients_are_those_of_finite_differences_of_the_other_fit(name: str) -> None:
    rows = SETS[name]
    y, v = np.array(rows["yi"], dtype=float), np.array(rows["vi"], dtype=float)
    X = None if rows.get("X") is None else np.array(rows["X"], dtype=float)
    by_y, by_v = jax.jit(jax.grad(lambda a, b: compiled.fit(a, b, X).beta[0], argnums=(0, 1)))(y, v)
    tau_by_y = jax.jit(jax.grad(lambda a: compiled.fit(a, v, X).tau2))(y)
    for i in (0, 3, 7):
        for slot, gradient, size in ((0, by_y, 1e-5), (1, by_v, 1e-5 * v[i])):
            ends = []
            for sign in (1.0, -1.0):
                moved = [y.copy(), v.copy()]
                moved[slot][i] += sign * size
                ends.append(univariate.fit(*moved, X=X))
            slope = (ends[0].beta[0] - ends[1].beta[0]) / (2.0 * size)
            assert float(gradient[i]) == pytest.approx(slope, rel=2e-4, abs=1e-6)
            if slot == 0:
                rise = (ends[0].tau2 - ends[1].tau2) / (2.0 * size)
                assert float(tau_by_y[i]) == pytest.approx(rise, rel=2e-4, abs=1e-6)


def test_law_without_heterogeneity_derivatives_are_those_of_equal_effects() -> None:
    y, v = np.array([0.1, 0.12, 0.09, 0.11]), np.array([0.04, 0.05, 0.06, 0.03])
    assert float(compiled.fit(y, v).tau2) == 0.0
    gradient = jax.grad(lambda a: compiled.fit(a, v).beta[0])(y)
    np.testing.assert_allclose(gradient, (1 / v) / (1 / v).sum(), rtol=1e-12)
