"""Moderator formulas: text and a table of moderators -> design matrix.

Formulas are those of the formulaic library (Wilkinson notation: ``dose + C(disorder)``, interactions, splines).
A formula may name columns of the table and the library's own transforms; nothing else is evaluated.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from dualtrace.errors import FormulaError
from dualtrace.pooling.contract import freeze, require_choice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from formulaic import SimpleFormula
    from pandas import DataFrame, Series

    from dualtrace.pooling.likelihood import Array, Ints

Missing = Literal["refuse", "drop"]
"""What to do with rows that lack a moderator."""


@dataclass(frozen=True, slots=True, eq=False)
class Moderators:
    """A design matrix and the rows of the table it stands for.

    Attributes
    ----------
    X
        Design matrix, (m, p).
    names
        Names of its columns; ``intercept`` for the column of ones.
    rows
        Positions in the table of the m rows used.
    dropped
        Positions of the rows left out because a moderator is missing.
    """

    X: Array
    names: tuple[str, ...]
    rows: Ints
    dropped: Ints

    def __post_init__(self) -> None:
        freeze(self)


def design(formula: str, table: DataFrame, *, missing: Missing = "refuse") -> Moderators:
    """Build the design matrix of a formula.

    Parameters
    ----------
    formula
        Right-hand side, with or without a leading ``~``.
    table
        One row per effect.
    missing
        ``refuse`` a row that lacks a moderator, or ``drop`` it (then listed in ``dropped``).

    Raises
    ------
    FormulaError
        If the formula cannot be parsed, names something that is not a column, lacks values, or yields a value
        that is not finite.
    """
    require_choice("missing", missing, get_args(Missing))
    if not table.columns.is_unique:
        twice = table.columns[table.columns.duplicated()][0]
        raise FormulaError(f"Columns must have different names; {twice!r} occurs more than once.")
    parsed = _parse(formula)
    columns = _columns(parsed, formula, table)
    lacking = table[columns].isna().to_numpy().any(axis=1) if columns else np.zeros(len(table), dtype=bool)
    if lacking.any() and missing == "refuse":
        row = int(np.argmax(lacking))
        column = next(name for name in columns if table[name].isna().iloc[row])
        raise FormulaError(
            f"Moderator {column!r} is missing in {int(lacking.sum())} of {len(table)} rows, first in row "
            f"{table.index[row]}. Fill it in, or ask for rows that lack a moderator to be dropped."
        )
    rows, dropped = np.flatnonzero(~lacking), np.flatnonzero(lacking)
    if not rows.size:
        raise FormulaError(f"No row has all moderators of {formula!r}; nothing is left to fit.")
    matrix = _matrix(parsed, formula, table.iloc[rows])
    X = np.array(matrix, dtype=float)
    names = tuple("intercept" if name == "Intercept" else str(name) for name in matrix.columns)
    bad = ~np.isfinite(X)
    if bad.any():
        i, j = (int(part) for part in np.argwhere(bad)[0])
        raise FormulaError(
            f"Moderator {names[j]} must be a finite number in every row; it is {X[i, j]:g} in row "
            f"{table.index[rows[i]]}. Transform it otherwise or leave the row out."
        )
    return Moderators(X, names, rows, dropped)


def _parse(formula: str) -> SimpleFormula:
    """One-sided formula with an intercept unless ``0 +`` or ``- 1`` removes it."""
    from formulaic import Formula, SimpleFormula
    from formulaic.errors import FormulaicError

    if not formula.strip(" ~"):
        raise FormulaError(f"The formula {formula!r} cannot be read: it is empty; write 1 for an intercept alone.")
    try:
        parsed: Any = Formula(formula)
    except (FormulaicError, SyntaxError, ValueError, TypeError) as error:
        reason = str(error).strip().splitlines()[0].split(". ")[0].rstrip(".")
        raise FormulaError(f"The formula {formula!r} cannot be read: {reason}.") from None
    if not isinstance(parsed, SimpleFormula):
        raise FormulaError(
            f"A moderator formula has one side, like 'dose + C(disorder)'; given {formula!r}. "
            "The effects are named by yi and vi."
        )
    if not len(parsed):
        raise FormulaError(f"The formula {formula!r} has no terms; write 1 for an intercept alone.")
    return parsed


def _columns(parsed: SimpleFormula, formula: str, table: DataFrame) -> list[str]:
    """Columns of the table that a formula uses, refusing every other name."""
    from formulaic.transforms import TRANSFORMS

    there = [str(name) for name in table.columns]
    used: dict[str, None] = {}
    for name in _names(parsed, formula):
        if name in there:
            used[name] = None
        elif name not in TRANSFORMS:
            raise FormulaError(
                f"The formula {formula!r} names {name!r}, which is not a column. "
                f"Columns there are: {', '.join(there)}."
            )
    return list(used)


def _names(parsed: SimpleFormula, formula: str) -> Iterator[str]:
    """Every name in a formula except those of numpy's elementwise functions and formulaic's contrasts."""
    for factor in (factor for term in parsed for factor in term.factors):
        if factor.eval_method.value == "lookup":
            yield str(factor.expr)
        if factor.eval_method.value != "python":
            continue
        for node in ast.walk(ast.parse(str(factor.expr), mode="eval")):
            if isinstance(node, ast.Attribute) and not _is_function(node):
                raise FormulaError(
                    f"The formula {formula!r} uses {ast.unparse(node)!r}; only columns, the transforms of "
                    "formulaic and elementwise functions such as np.log may be used."
                )
            if isinstance(node, ast.Name):
                yield node.id


def _is_function(node: ast.Attribute) -> bool:
    """Whether an attribute is ``np.log`` and the like, or a contrast such as ``contr.sum``."""
    if not isinstance(node.value, ast.Name):
        return False
    if node.value.id == "np":
        return isinstance(getattr(np, node.attr, None), np.ufunc)
    return node.value.id == "contr" and not node.attr.startswith("_")


def _matrix(parsed: SimpleFormula, formula: str, table: DataFrame) -> DataFrame:
    """Evaluate a formula on rows without missing moderators."""
    from formulaic.errors import FormulaicError

    try:
        with np.errstate(all="ignore"):  # what is not finite is refused by name afterwards
            matrix: DataFrame = parsed.get_model_matrix(_plain(table), context={}, na_action="ignore")
    except (FormulaicError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise FormulaError(f"The formula {formula!r} cannot be evaluated: {reason}") from None
    return matrix


def _plain(table: DataFrame) -> DataFrame:
    """Columns of words as plain objects and of pandas' own numbers as floats, which formulaic expects."""
    from pandas import CategoricalDtype
    from pandas.api.types import is_numeric_dtype

    def convert(column: Series[Any]) -> Series[Any]:
        if isinstance(column.dtype, CategoricalDtype):
            return column.cat.remove_unused_categories()
        return column.astype(float) if is_numeric_dtype(column.dtype) else column.astype(object)

    return table.apply(convert)
