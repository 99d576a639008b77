"""Dosing rules as a user writes them: what they decide, what is not known, and what every refusal says."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualtrace.errors import InputError
from dualtrace.simulation.rule import Widths, evaluate, parse_rule, soften, thresholds, with_thresholds
from dualtrace.simulation.rule_tree import NAMES

PEOPLE = {
    "session": np.array([1, 2, 3, 4]),
    "last_suds": np.array([np.nan, 35.0, 40.0, 70.0]),
    "peak_suds": np.array([np.nan, 80.0, 60.0, 90.0]),
    "start_suds": np.array([np.nan, 50.0, 60.0, 70.0]),
    "suds_drop": np.array([np.nan, 45.0, 20.0, 20.0]),
    "previous_suds": np.array([np.nan, np.nan, 50.0, 60.0]),
    "score": np.array([80.0, 80.0, 60.0, 30.0]),
    "baseline": np.full(4, 80.0),
    "response": np.array([np.nan, 0.0, 0.0, 1.0]),
}


@pytest.mark.parametrize(
    ("text", "dosed"),
    [
        ("last_suds < 40", [0, 1, 0, 0]),
        ("last_suds <= 40", [0, 1, 1, 0]),
        ("last_suds >= 40", [0, 0, 1, 1]),
        ("last_suds != 40", [0, 1, 0, 1]),
        ("not last_suds < 40", [1, 0, 1, 1]),
        ("suds_drop / peak_suds > 0.5 or session == 1", [1, 1, 0, 0]),
        ("30 < last_suds < 50 and session > 2", [0, 0, 1, 0]),
        ("last_suds < previous_suds", [0, 0, 1, 0]),
        ("last_suds < 50 - 5 * session", [0, 1, 0, 0]),
        ("last_suds < 60 - 5 * session or response", [0, 1, 1, 1]),
        ("score <= 0.5 * baseline and response", [0, 0, 0, 1]),
        ("response == 0", [0, 1, 1, 0]),
        ("max(peak_suds, 85) == 85 and -abs(score - baseline) > -10", [0, 1, 0, 0]),
        ("not (session > 1 and last_suds < 40) and not response", [1, 0, 1, 0]),
    ],
)
def test_contract_a_rule_decides_as_it_reads(text: str, dosed: list[int]) -> None:
    assert evaluate(parse_rule(text), PEOPLE).tolist() == [bool(one) for one in dosed]


def test_contract_a_share_of_nothing_is_not_known() -> None:
    calm = {"suds_drop": np.array([0.0, 5.0]), "peak_suds": np.array([0.0, 0.0])}
    for text in ("suds_drop / peak_suds > 0.5", "suds_drop / peak_suds < 0.5", "suds_drop / peak_suds != 0.5"):
        assert not evaluate(parse_rule(text), calm).any()
        assert not soften(parse_rule(text), calm, 5.0).any()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "a rule must say something, such as last_suds < 40"),
        ("   ", "a rule must say something"),
        ("suds < 40", "at character 1, an unknown name 'suds'; a rule compares known values (session, last_suds"),
        ("last_suds.real < 40", "at character 10, '.'; a rule compares"),
        ("last_suds = 40", "at character 11, '=' (write == to compare)"),
        ("last_suds < 40 & session > 1", "at character 16, '&' (write and)"),
        ("last_suds ** 2 < 40", "at character 12, '*'"),
        ("last_suds ^ 2 < 40", "at character 11, '^' (there are no powers)"),
        ("open(last_suds) < 40", "at character 1, an unknown name 'open'"),
        ("abs(last_suds, 3) < 40", "at character 1, abs of 2 (it takes one value)"),
        ("min(last_suds) < 40", "at character 1, min of 1 (it takes two or more values)"),
        ("min last_suds < 40", "at character 5, 'last_suds' where '(' is needed"),
        ("(last_suds < 40", "at character 16, nothing where ')' is needed"),
        ("last_suds < 40)", "at character 15, ')', which does not belong there"),
        ("last_suds <", "at character 12, nothing"),
        ("last_suds < 40 session", "at character 16, 'session', which does not belong there"),
        ("last_suds", "at character 1, a value where something true or false is needed"),
        ("(last_suds < 40) + 1 > 2", "at character 1, a comparison where a number is needed"),
        ("last_suds < 40 and 3", "at character 20, a value where something true or false is needed"),
        ("1 < 2", "uses no known value"),
        ("last_suds < score", "SUDS and points of the primary instrument cannot be added or compared"),
        ("last_suds * score < 40", "two measured quantities cannot be multiplied"),
        ("score + last_suds < 40", "this is done at character 1 of the rule 'score + last_suds < 40'"),
        ("last_suds < 1e999", "at character 13, '1e999', which is too large a number"),
        ("(" * 13 + "last_suds < 40" + ")" * 13, "more than 12 brackets, signs or nots inside each other"),
        ("not " * 20 + "response", "more than 12 brackets, signs or nots"),
        ("last_suds < 40" + " " * 300, "a rule has at most 300 characters; given 314"),
        ("last_suds < ４0", "at character 13, '４'"),
    ],
)
def test_contract_a_wrong_rule_is_refused_with_its_place(text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=re.escape(sentence)):
        parse_rule(text)


def test_contract_what_the_rule_needs_must_be_given() -> None:
    rule = parse_rule("last_suds < 40 and session > 1")
    sentence = "the rule 'last_suds < 40 and session > 1' needs last_suds; given session"
    with pytest.raises(InputError, match=re.escape(sentence)):
        evaluate(rule, {"session": 2})
    with pytest.raises(InputError, match="needs last_suds, session; given nothing"):
        soften(rule, {}, 5.0)


@pytest.mark.parametrize("width", [0.0, -1.0, float("nan"), float("inf")])
def test_contract_a_width_must_be_above_0(width: float) -> None:
    with pytest.raises(InputError, match=r"the width for suds must be above 0; given"):
        soften(parse_rule("last_suds < 40"), PEOPLE, width)


def test_contract_thresholds_are_the_numbers_in_the_order_written() -> None:
    rule = parse_rule("session > 2 and last_suds < 60 - 5 * session")
    assert thresholds(rule) == (2.0, 60.0, 5.0)
    assert str(with_thresholds(rule, (1, 50, 2.5))) == "session > 1 and last_suds < 50 - 2.5 * session"
    with pytest.raises(InputError, match="has 3 numbers; given 1"):
        with_thresholds(rule, (1,))


def test_contract_widths_can_be_set_kind_by_kind() -> None:
    widths = Widths(suds=5, score=2, share=0.05, session=1)
    assert soften(parse_rule("session > 2"), {"session": 3}, widths) == pytest.approx(1 / (1 + np.exp(-1)))
    assert soften(parse_rule("session > 2"), {"session": 3}, 5.0) == 1.0
    assert soften(parse_rule("score < 10"), {"score": 8}, widths) == pytest.approx(1 / (1 + np.exp(-1)))
    halved = parse_rule("score / baseline < 0.5")
    assert soften(halved, {"score": 9, "baseline": 20}, widths) == pytest.approx(1 / (1 + np.exp(-1)))


WORDS = st.sampled_from(
    [*NAMES, "and", "or", "not", "min", "max", "abs", *"()+-*/,<>=!.", "<=", "==", "40", "1e9", " "]
)


@settings(deadline=None)
@given(st.lists(WORDS, max_size=40).map(" ".join) | st.text(max_size=320))
def test_contract_no_text_breaks_the_parser(text: str) -> None:
    try:
        rule = parse_rule(text)
    except InputError:
        return
    assert parse_rule(str(rule)) == rule
    values = {name: np.array([np.nan, 0.0, 50.0]) for name in NAMES}
    assert np.shape(evaluate(rule, values)) == (3,)
    soft = soften(rule, {**values, "response": np.array([np.nan, 0.0, 1.0])}, 5.0)
    assert ((soft >= 0) & (soft <= 1)).all()
