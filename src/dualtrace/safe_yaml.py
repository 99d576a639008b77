"""YAML from strangers: what a small file could exhaust a reader with is refused before it is built."""

from __future__ import annotations

from typing import Any, NamedTuple

import yaml

from dualtrace.errors import InputError

DEEPEST = 50
"""Most lists and mappings inside each other; a record of a trial has fewer than ten."""

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The safe loader of libyaml where it is there (nine times faster)."""


class Trap(NamedTuple):
    """What is refused: its line from 1, what is wrong, and what to do."""

    line: int
    message: str
    remedy: str


def find_trap(text: str) -> Trap | None:
    """Return the first anchor, alias or too deep nesting; None when there is none.

    It reads the stream of events, which needs no recursion; composing the tree does.

    Raises
    ------
    yaml.YAMLError
        When the text is not YAML.
    """
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        line = 0 if event.start_mark is None else event.start_mark.line + 1
        name = getattr(event, "anchor", None)
        if name is not None:
            sign = "*" if isinstance(event, yaml.AliasEvent) else "&"
            message = f"a file must not use YAML anchors (&) and aliases (*); given {sign}{shorten(name)}."
            return Trap(line, message, "Write the value out where it is needed, or put it in quotes if it is text.")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            message = f"lists and mappings must be nested at most {DEEPEST} deep; here begins level {depth}."
            return Trap(line, message, "Close the brackets opened before it.")
    return None


def parse(text: str, where: str) -> Any:  # noqa: ANN401
    """Return the plain values of a YAML text; ``where`` is the file named in messages.

    Raises
    ------
    InputError
        When the text is not YAML or holds a trap.
    """
    try:
        trap = find_trap(text)
        if trap is None:
            return yaml.load(text, LOADER)  # noqa: S506  (both loaders are safe ones)
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{where} is not YAML: {error}") from error
    raise InputError(f"{where}, line {trap.line}: {trap.message} {trap.remedy}")


def shorten(text: str, most: int = 60) -> str:
    """Return the text, cut to a length fit for a message."""
    return text if len(text) <= most else f"{text[:most]}..."
