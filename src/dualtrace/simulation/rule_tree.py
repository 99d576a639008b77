"""What a dosing rule is made of: names, numbers, arithmetic and comparisons; and which quantities may meet."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, final

from dualtrace.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator


@final
class Kind(StrEnum):
    """What sort of quantity an expression is; distress and symptom scores cannot be mixed."""

    SUDS = "SUDS"
    SCORE = "points of the primary instrument"
    SESSION = "session number"
    RESPONSE = "response"
    SHARE = "a plain number"


NAMES: dict[str, tuple[Kind, str]] = {
    "session": (Kind.SESSION, "number of the session the dose belongs to, from 1"),
    "last_suds": (Kind.SUDS, "SUDS at the end of the latest session that is over"),
    "peak_suds": (Kind.SUDS, "highest SUDS in that session"),
    "start_suds": (Kind.SUDS, "SUDS at the start of that session"),
    "suds_drop": (Kind.SUDS, "peak_suds - last_suds, the fall within that session"),
    "previous_suds": (Kind.SUDS, "SUDS at the end of the session before that one"),
    "score": (Kind.SCORE, "latest assessment of the primary instrument"),
    "baseline": (Kind.SCORE, "the primary instrument at baseline"),
    "response": (
        Kind.RESPONSE,
        "1 when the latest assessment of the primary instrument was a response, else 0",
    ),
}
"""Everything a rule can know, in the units of the field: SUDS run from 0 to 100."""


@final
@dataclass(frozen=True, slots=True)
class Number:
    """A number as written; ``value`` may be replaced by an array or a tracer of JAX."""

    value: Any


@final
@dataclass(frozen=True, slots=True)
class Name:
    """One of :data:`NAMES`."""

    name: str


@final
@dataclass(frozen=True, slots=True)
class Negative:
    """``-part``."""

    part: Amount


@final
@dataclass(frozen=True, slots=True)
class Arithmetic:
    """``left operator right`` with ``+ - * /``."""

    operator: str
    left: Amount
    right: Amount


@final
@dataclass(frozen=True, slots=True)
class Call:
    """``min``, ``max`` or ``abs`` of amounts."""

    function: str
    arguments: tuple[Amount, ...]


Amount = Number | Name | Negative | Arithmetic | Call


@final
@dataclass(frozen=True, slots=True)
class Compare:
    """``left operator right`` with ``< <= > >= == !=``."""

    operator: str
    left: Amount
    right: Amount


@final
@dataclass(frozen=True, slots=True)
class Flag:
    """A name that is true or false by itself: ``response``."""

    name: str


@final
@dataclass(frozen=True, slots=True)
class Not:
    """True where ``part`` is false."""

    part: Truth


@final
@dataclass(frozen=True, slots=True)
class Joined:
    """Parts joined by ``and`` or by ``or``."""

    word: str
    parts: tuple[Truth, ...]


Truth = Compare | Flag | Not | Joined
Node = Amount | Truth


def below(node: Node) -> tuple[Node, ...]:
    """The parts of a node, in the order they are written."""
    match node:
        case Arithmetic(_, left, right) | Compare(_, left, right):
            return (left, right)
        case Call(_, arguments):
            return arguments
        case Not(part) | Negative(part):
            return (part,)
        case Joined(_, parts):
            return parts
    return ()


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it, in the order it is written."""
    yield node
    for part in below(node):
        yield from walk(part)


def kind_of(amount: Amount) -> Kind:
    """What sort of quantity an amount is.

    A session number counts as a plain number beside other quantities, so that a threshold may change from
    session to session.

    Raises
    ------
    InputError
        SUDS and points of an instrument are added, compared or multiplied.
    """
    match amount:
        case Number():
            return Kind.SHARE
        case Name(name):
            return NAMES[name][0]
        case Negative(part):
            return kind_of(part)
        case Call(_, arguments):
            kind = kind_of(arguments[0])
            for argument in arguments[1:]:
                kind = together(kind, kind_of(argument))
            return kind
        case Arithmetic("*", left, right):
            return _times(kind_of(left), kind_of(right))
        case Arithmetic("/", left, right):
            return _over(kind_of(left), kind_of(right))
        case Arithmetic(_, left, right):
            return together(kind_of(left), kind_of(right))


_MEASURED = (Kind.SUDS, Kind.SCORE)


def together(left: Kind, right: Kind) -> Kind:
    """Kind of a sum, or of the two sides of a comparison. Raises as :func:`kind_of`."""
    measured = {kind for kind in (left, right) if kind in _MEASURED}
    if len(measured) == 2:
        raise InputError("SUDS and points of the primary instrument cannot be added or compared")
    if measured:
        return measured.pop()
    return left if left is not Kind.SHARE else right


def _times(left: Kind, right: Kind) -> Kind:
    if left in _MEASURED and right in _MEASURED:
        raise InputError("two measured quantities cannot be multiplied; divide one by the other for a share")
    return together(left, right)


def _over(left: Kind, right: Kind) -> Kind:
    return Kind.SHARE if right in _MEASURED else together(left, right)
