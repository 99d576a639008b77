"""The language of findings: ``fear[DCS,long@test] < fear[SAL,long@test]``, parsed once into a small tree.

A finding is a chain of sides with ``<``, ``>``, ``<=``, ``>=`` or ``~`` (no difference) between them. A side adds and
subtracts terms; a term is a number, or a quantity with levels and phase: ``fear[levels@phase]`` (mean over the
phase), ``fear[levels@phase.first4]``, ``.last4``, ``.first``, ``.last``; ``trials[levels@phase]`` is the number
of presentations until fear has fallen to half of the phase's first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from dualtrace.errors import InputError

_RELATION = re.compile(r"(<=|>=|<|>|~)")
_PIECE = re.compile(
    r"\s*(?P<sign>[+-])?\s*(?:(?P<factor>\d+(?:\.\d+)?)\s*\*\s*)?"
    r"(?:(?P<quantity>[a-z_]+)\[(?P<inside>[^\]]*)\]|(?P<number>\d+(?:\.\d+)?))\s*"
)
_SELECTOR = re.compile(r"^(?P<phase>[A-Za-z0-9][A-Za-z0-9_+-]*)(?:\.(?P<end>first|last)(?P<count>\d*))?$")

QUANTITIES = ("fear", "trials")


class Relation(StrEnum):
    """What must hold between two sides."""

    LESS = "<"
    MORE = ">"
    NOT_MORE = "<="
    NOT_LESS = ">="
    SAME = "~"


@dataclass(frozen=True, slots=True)
class Term:
    """One quantity of one group in one phase, with the factor it enters by."""

    quantity: str
    levels: frozenset[str]
    phase: str
    end: str
    count: int
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Side:
    """A sum of terms and a number."""

    terms: tuple[Term, ...]
    constant: float


@dataclass(frozen=True, slots=True)
class Contrast:
    """Sides and the relations between neighbours; all of them must hold."""

    sides: tuple[Side, ...]
    relations: tuple[Relation, ...]

    @property
    def terms(self) -> tuple[Term, ...]:
        """All terms of all sides."""
        return tuple(term for side in self.sides for term in side.terms)


@lru_cache(maxsize=4096)
def parse_contrast(text: str) -> Contrast:
    """Parse a finding.

    Raises
    ------
    InputError
        Naming the place where the text cannot be read.
    """
    parts = _RELATION.split(text)
    if len(parts) < 3:
        raise InputError(f"a contrast compares two sides with <, >, <=, >= or ~; given {text!r}")
    return Contrast(
        tuple(_side(part, text) for part in parts[::2]), tuple(Relation(relation) for relation in parts[1::2])
    )


def parse_term(text: str) -> Term:
    """Parse one quantity, such as ``fear[standard@extinction.last4]``. Raises as :func:`parse_contrast`."""
    side = _side(text, text)
    if len(side.terms) != 1 or side.constant:
        raise InputError(f"one quantity is needed, such as fear[DCS@test]; given {text!r}")
    return side.terms[0]


def _side(part: str, text: str) -> Side:
    terms: list[Term] = []
    constant, place = 0.0, 0
    while place < len(part) or place == 0:
        match = _PIECE.match(part, place)
        if match is None or (place > 0 and match["sign"] is None):
            raise InputError(
                "a contrast reads like fear[DCS@test] < fear[SAL@test]; "
                f"{text!r} cannot be read at {part[place:].strip()!r}"
            )
        factor = float(match["factor"] or 1) * (-1 if match["sign"] == "-" else 1)
        if match["number"]:
            constant += factor * float(match["number"])
        else:
            terms.append(_term(match["quantity"], match["inside"], factor, text))
        place = match.end()
    return Side(tuple(terms), constant)


def _term(quantity: str, inside: str, factor: float, text: str) -> Term:
    if quantity not in QUANTITIES:
        raise InputError(f"a quantity is one of {', '.join(QUANTITIES)}; given {quantity!r} in {text!r}")
    levels, at, phase = inside.rpartition("@")
    match = _SELECTOR.match(phase.strip())
    if not at or match is None:
        raise InputError(
            f"a quantity reads like {quantity}[levels@phase] or {quantity}[levels@phase.last4]; "
            f"given [{inside}] in {text!r}"
        )
    wanted = frozenset(level.strip() for level in levels.split(",") if level.strip())
    return Term(quantity, wanted, match["phase"], match["end"] or "", int(match["count"] or 1), factor)
