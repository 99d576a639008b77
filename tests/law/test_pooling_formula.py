"""Moderator formulas: design matrices and refusals."""

import numpy as np
import pandas as pd
import pytest

from dualtrace.errors import FormulaError, InputError
from dualtrace.pooling.formula import design

TABLE = pd.DataFrame(
    {
        "dose": [50.0, 250.0, 500.0, np.nan, 50.0, 100.0],
        "n": [10, 20, 30, 40, 50, 60],
        "disorder": ["SAD", "PD", "OCD", "SAD", "PD", "SAD"],
        "before": [True, False, True, True, False, True],
        "sessions": pd.array([5, None, 4, 3, 2, 6], dtype="Int64"),
    }
)


def test_law_numbers_factors_and_intercept() -> None:
    found = design("n + C(disorder)", TABLE)
    assert found.names == ("intercept", "n", "C(disorder)[T.PD]", "C(disorder)[T.SAD]")
    assert found.X[:, 1].tolist() == TABLE["n"].tolist()
    assert found.X[:, 3].tolist() == [1, 0, 0, 1, 0, 1]
    assert found.rows.tolist() == [0, 1, 2, 3, 4, 5]
    assert found.dropped.size == 0


@pytest.mark.parametrize(
    ("formula", "columns"),
    [
        ("~ n", 2),
        ("0 + disorder", 3),
        ("1", 1),
        ("n * before", 4),
        ("np.log(n)", 2),
        ("log(n)", 2),
        ("{n**2}", 2),
        ("bs(n, df=4)", 5),
        ("C(disorder, contr.sum)", 3),
        ("n:disorder", 4),
    ],
)
def test_law_wilkinson_notation_is_understood(formula: str, columns: int) -> None:
    found = design(formula, TABLE)
    assert found.X.shape == (6, columns)
    assert len(found.names) == columns


def test_law_rows_without_a_moderator_are_never_dropped_silently() -> None:
    with pytest.raises(FormulaError, match="'dose' is missing in 1 of 6 rows, first in row 3"):
        design("dose", TABLE)
    found = design("dose + sessions", TABLE, missing="drop")
    assert found.rows.tolist() == [0, 2, 4, 5]
    assert found.dropped.tolist() == [1, 3]
    assert found.X.shape == (4, 3)


def test_law_a_column_of_missing_values_leaves_nothing() -> None:
    with pytest.raises(FormulaError, match="nothing is left to fit"):
        design("x", pd.DataFrame({"x": [np.nan, np.nan]}), missing="drop")


def test_law_levels_of_dropped_rows_make_no_columns() -> None:
    table = TABLE.assign(disorder=pd.Categorical(["PTSD", *TABLE["disorder"][1:]]), dose=[np.nan, *[1.0] * 5])
    found = design("disorder + dose", table, missing="drop")
    assert not any("PTSD" in name for name in found.names)


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("doze", r"names 'doze', which is not a column. Columns there are: dose, n, disorder, before, sessions"),
        ("n + bs(doze)", "names 'doze', which is not a column"),
        ("n + nonsense(n)", "names 'nonsense', which is not a column"),
        ("n +", "cannot be read: Operator"),
        ("n disorder", "cannot be read: Missing operator"),
        ("", "cannot be read: it is empty"),
        ("n ~ dose", "has one side"),
        ("n | disorder", "has one side"),
        ("0", "has no terms; write 1 for an intercept alone"),
        ("log(n - 10)", r"log\(n - 10\) must be a finite number in every row; it is -inf in row 0"),
        ("{n.to_csv('x')}", "uses 'n.to_csv'"),
        ("{__import__('os').getcwd()}", "uses .*getcwd"),
        ("{np.load('x')}", "uses 'np.load'"),
        ("log(disorder)", "cannot be evaluated"),
    ],
)
def test_law_formulas_without_a_design_are_refused_in_a_sentence(formula: str, message: str) -> None:
    with pytest.raises(FormulaError, match=message):
        design(formula, TABLE)


def test_law_columns_must_differ_and_options_be_known() -> None:
    with pytest.raises(FormulaError, match="'a' occurs more than once"):
        design("a", pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(InputError, match="missing must be one of refuse, drop; given 'ignore'"):
        design("n", TABLE, missing="ignore")  # type: ignore[arg-type]  # a wrong word is the point
