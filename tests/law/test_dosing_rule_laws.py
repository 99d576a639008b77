"""Laws of dosing rules: the soft rule tends to the hard one, NumPy agrees with JAX, gradients exist and are right."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualtrace.simulation.rule import Rule, Widths, evaluate, parse_rule, soften, thresholds, with_thresholds
from dualtrace.simulation.rule_tree import NAMES, Amount, Arithmetic, Call, Compare, Flag, Joined, Name, Negative, Not
from dualtrace.simulation.rule_tree import Number as Constant

RULES = (
    "last_suds < 40",
    "suds_drop / peak_suds > 0.5 or session == 1",
    "not (last_suds >= 40 and session > 2)",
    "35 <= last_suds < 55 and not response",
    "score < 0.6 * baseline or min(last_suds, previous_suds) <= 33.3",
    "last_suds == 41 or last_suds != start_suds",
)


WIDTHS = Widths(suds=5, score=5, share=0.05, session=0.5)


def people(seed: int = 1) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    values: dict[str, Any] = {name: rng.uniform(0, 100, 200) for name in NAMES}
    values["session"] = rng.integers(1, 6, 200)
    values["response"] = rng.integers(0, 2, 200)
    for name in ("last_suds", "peak_suds", "previous_suds"):
        values[name][::17] = np.nan
    return values


@pytest.mark.parametrize("text", RULES)
def test_law_the_soft_rule_tends_to_the_hard_one(text: str) -> None:
    rule, values = parse_rule(text), people()
    hard = evaluate(rule, values)
    far = [np.abs(soften(rule, values, width) - hard).mean() for width in (10.0, 1.0, 0.1)]
    assert far[0] > far[1] > far[2] or max(far) < 1e-12
    assert np.abs(soften(rule, values, 1e-7) - hard).max() < 1e-9


@pytest.mark.parametrize("text", RULES)
def test_law_numpy_agrees_with_jax_and_with_its_compiled_form(text: str) -> None:
    rule, values = parse_rule(text), people(2)
    traced = {name: jnp.asarray(value) for name, value in values.items()}
    assert isinstance(evaluate(rule, traced), jax.Array)
    np.testing.assert_array_equal(evaluate(rule, traced), evaluate(rule, values))
    np.testing.assert_allclose(jax.jit(lambda v: soften(rule, v, 5.0))(traced), soften(rule, values, 5.0), atol=1e-12)


@pytest.mark.parametrize("text", RULES)
def test_law_gradients_of_thresholds_are_finite_and_match_differences(text: str) -> None:
    rule = parse_rule(text)
    values = {name: jnp.asarray(value, float) for name, value in people(3).items()}

    def given_share(numbers: Any) -> Any:
        return soften(with_thresholds(rule, tuple(numbers)), values, WIDTHS).mean()

    start = jnp.asarray(thresholds(rule), float)
    slope = jax.jit(jax.grad(given_share))(start)
    step = 1e-4 * jnp.eye(len(start))
    differences = [(given_share(start + one) - given_share(start - one)) / 2e-4 for one in step]
    np.testing.assert_allclose(slope, differences, atol=1e-6)
    # With respect to what is measured, unknown values included.
    by_value = jax.grad(lambda v: soften(rule, {**values, "last_suds": v}, 5.0).sum())(values["last_suds"])
    assert np.isfinite(by_value).all()


def test_law_one_comparison_is_the_logistic_of_its_distance() -> None:
    suds = np.linspace(0, 100, 21)
    expected = 1 / (1 + np.exp((suds - 40) / 5))
    np.testing.assert_allclose(soften(parse_rule("last_suds < 40"), {"last_suds": suds}, 5.0), expected, atol=1e-14)


def test_law_arrays_broadcast_over_people_and_sessions() -> None:
    suds, session = np.full((7, 1), 30.0), np.arange(1, 6)
    rule = parse_rule("last_suds < 40 and session > 2")
    np.testing.assert_array_equal(evaluate(rule, {"last_suds": suds, "session": session}), [[0, 0, 1, 1, 1]] * 7)


SUDS = st.sampled_from(["last_suds", "start_suds", "suds_drop"]).map(Name)
NUMBERS = st.floats(-1e6, 1e6).map(Constant)
LEAVES: st.SearchStrategy[Amount] = SUDS | NUMBERS


def larger(inner: st.SearchStrategy[Amount]) -> st.SearchStrategy[Amount]:
    return st.one_of(
        inner,
        st.builds(Arithmetic, st.sampled_from(["+", "-"]), inner, inner),
        st.builds(Arithmetic, st.sampled_from(["*", "/"]), inner, NUMBERS),
        st.builds(Negative, SUDS),
        st.builds(lambda part: Call("abs", (part,)), inner),
        st.builds(lambda a, b: Call("max", (a, b)), inner, inner),
    )


def joined(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    parts = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.one_of(inner, st.builds(Not, inner), st.builds(Joined, st.sampled_from(["and", "or"]), parts))


AMOUNTS = larger(larger(LEAVES))
COMPARES = st.builds(Compare, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), AMOUNTS, AMOUNTS)
TRUTHS = joined(joined(COMPARES | st.just(Flag("response"))))


@settings(deadline=None)
@given(TRUTHS)
def test_law_a_rule_written_and_read_again_decides_the_same(root: Any) -> None:
    rule = Rule(root)
    text = str(rule)
    if not rule.names or len(text) > 300:
        return
    values = people(4)
    again = parse_rule(text)
    np.testing.assert_array_equal(evaluate(again, values), evaluate(rule, values))
    assert str(again) == text
