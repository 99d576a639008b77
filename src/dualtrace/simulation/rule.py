"""Dosing rules: ``last_suds < 40``, decided at the moment of a dose, hard for a simulation or soft for a gradient.

What is known: a dose **before** session k knows what happened up to session k - 1 (``last_suds``, ``peak_suds``,
``start_suds`` and ``suds_drop`` are those of session k - 1; at session 1 nothing), a dose **after** session k
knows session k. ``session`` is k in both cases, ``baseline`` is always known, ``score`` and ``response`` are
those of the latest assessment. A value that is not known yet is NaN, and a comparison with it is false; so a
rule that starts with ``not`` is true of what is not known.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from dualtrace.errors import InputError
from dualtrace.mechanism.arrays import xp
from dualtrace.simulation.rule_text import read_rule, write_rule
from dualtrace.simulation.rule_tree import (
    Amount,
    Arithmetic,
    Call,
    Compare,
    Flag,
    Joined,
    Kind,
    Name,
    Negative,
    Not,
    Number,
    Truth,
    kind_of,
    together,
    walk,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from dualtrace.mechanism.arrays import Array, ArrayLike


@final
@dataclass(frozen=True, slots=True)
class Rule:
    """A dosing rule; ``str(rule)`` writes it."""

    root: Truth

    def __str__(self) -> str:
        """The rule as text that parses back into the same rule."""
        return write_rule(self.root)

    @property
    def names(self) -> tuple[str, ...]:
        """The known values it uses, each once, in the order they are written."""
        return tuple(dict.fromkeys(node.name for node in walk(self.root) if isinstance(node, Name)))


@final
@dataclass(frozen=True, slots=True)
class Widths:
    """How soft comparisons are, per kind of quantity: how far from its threshold one has gone from 0.5 to 0.73.

    Attributes
    ----------
    suds
        Of comparisons of SUDS, in SUDS points.
    score
        Of comparisons of the primary instrument, in its points.
    share
        Of comparisons of ratios and plain numbers.
    session
        Of comparisons of the session number and of the response; 0 leaves them as hard as they are.
    """

    suds: float
    score: float
    share: float
    session: float = 0.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not (np.isfinite(value) and (value > 0 or (name == "session" and value == 0))):
                raise InputError(f"the width for {name} must be above 0; given {value:g}")

    @classmethod
    def of(cls, width: float | Widths) -> Widths:
        """A number stands for that many points of SUDS and of the instrument, and a hundredth of it for ratios."""
        return width if isinstance(width, Widths) else cls(suds=width, score=width, share=width / 100)

    def for_kind(self, kind: Kind) -> float:
        """The width of a comparison of that kind."""
        return {Kind.SUDS: self.suds, Kind.SCORE: self.score, Kind.SHARE: self.share}.get(kind, self.session)


@functools.lru_cache(maxsize=1024)
def parse_rule(text: str) -> Rule:
    """Read a rule such as ``last_suds < 40 and session > 1``.

    Raises
    ------
    InputError
        Naming the place in the text, what stands there and what is allowed.
    """
    return Rule(read_rule(text))


def evaluate(rule: Rule, values: Mapping[str, ArrayLike]) -> Array:
    """Whether the dose is given.

    Parameters
    ----------
    rule
        The rule.
    values
        Every name of the rule with a number or an array; the arrays broadcast against each other. NaN: not known.

    Returns
    -------
    Array
        Truth values of the broadcast shape, NumPy's or JAX's as the arrays given are.

    Raises
    ------
    InputError
        A name of the rule is missing.
    """
    _require(rule, values)
    with np.errstate(all="ignore"):
        return _decide(rule.root, values, _Logic(_hard, _set, xp.logical_and, xp.logical_not))


def soften(rule: Rule, values: Mapping[str, ArrayLike], width: float | Widths) -> Array:
    """The rule as a share of doses given, so that thresholds have a gradient.

    A comparison ``a < b`` becomes ``1 / (1 + exp((a - b) / width))``, ``a == b`` four times the product of the
    two one-sided comparisons, ``x and y`` the product, ``not x`` the complement, and ``x or y`` follows from
    both. As the width goes to 0 it tends to :func:`evaluate` wherever the two sides differ; where they are
    equal a one-sided comparison stays at 1/2.

    Parameters
    ----------
    rule, values
        As for :func:`evaluate`.
    width
        Points of SUDS (and of the instrument; a hundredth of it for ratios), or widths kind by kind.

    Returns
    -------
    Array
        Between 0 and 1, of the broadcast shape.

    Raises
    ------
    InputError
        A name of the rule is missing, or the width is not above 0.
    """
    _require(rule, values)
    widths = Widths.of(width)

    def softly(compare: Compare, left: Array, right: Array) -> Array:
        return _soft(compare, left, right, widths)

    with np.errstate(all="ignore"):
        return _decide(rule.root, values, _Logic(softly, _share, xp.multiply, lambda share: 1.0 - share))


def thresholds(rule: Rule) -> tuple[Any, ...]:
    """The numbers of a rule, in the order they are written."""
    return tuple(node.value for node in walk(rule.root) if isinstance(node, Number))


def with_thresholds(rule: Rule, values: Sequence[ArrayLike]) -> Rule:
    """The rule with other numbers, which may be tracers of JAX.

    Raises
    ------
    InputError
        There are more or fewer numbers than the rule has.
    """
    wanted = len(thresholds(rule))
    if len(values) != wanted:
        raise InputError(f"the rule '{rule}' has {wanted} numbers; given {len(values)}")
    root = _renumbered(rule.root, iter(values))
    return Rule(root)


def _renumbered(node: Any, values: Iterator[ArrayLike]) -> Any:  # noqa: ANN401
    match node:
        case Number():
            return Number(next(values))
        case Arithmetic(sign, left, right) | Compare(sign, left, right):
            return type(node)(sign, _renumbered(left, values), _renumbered(right, values))
        case Call(word, parts) | Joined(word, parts):
            return type(node)(word, tuple(_renumbered(part, values) for part in parts))
        case Not(part) | Negative(part):
            return type(node)(_renumbered(part, values))
    return node


def _require(rule: Rule, values: Mapping[str, ArrayLike]) -> None:
    missing = [name for name in rule.names if name not in values]
    if missing:
        given = ", ".join(values) or "nothing"
        raise InputError(f"the rule '{rule}' needs {', '.join(missing)}; given {given}")


@final
@dataclass(frozen=True, slots=True)
class _Logic:
    """What comparing, ``and`` and ``not`` mean; ``or`` follows from the last two."""

    compare: Callable[[Compare, Array, Array], Array]
    flag: Callable[[Array], Array]
    both: Callable[[Array, Array], Array]
    opposite: Callable[[Array], Array]


def _decide(node: Truth, values: Mapping[str, ArrayLike], logic: _Logic) -> Array:
    match node:
        case Compare(_, left, right):
            return logic.compare(node, _amount(left, values), _amount(right, values))
        case Flag(name):
            return logic.flag(xp.asarray(values[name]))
        case Not(part):
            return logic.opposite(_decide(part, values, logic))
        case Joined("and", parts):
            return functools.reduce(logic.both, (_decide(part, values, logic) for part in parts))
        case Joined(_, parts):
            none = functools.reduce(logic.both, (logic.opposite(_decide(part, values, logic)) for part in parts))
            return logic.opposite(none)


_HARD = {
    "<": xp.less,
    "<=": xp.less_equal,
    ">": xp.greater,
    ">=": xp.greater_equal,
    "==": xp.equal,
    "!=": xp.not_equal,
}


def _known(left: Array, right: Array) -> Array:
    return xp.logical_and(xp.isfinite(left), xp.isfinite(right))


def _hard(compare: Compare, left: Array, right: Array) -> Array:
    return xp.logical_and(_known(left, right), _HARD[compare.operator](left, right))


def _set(flag: Array) -> Array:
    return xp.logical_and(xp.isfinite(flag), flag > 0.5)


def _share(flag: Array) -> Array:
    return xp.where(xp.isfinite(flag), flag, 0.0)


def _soft(compare: Compare, left: Array, right: Array, widths: Widths) -> Array:
    width = widths.for_kind(together(kind_of(compare.left), kind_of(compare.right)))
    if width == 0:
        return xp.where(_hard(compare, left, right), 1.0, 0.0)
    known = _known(left, right)
    # The gradient of what is not known must be 0, not NaN: so the difference itself is made 0 there.
    less = _logistic(xp.where(known, right, 0.0) - xp.where(known, left, 0.0), width)
    same = 4.0 * less * (1.0 - less)
    share = {"<": less, "<=": less, ">": 1.0 - less, ">=": 1.0 - less, "==": same, "!=": 1.0 - same}
    return xp.where(known, share[compare.operator], 0.0)


def _logistic(difference: Array, width: float) -> Array:
    return 0.5 * (1.0 + xp.tanh(difference / (2.0 * width)))


def _amount(node: Amount, values: Mapping[str, ArrayLike]) -> Array:
    match node:
        case Number(value):
            return xp.asarray(value)
        case Name(name):
            return xp.asarray(values[name])
        case Negative(part):
            return -_amount(part, values)
        case Call("abs", arguments):
            return xp.abs(_amount(arguments[0], values))
        case Call(function, arguments):
            choose = xp.minimum if function == "min" else xp.maximum
            return functools.reduce(choose, (_amount(argument, values) for argument in arguments))
        case Arithmetic(sign, left, right):
            return _arithmetic(sign, _amount(left, values), _amount(right, values))


def _arithmetic(sign: str, left: Array, right: Array) -> Array:
    if sign == "/":
        nothing = right == 0
        return xp.where(nothing, xp.nan, left / xp.where(nothing, 1.0, right))
    return {"+": xp.add, "-": xp.subtract, "*": xp.multiply}[sign](left, right)
