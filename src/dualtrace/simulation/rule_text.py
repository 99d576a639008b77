"""Dosing rules as text: a small grammar read into a tree, and the tree written again.

::

    rule        both ("or" both)*
    both        single ("and" single)*
    single      "not" single | comparison
    comparison  sum (("<" | "<=" | ">" | ">=" | "==" | "!=") sum)*
    sum         product (("+" | "-") product)*
    product     piece (("*" | "/") piece)*
    piece       "-" piece | number | name | ("min" | "max" | "abs") "(" sum ("," sum)* ")" | "(" rule ")"
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, final

from dualtrace.errors import InputError
from dualtrace.simulation.rule_tree import (
    NAMES,
    Amount,
    Arithmetic,
    Call,
    Compare,
    Flag,
    Joined,
    Name,
    Negative,
    Node,
    Not,
    Number,
    Truth,
    kind_of,
    together,
)

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = 300
"""Most characters of a rule."""

DEEPEST = 12
"""Most brackets, signs and ``not`` inside each other."""

FUNCTIONS = ("min", "max", "abs")
_TOKEN = re.compile(
    r"[ \t\r\n]*(?:(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|(?P<word>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<sign><=|>=|==|!=|[-<>+*/(),]))"
)
_COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
_INSTEAD = {
    "=": "write == to compare",
    "&": "write and",
    "|": "write or",
    "!": "write not",
    "^": "there are no powers",
}
ALLOWED = (
    f"a rule compares known values ({', '.join(NAMES)}) with < <= > >= == !=, joined by and, or, not; "
    "it may use + - * /, min, max, abs and brackets"
)


def read_rule(text: str) -> Truth:
    """Read a rule into its tree.

    Raises
    ------
    InputError
        Naming the place in the text, what stands there and what is allowed.
    """
    if len(text) > LONGEST:
        raise InputError(f"a rule has at most {LONGEST} characters; given {len(text):,}")
    if not text.strip():
        raise InputError(f"a rule must say something, such as last_suds < 40; {ALLOWED}")
    reader = _Reader(text)
    root = reader.truth(reader.rule(), 0)
    reader.require_end()
    if not reader.names:
        raise InputError(f"the rule {text!r} uses no known value; {ALLOWED}")
    return root


@final
class _Reader:
    """The tokens of one rule and the place reached; one method per line of the grammar."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.names: set[str] = set()
        self._tokens = _tokens(text)
        self._at = 0
        self._depth = 0

    def rule(self) -> Node:
        """Parts joined by ``or``, each of parts joined by ``and``."""
        return self._joined("or", lambda: self._joined("and", self._single))

    def _joined(self, word: str, part: Callable[[], Node]) -> Node:
        place, first = self._place, part()
        if self._token != word:
            return first
        parts = [self.truth(first, place)]
        while self._accept(word):
            place = self._place
            parts.append(self.truth(part(), place))
        return Joined(word, tuple(parts))

    def _single(self) -> Node:
        if not self._accept("not"):
            return self._comparison()
        place = self._place
        return Not(self.truth(self._deeper(self._single), place))

    def _comparison(self) -> Node:
        place, left = self._place, self._sum()
        pairs: list[Truth] = []
        while self._token in _COMPARISONS:
            sign = self._next()
            left = self._amount(left, place)
            start = self._place
            right = self._amount(self._sum(), start)
            self._check(Compare(sign, left, right), place)
            pairs.append(Compare(sign, left, right))
            left, place = right, start
        if not pairs:
            return left
        return pairs[0] if len(pairs) == 1 else Joined("and", tuple(pairs))

    def _sum(self) -> Node:
        return self._chain(("+", "-"), self._product)

    def _product(self) -> Node:
        return self._chain(("*", "/"), self._piece)

    def _chain(self, signs: tuple[str, ...], part: Callable[[], Node]) -> Node:
        place, left = self._place, part()
        while self._token in signs:
            sign = self._next()
            left = self._amount(left, place)
            start = self._place
            left = Arithmetic(sign, left, self._amount(part(), start))
            self._check(left, place)
        return left

    def _piece(self) -> Node:
        if self._accept("-"):
            start = self._place
            inner = self._amount(self._deeper(self._piece), start)
            return Number(-inner.value) if isinstance(inner, Number) else Negative(inner)
        if self._accept("("):
            inside = self._deeper(self.rule)
            self._require(")")
            return inside
        place, token = self._place, self._next()
        if token in FUNCTIONS:
            return self._call(token, place)
        if token in NAMES:
            self.names.add(token)
            return Name(token)
        if token[:1].isdigit() or token[:1] == ".":
            return self._number(token, place)
        raise self._error(place, f"an unknown name {token!r}" if token[:1].isalpha() else self._said(token))

    def _call(self, function: str, place: int) -> Node:
        self._require("(")
        arguments = []
        while True:
            start = self._place
            arguments.append(self._amount(self._deeper(self._sum), start))
            if not self._accept(","):
                break
        self._require(")")
        if (len(arguments) == 1) != (function == "abs"):
            most = "one value" if function == "abs" else "two or more values"
            raise self._error(place, f"{function} of {len(arguments)} (it takes {most})")
        call = Call(function, tuple(arguments))
        self._check(call, place)
        return call

    def _number(self, token: str, place: int) -> Number:
        if not math.isfinite(float(token)):
            raise self._error(place, f"{token!r}, which is too large a number")
        return Number(float(token))

    def truth(self, node: Node, place: int) -> Truth:
        """The node as something true or false; ``response`` is so by itself."""
        if isinstance(node, Compare | Flag | Not | Joined):
            return node
        if node == Name("response"):
            return Flag("response")
        raise self._error(place, "a value where something true or false is needed (compare it with a number)")

    def _amount(self, node: Node, place: int) -> Amount:
        if isinstance(node, Compare | Flag | Not | Joined):
            raise self._error(place, "a comparison where a number is needed")
        return node

    def _deeper(self, part: Callable[[], Node]) -> Node:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._error(self._place, f"more than {DEEPEST} brackets, signs or nots inside each other")
        inside = part()
        self._depth -= 1
        return inside

    def _check(self, node: Amount | Compare, place: int) -> None:
        try:
            _ = together(kind_of(node.left), kind_of(node.right)) if isinstance(node, Compare) else kind_of(node)
        except InputError as error:
            raise InputError(f"{error}; this is done at character {place + 1} of the rule {self.text!r}") from None

    @property
    def _token(self) -> str:
        return self._tokens[self._at][1]

    @property
    def _place(self) -> int:
        return self._tokens[self._at][0]

    def _next(self) -> str:
        token = self._token
        self._at += bool(token)
        return token

    def _accept(self, token: str) -> bool:
        found = self._token == token
        self._at += found
        return found

    def _require(self, token: str) -> None:
        if not self._accept(token):
            raise self._error(self._place, f"{self._said(self._token)} where {token!r} is needed")

    def require_end(self) -> None:
        """Refuse what stands behind the rule."""
        if self._token:
            raise self._error(self._place, f"{self._token!r}, which does not belong there")

    def _said(self, token: str) -> str:
        return repr(token) if token else "nothing"

    def _error(self, place: int, what: str) -> InputError:
        return InputError(f"the rule {self.text!r} holds, at character {place + 1}, {what}; {ALLOWED}")


