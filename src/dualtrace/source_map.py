"""YAML with line numbers: what a file says and on which line it says it, and records made from that."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from pydantic import ValidationError

from dualtrace.errors import EvidenceError, Problem
from dualtrace.frozen import FieldError, Frozen

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Record = TypeVar("Record", bound=Frozen)

MAX_BYTES = 1_000_000
DEEPEST = 50
"""Most lists and mappings inside each other; a record of a trial has fewer than ten."""

LONGEST_NUMBER = 100
"""Most characters of an unquoted number, date or truth value."""

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

FieldPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class SourceMap:
    """Parsed content of one file with the line of every field.

    Attributes
    ----------
    path
        The file.
    content
        Plain Python values.
    lines
        Field path to line number, counted from 1.
    """

    path: Path
    content: Any
    lines: dict[FieldPath, int] = field(repr=False)

    def line(self, where: FieldPath) -> int:
        """Return the line of a field, or of its nearest enclosing field that stands in the file."""
        for end in range(len(where), -1, -1):
            found = self.lines.get(where[:end])
            if found is not None:
                return found
        return 1

    def problem(self, where: FieldPath, message: str, remedy: str = "") -> Problem:
        """Return an error at a field."""
        return Problem(self.path, self.line(where), dotted(where), message, remedy)


def dotted(where: FieldPath) -> str:
    """Write a field path as ``outcomes[2].weeks``."""
    text = ""
    for part in where:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else part)
    return text


def read_yaml(path: Path) -> SourceMap:
    """Read one YAML file.

    Raises
    ------
    EvidenceError
        When the file is too large, not UTF-8, not YAML, empty, repeats a key, uses an anchor or alias, or is
        nested too deeply.
    """
    return parse_yaml(_read_text(path), path)


def parse_yaml(text: str, path: Path) -> SourceMap:
    """Read YAML from text; ``path`` is the file named in messages. Raises as :func:`read_yaml`."""
    try:
        _refuse_traps(text, path)
        node = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        line = mark.line + 1 if mark else 0
        remedy = "Check quotes, colons and indentation there; the file may be cut off."
        raise EvidenceError((Problem(path, line, "", f"this is not valid YAML ({what}).", remedy),)) from None
    if node is None:
        raise EvidenceError((Problem(path, 0, "", "the file is empty.", "Write a record or delete the file."),))
    lines: dict[FieldPath, int] = {}
    problems: list[Problem] = []
    content = _construct(node, (), lines, problems, path)
    if problems:
        raise EvidenceError(tuple(problems))
    return SourceMap(path, content, lines)


def validate(record: type[Record], source_map: SourceMap, *, tags: frozenset[str] = frozenset()) -> Record:
    """Turn parsed content into a record, or say file, line and field of everything that is wrong.

    Parameters
    ----------
    record, source_map
        Type of the record, and what the file says.
    tags
        Names by which pydantic tells the members of a union apart; they are no fields of the file.

    Raises
    ------
    EvidenceError
        Naming every problem.
    """
    try:
        return record.model_validate(source_map.content)
    except ValidationError as error:
        raise EvidenceError(tuple(_problems(error, source_map, tags))) from None


def _problems(error: ValidationError, source_map: SourceMap, tags: frozenset[str]) -> Iterable[Problem]:
    for detail in error.errors(include_url=False):
        cause = detail.get("ctx", {}).get("error")
        loc = (*detail["loc"], *(cause.where if isinstance(cause, FieldError) else ()))
        where = tuple(part for part in loc if part not in tags)
        given = detail.get("input")
        if detail["type"] == "too_short" and given:
            continue  # its items were refused one by one; they are listed themselves
        message = detail["msg"].removeprefix("Value error, ").rstrip(".")
        if detail["type"] == "extra_forbidden":
            message, remedy = "there is no field of this name", "Check the spelling."
        elif detail["type"] == "missing":
            message, remedy = "a required field is missing", "Add it."
        else:
            message = message[0].lower() + message[1:]
            remedy = "" if isinstance(given, dict | list) or detail["type"] == "value_error" else f"Given {given!r}."
        yield source_map.problem(where, f"{message}.", remedy)


def _refuse_traps(text: str, path: Path) -> None:
    """Refuse what a small file can blow up with: anchors, aliases and deep nesting.

    It reads the stream of events, which needs no recursion; composing the tree does.
    """
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else 0
        name = getattr(event, "anchor", None)
        if name is not None:
            sign = "*" if isinstance(event, yaml.AliasEvent) else "&"
            message = f"a file must not use YAML anchors (&) and aliases (*); given {sign}{shorten(name)}."
            remedy = "Write the value out where it is needed, or put it in quotes if it is text."
            raise EvidenceError((Problem(path, line, "", message, remedy),))
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            message = f"lists and mappings must be nested at most {DEEPEST} deep; here begins level {depth}."
            raise EvidenceError((Problem(path, line, "", message, "Close the brackets opened before it."),))


def shorten(text: str, most: int = 60) -> str:
    """Return the text, cut to a length fit for a message."""
    return text if len(text) <= most else f"{text[:most]}..."


def _read_text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            message = f"the file has {size:,} bytes; a record has at most {MAX_BYTES:,}."
            raise EvidenceError((Problem(path, 0, "", message, "Is this a record file?"),))
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"the file is not UTF-8: byte {error.start} is 0x{error.object[error.start]:02x}."
        raise EvidenceError((Problem(path, 0, "", message, "Save it as UTF-8."),)) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise EvidenceError((Problem(path, 0, "", f"the file cannot be read ({reason})."),)) from None


def _construct(
    node: yaml.Node, where: FieldPath, lines: dict[FieldPath, int], problems: list[Problem], path: Path
) -> Any:  # noqa: ANN401
    lines[where] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        content: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                message = "a field name must be a word; given a list or a mapping."
                problems.append(Problem(path, line, dotted(where), message, "Write one word before the colon."))
                continue
            key = str(key_node.value)
            here = (*where, key)
            value = _construct(value_node, here, lines, problems, path)
            if key in content:
                remedy = "Keep one of them."
                problems.append(Problem(path, line, dotted(here), "the key stands twice.", remedy))
            lines[here] = line
            content[key] = value
        return content
    if isinstance(node, yaml.SequenceNode):
        return [_construct(item, (*where, i), lines, problems, path) for i, item in enumerate(node.value)]
    try:
        return _scalar(node)
    except (ValueError, ArithmeticError, LookupError, AttributeError, yaml.YAMLError) as error:
        # PyYAML's own readers of numbers and dates fail in all these ways on text they were told to read.
        said = getattr(error, "problem", None) or (str(error) if isinstance(error, ValueError) else None)
        reason = said or f"it does not fit {node.tag}"
        message = f"{shorten(node.value)!r} cannot be read ({reason})."
        problems.append(Problem(path, lines[where], dotted(where), message, "Correct it, or quote it if it is text."))
        return None


_SCALARS = yaml.SafeLoader("")


def _scalar(node: yaml.Node) -> Any:  # noqa: ANN401
    if node.tag == "tag:yaml.org,2002:str":
        return node.value
    if len(node.value) > LONGEST_NUMBER:
        raise ValueError(f"a number or date has at most {LONGEST_NUMBER} characters, not {len(node.value):,}")
    return _SCALARS.construct_object(node)
