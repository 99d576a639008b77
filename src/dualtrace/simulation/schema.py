"""The JSON Schema of a protocol file, generated from the record types."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dualtrace.evidence.load import DATA
from dualtrace.simulation.protocol import Protocol

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA_FILE = DATA / "schema" / "protocol.schema.json"

_DOSED = {
    "description": "all, exposures (those with exposures), or numbers from 1",
    "anyOf": [
        {"enum": ["all", "exposures"]},
        {"type": "integer", "minimum": 1},
        {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1},
    ],
}


def protocol_schema() -> dict[str, Any]:
    """Return the schema; one block size, stratum or session may stand without a list, as in the files."""
    schema: dict[str, Any] = Protocol.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["$defs"]["ProtocolArm"]["properties"]["sessions"] = {**_DOSED, "default": "exposures"}
    properties = schema["$defs"]["Randomisation"]["properties"]
    for name in ("blocks", "strata"):
        properties[name] = {"anyOf": [properties[name]["items"], properties[name]]}
    return schema


def write_schema(path: Path = SCHEMA_FILE) -> None:
    """Write the schema into the package; a test fails when it is stale."""
    path.write_text(json.dumps(protocol_schema(), indent=2) + "\n", encoding="utf-8")
