"""The scales trials report on."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from dualtrace.frozen import Frozen, Key, Text


class Instrument(Frozen):
    """One scale: what it measures, its range, and which way is better.

    ``minimum``/``maximum`` are absent where no source could be opened.
    """

    name: Text
    measures: Text
    rater: Literal["clinician", "self", "parent", "observer", "device"]
    better: Literal["lower", "higher"]
    minimum: float | None = None
    maximum: float | None = None
    disorders: tuple[Text, ...] = ()
    source: Key | None = None  # entry of references.yaml for the range
    note: Text | None = None

    @model_validator(mode="after")
    def _range_has_source(self) -> Instrument:
        if self.minimum is not None and self.source is None:
            raise ValueError(f"the range of {self.name} needs a source")
        if self.minimum is not None and self.maximum is not None and self.minimum >= self.maximum:
            raise ValueError(f"minimum ({self.minimum:g}) must be below maximum ({self.maximum:g})")
        return self
