"""One line per group, for simple designs: ``A: 10CS+ | B: 20CS- @24h {dcs high before 0.5h} | A: 1CS-``.

Phases are separated by ``|``. A phase is an optional ``name=``, a context letter and a colon, what is presented,
and optionally ``@24h`` (or ``@10min``, ``@2d``: time since the phase before) and ``{drug gain-or-mg before-or-after
time}``. Presented are ``10CS+`` (10 reinforced), ``20CS-`` (20 not reinforced), ``5XY+`` (letters are cues in
compound), ``2US`` (unsignalled), ``30min`` (the context alone). Several in one phase follow each other.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from dualtrace.errors import InputError

if TYPE_CHECKING:
    from dualtrace.experiments.record import Phase

_PHASE = re.compile(r"^\s*(?:(?P<name>[A-Za-z][A-Za-z0-9_]*)\s*=\s*)?(?P<context>[A-Z])\s*:\s*(?P<body>.+?)\s*$")
_WAIT = re.compile(r"@\s*(?P<amount>-?\d+(?:\.\d+)?)\s*(?P<unit>min|h|d)\b")
_DRUG = re.compile(
    r"\{\s*(?P<name>[a-z0-9_]+)\s+(?P<amount>low|medium|high|\d+(?:\.\d+)?\s*mg)\s+(?P<when>before|after)\s+"
    r"(?P<time>\d+(?:\.\d+)?)\s*(?P<unit>min|h|d)\s*\}"
)
_BLOCK = re.compile(r"^(?P<count>\d+(?:\.\d+)?)(?P<what>US|min|CS|[A-Z]+)(?P<sign>[+-]?)$")
_HOURS = {"min": 1 / 60, "h": 1.0, "d": 24.0}
DEFAULT_WAIT_H = 24.0
"""Hours between phases when the notation names none."""


def parse_design(text: str) -> tuple[Phase, ...]:
    """Turn one line into phases.

    Raises
    ------
    InputError
        Naming the phase and the word that cannot be read.
    """
    from dualtrace.experiments.record import Phase

    rows: list[dict[str, Any]] = []
    pieces = text.split("|")
    for number, piece in enumerate(pieces):
        rows += _phase(piece, number, is_last=number == len(pieces) - 1)
    try:
        return tuple(Phase.model_validate(row) for row in _distinct(rows))
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in detail["loc"])
        message = detail["msg"].removeprefix("Value error, ")
        raise InputError(f"{text!r}: {where}: {message}; given {detail['input']!r}") from None


def _phase(piece: str, number: int, *, is_last: bool) -> list[dict[str, Any]]:
    match = _PHASE.match(piece)
    if match is None:
        raise InputError(f"a phase reads like 'A: 10CS+ @24h'; given {piece.strip()!r}")
    body = match["body"]
    common: dict[str, Any] = {"context": match["context"]}
    drugs, body = _drugs(body)
    wait = _WAIT.search(body)
    after = float(wait["amount"]) * _HOURS[wait["unit"]] if wait else (DEFAULT_WAIT_H if number else None)
    words = (body[: wait.start()] + body[wait.end() :] if wait else body).split()
    if not words:
        raise InputError(f"a phase presents something, such as 10CS+ or 30min; given {piece.strip()!r}")
    rows = []
    for place, word in enumerate(words):
        block = _block(word, piece)
        kind = _kind(block, number, is_last=is_last)
        name = match["name"] or kind
        rows.append({**common, **block, "kind": kind, "name": name, "after_h": 0.0 if place else after})
    rows[0]["drug"] = [d for d in drugs if d.get("before_h") is not None]
    rows[-1]["drug"] = [*rows[-1].get("drug", []), *(d for d in drugs if d.get("after_h") is not None)]
    return rows


def _drugs(body: str) -> tuple[list[dict[str, Any]], str]:
    given = []
    for match in _DRUG.finditer(body):
        amount = match["amount"]
        size = {"dose_mg": float(amount[:-2])} if amount.endswith("mg") else {"gain": amount}
        given.append(
            {"name": match["name"], **size, f"{match['when']}_h": float(match["time"]) * _HOURS[match["unit"]]}
        )
    rest = _DRUG.sub("", body)
    if "{" in rest or "}" in rest:
        raise InputError(f"a drug reads like {{dcs high before 0.5h}} or {{dcs 50mg after 0h}}; given {body!r}")
    return given, rest


def _block(word: str, piece: str) -> dict[str, Any]:
    match = _BLOCK.match(word)
    if match is None:
        raise InputError(f"{word!r} in {piece.strip()!r} is not of the form 10CS+, 20CS-, 2US or 30min")
    count, what, sign = float(match["count"]), match["what"], match["sign"]
    if what == "min":
        return {"cs": "", "minutes": count, "us": 0.0}
    if what == "US":
        return {"cs": "", "n": int(count), "us": 1.0}
    if not sign:
        raise InputError(f"{word!r} in {piece.strip()!r} needs + (reinforced) or - (not reinforced)")
    return {"cs": "X" if what == "CS" else what, "n": int(count), "us": 1.0 if sign == "+" else 0.0}


def _kind(block: dict[str, Any], number: int, *, is_last: bool) -> str:
    if is_last:
        return "test"
    if block["us"] > 0:
        return "acquisition" if number == 0 else "reinstatement" if block["cs"] == "" else "acquisition"
    return "extinction"


def _distinct(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    seen: dict[str, int] = {}
    for row in rows:
        seen[row["name"]] = seen.get(row["name"], 0) + 1
        if seen[row["name"]] > 1:
            row["name"] = f"{row['name']}{seen[row['name']]}"
    return rows
