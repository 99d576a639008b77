"""What every subject of a cohort went through: one procedure, its presentations as trials, its timeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualtrace.errors import InputError
from dualtrace.experiments.notation import parse_design
from dualtrace.experiments.procedure import procedure_of, procedure_of_phases
from dualtrace.experiments.record import Paradigm
from dualtrace.experiments.timeline import batch_of, timeline_of

if TYPE_CHECKING:
    from dualtrace.experiments.procedure import Procedure
    from dualtrace.experiments.record import Experiment
    from dualtrace.mechanism.memory.contract import Sizes, Timeline
    from dualtrace.mechanism.parameters import Lookup


@dataclass(frozen=True, slots=True)
class Design:
    """A procedure with the words that name it.

    Attributes
    ----------
    says
        The line, or the experiment and group, it comes from.
    procedure
        Its rows.
    """

    says: str
    procedure: Procedure

    @property
    def rows(self) -> tuple[int, ...]:
        """Row of every trial: the presentations in order; stressors are none."""
        return tuple(t for t, row in enumerate(self.procedure.rows) if row.context)

    @property
    def trials(self) -> tuple[str, ...]:
        """Name of every trial: its phase, and its number within it."""
        counted: dict[str, int] = {}
        names = []
        for t in self.rows:
            phase = self.procedure.rows[t].phases[-1]
            counted[phase] = counted.get(phase, 0) + 1
            names.append(f"{phase} {counted[phase]}")
        return tuple(names)

    def timeline(self, lookup: Lookup, subjects: int) -> tuple[Timeline, Sizes]:
        """Timeline of shape ``(rows, 1, 1)`` and the sizes of a batch of ``(1, subjects)``."""
        timeline, sizes = timeline_of(batch_of(self.procedure), lookup)
        return timeline, sizes._replace(batch=(1, subjects))


def design_of(given: str | Design) -> Design:
    """A design as it is, or that of a line such as ``A: 3CS+ | B: 20CS- @24h | B: 4CS- @24h``.

    Raises
    ------
    InputError
        The line cannot be read, or presents nothing.
    """
    if isinstance(given, Design):
        return given
    return _presenting(Design(given, procedure_of_phases(parse_design(given), Paradigm.CUED, "rat")))


def design_of_group(experiment: Experiment, levels: tuple[str, ...]) -> Design:
    """The design of one group of an experiment.

    Raises
    ------
    InputError
        There is no such group, or it presents nothing.
    """
    if levels not in experiment.groups:
        known = "; ".join(",".join(group) for group in experiment.groups)
        raise InputError(f"{experiment.id} has no group {','.join(levels)!r}; its groups are: {known or 'none'}")
    return _presenting(Design(f"{experiment.id} {','.join(levels)}".strip(), procedure_of(experiment, levels)))


def _presenting(design: Design) -> Design:
    if not design.rows:
        raise InputError(f"a design must present something to be measured at; {design.says!r} does not")
    return design
