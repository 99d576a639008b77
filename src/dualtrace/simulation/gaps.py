"""What a protocol made from a record had to assume: collected field by field while it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from dualtrace.simulation.defaults import assumption
from dualtrace.simulation.protocol import Assumed

if TYPE_CHECKING:
    from dualtrace.frozen import Span
    from dualtrace.simulation.defaults import ClinicalDefaults

NOT_REPORTED = "not reported"


@final
class Gaps:
    """The list of what is assumed, and the defaults that fill it.

    Attributes
    ----------
    usual
        Defaults of the record's disorder and population.
    record
        Id of the record; the source of what is read from it with some freedom.
    """

    def __init__(self, usual: ClinicalDefaults, record: str) -> None:
        self.usual = usual
        self.record = record
        self._assumed: list[Assumed] = []

    @property
    def assumed(self) -> tuple[Assumed, ...]:
        """Everything assumed so far, in order."""
        return tuple(self._assumed)

    def say(self, field: str, value: str, why: str, source: str = "assumption") -> None:
        """Note one assumption."""
        self._assumed.append(Assumed(field=field, value=value, why=why, source=source))

    def read(self, field: str, value: str, why: str) -> None:
        """Note a value that the record gives in another form."""
        self.say(field, value, why, self.record)

    def default(self, field: str, name: str) -> float:
        """The default of a name, noted as assumed."""
        one = self.usual.find(name)
        self._assumed.append(assumption(field, f"{one.value:g}", one))
        return one.value

    def span(self, field: str, reported: Span | None, name: str) -> float:
        """A reported number; the middle of a reported range, or the default, noted as assumed."""
        if reported is None:
            return self.default(field, name)
        if not reported.is_exact:
            self.read(field, f"{reported.middle:g}", f"the middle of the reported {reported}")
        return reported.middle
