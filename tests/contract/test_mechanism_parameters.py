"""The parameter table: complete, sourced, within range, in known units; refusals are one sentence."""

import numpy as np
import pytest

from dualtrace.errors import InputError
from dualtrace.mechanism.parameter_lint import lint_parameters
from dualtrace.mechanism.parameters import load_parameters, read_parameters
from dualtrace.mechanism.units import quantity

TABLE = load_parameters()

GOOD = """
sources: {book: {citation: A book}}
parameters:
  drug.rate: {value: 1.0, unit: 1/h, prior: {uniform: [0.5, 2.0]}, range: [0.5, 2.0],
    meaning: rate, source: book}
"""


def test_contract_shipped_parameters_pass_every_check() -> None:
    assert lint_parameters(TABLE) == ()


def test_contract_every_uncertain_parameter_has_a_range_and_quantiles() -> None:
    for name in TABLE.uncertain:
        draws = TABLE.parameters[name].prior.quantile(np.array([0.1, 0.5, 0.9]))
        assert np.all(np.diff(draws) > 0), name


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("source: book", "source: nobody", "source 'nobody' is not listed"),
        ("1/h", "wombats", "'wombats' is not a unit"),
        ("drug.rate", "Rate", "a name is block.word"),
        ("uniform: [0.5, 2.0]", "uniform: [0.5, 9.0]", "82% of its prior lies outside"),
        ("{book: {citation: A book}}", "{book: {citation: A}, b: {citation: B}}", "no parameter cites it"),
    ],
)
def test_contract_linter_names_the_problem(old: str, new: str, sentence: str) -> None:
    table = read_parameters(GOOD.replace(old, new), "test.yaml")
    assert any(sentence in problem for problem in lint_parameters(table))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("value: 1.0", "value: 3.0", "value 3 lies outside its range 0.5 to 2"),
        ("uniform: [0.5, 2.0]", "triangle: [1, 2]", "unknown prior 'triangle'"),
        ("uniform: [0.5, 2.0]", "uniform: [2.0, 0.5]", r"low \(2\) must be below high"),
        ("uniform: [0.5, 2.0]", "uniform: [2.0]", r"a uniform prior takes \[low, high\]"),
        ("range: [0.5, 2.0],", "", "needs a range"),
        ("meaning: rate, ", "", r"meaning: a required field is missing\. Add it"),
        ("{book: {citation: A book}}", "&a [*a]", r"test\.yaml:2: a file must not use YAML anchors"),
    ],
)
def test_contract_unreadable_table_is_refused(old: str, new: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        read_parameters(GOOD.replace(old, new), "test.yaml")


def test_contract_unknown_name_lists_the_neighbours() -> None:
    with pytest.raises(InputError, match=r"no parameter 'plasma.clarance'.*plasma.clearance"):
        TABLE.number("plasma.clarance", "L/h")


def test_contract_wrong_unit_is_refused() -> None:
    with pytest.raises(InputError, match=r"plasma.lag is stored in h, not in min"):
        TABLE.number("plasma.lag", "min")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("plasma.lag", 9.0, "plasma.lag must lie between 0.05 and 1 h; given 9"),
        ("receptor.theta0", 1.2, "receptor.theta0 must lie between 0.2 and 0.98; given 1.2"),
        ("dcs.molar_mass", 100.0, "dcs.molar_mass is fixed at 102.092 g/mol; given 100"),
    ],
)
def test_contract_value_outside_its_range_is_refused(name: str, value: float, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        TABLE.with_values({name: value})


def test_contract_replaced_value_is_used() -> None:
    assert TABLE.with_values({"plasma.lag": 0.5}).number("plasma.lag", "h") == 0.5
    assert TABLE.lookup_with({"plasma.lag": 0.7})("plasma.lag", "h") == 0.7


@pytest.mark.parametrize(
    ("text", "unit", "value"), [("35 mL/min", "L/h", 2.1), ("2 nmol/mL", "uM", 2.0), (0.3, "1/h", 0.3)]
)
def test_contract_quantity_is_converted_once(text: float | str, unit: str, value: float) -> None:
    assert quantity(text, unit=unit, what="rate") == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("text", ["2 kg", "fast", ""])
def test_contract_quantity_of_another_kind_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=f"clearance must be a quantity convertible to L/h; given '{text}'"):
        quantity(text, unit="L/h", what="clearance")