def _tokens(text: str) -> tuple[tuple[int, str], ...]:
    """Places and texts of all tokens; the last is empty and marks the end."""
    found: list[tuple[int, str]] = []
    place = 0
    end = len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None:
            start = place + len(text[place:]) - len(text[place:].lstrip())
            sign = text[start]
            remedy = f" ({_INSTEAD[sign]})" if sign in _INSTEAD else ""
            raise InputError(f"the rule {text!r} holds, at character {start + 1}, {sign!r}{remedy}; {ALLOWED}")
        token = match[match.lastgroup or 0]
        found.append((match.end() - len(token), token))
        place = match.end()
    return (*found, (end, ""))


_STRENGTH = {"+": 1, "-": 1, "*": 2, "/": 2}


def write_rule(node: Node) -> str:
    """Write a tree as text that reads back into the same tree; a number still being traced is written ``...``."""
    match node:
        case Number(value):
            return _number_text(value)
        case Name(name) | Flag(name):
            return name
        case Negative(part):
            return f"-{_side(part, 3)}"
        case Call(function, arguments):
            return f"{function}({', '.join(write_rule(argument) for argument in arguments)})"
        case Arithmetic(sign, left, right):
            return f"{_side(left, _STRENGTH[sign])} {sign} {_side(right, _STRENGTH[sign] + 1)}"
        case Compare(sign, left, right):
            return f"{write_rule(left)} {sign} {write_rule(right)}"
        case Not(part):
            return f"not {_part(part, 'not')}"
        case Joined(word, parts):
            return f" {word} ".join(_part(part, word) for part in parts)


def _number_text(value: object) -> str:
    try:
        return repr(float(value)).removesuffix(".0")  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return "..."


def _side(node: Amount, strength: int) -> str:
    text = write_rule(node)
    return f"({text})" if isinstance(node, Arithmetic) and _STRENGTH[node.operator] < strength else text


def _part(node: Truth, word: str) -> str:
    text = write_rule(node)
    plain = isinstance(node, Compare | Flag) or (isinstance(node, Not) and word != "not")
    bound = isinstance(node, Joined) and node.word == "and" and word == "or"
    return text if plain or bound else f"({text})"
