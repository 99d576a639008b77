"""Protocols from files, text and mappings, and back: YAML and JSON."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from dualtrace.errors import InputError
from dualtrace.simulation.protocol import Protocol
from dualtrace.source_map import SourceMap, parse_yaml, read_yaml, validate

if TYPE_CHECKING:
    from collections.abc import Mapping

DOSED_SESSIONS = frozenset({"literal['all','exposures']", "tuple[int, ...]"})
EXAMPLES = Path(str(files("dualtrace") / "data" / "protocols"))


def read_protocol(path: Path) -> Protocol:
    """Read a protocol from a YAML (or JSON) file.

    Raises
    ------
    EvidenceError
        Naming file, line and field of everything that is wrong.
    """
    return _validated(read_yaml(path))


def parse_protocol(text: str, where: str = "protocol") -> Protocol:
    """Read a protocol from YAML or JSON text; ``where`` is the name used in messages. Raises as read_protocol."""
    return _validated(parse_yaml(text, Path(where)))


def protocol_from(content: Mapping[str, Any], where: str = "protocol") -> Protocol:
    """Make a protocol of plain values as a file holds them; ``where`` is the name used in messages.

    Raises
    ------
    EvidenceError
        Naming the field of everything that is wrong.
    """
    return _validated(SourceMap(Path(where), dict(content), {(): 0}))


def _validated(source_map: SourceMap) -> Protocol:
    return validate(Protocol, source_map, tags=DOSED_SESSIONS)


def protocol_content(protocol: Protocol) -> dict[str, Any]:
    """The protocol as plain values, what is left at its default left out."""
    content: dict[str, Any] = protocol.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return content


def protocol_yaml(protocol: Protocol) -> str:
    """The protocol as a YAML file that reads back into the same protocol."""
    return yaml.safe_dump(protocol_content(protocol), sort_keys=False, allow_unicode=True, width=118)


def protocol_json(protocol: Protocol) -> str:
    """The protocol as JSON that reads back into the same protocol."""
    return json.dumps(protocol_content(protocol), indent=2, ensure_ascii=False)


def example_protocols() -> dict[str, Protocol]:
    """The shipped examples by id."""
    return {path.stem: read_protocol(path) for path in sorted(EXAMPLES.glob("*.yaml"))}


def find_protocol(name: str) -> Protocol:
    """A shipped example by id, or the protocol in a YAML file.

    Raises
    ------
    InputError
        There is no such example and no such file.
    EvidenceError
        The file is no protocol.
    """
    known = [path.stem for path in sorted(EXAMPLES.glob("*.yaml"))]
    if name in known:
        return read_protocol(EXAMPLES / f"{name}.yaml")
    if not Path(name).is_file():
        raise InputError(f"unknown protocol {name!r}; shipped are {', '.join(known)}, or give a YAML file")
    return read_protocol(Path(name))
