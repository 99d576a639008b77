"""The JSON Schema of a trial file, generated from the record types."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dualtrace.evidence.load import DATA
from dualtrace.evidence.record import Trial

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA_FILE = DATA / "schema" / "trial.schema.json"

_NUMBER_OR_P = {
    "description": 'a two-sided p-value, exact (0.03) or bounded ("<0.05", ">0.1")',
    "anyOf": [
        {"type": "number", "minimum": 0, "maximum": 1},
        {"type": "string", "pattern": r"^\s*[<>]=?\s*[0-9.]+$"},
    ],
}


def trial_schema() -> dict[str, Any]:
    """Return the schema; numbers stand for spans and p-values as they do in the files."""
    schema: dict[str, Any] = Trial.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    definitions = schema["$defs"]
    definitions["P"] = _NUMBER_OR_P
    definitions["Span"] = {
        "description": "one number, or a range with low and high",
        "anyOf": [{"type": "number"}, definitions["Span"]],
    }
    return schema


def write_schema(path: Path = SCHEMA_FILE) -> None:
    """Write the schema into the package; a test fails when it is stale."""
    path.write_text(json.dumps(trial_schema(), indent=2) + "\n", encoding="utf-8")
