"""Findings to outcomes: pass, fail or opposite, by how far the model's difference lies from what must hold."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from dualtrace.experiments.contrast import Relation, parse_term
from dualtrace.experiments.defaults import Defaults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from dualtrace.experiments.record import Experiment, Finding, Measured, Strength
    from dualtrace.experiments.run import Run


_ROUNDING = 1e-9
"""Differences below this are none."""


class Outcome(StrEnum):
    """What a model does with a finding."""

    PASS = "pass"  # noqa: S105 - an outcome
    FAIL = "fail"
    OPPOSITE = "opposite"


@dataclass(frozen=True, slots=True)
class Scored:
    """One finding under one model, one value per draw of the constants.

    Attributes
    ----------
    experiment, number, finding
        Which finding.
    slack
        By how many margins the finding holds (0 or more) or is missed (below 0), the worst relation of the chain.
    opposite
        Whether a relation that asks for a direction is met by the other direction, beyond the margin.
    """

    experiment: Experiment
    number: int
    finding: Finding
    slack: NDArray[np.float64]
    opposite: NDArray[np.bool_]

    @property
    def strength(self) -> Strength:
        """How well established the finding is."""
        return self.experiment.strength_of(self.finding)

    @property
    def holds(self) -> NDArray[np.bool_]:
        """Whether the finding holds, per draw."""
        return np.asarray(self.slack >= 0)

    @property
    def outcome(self) -> Outcome:
        """Outcome of the first draw."""
        if self.holds[0]:
            return Outcome.PASS
        return Outcome.OPPOSITE if self.opposite[0] else Outcome.FAIL


def score(run: Run) -> tuple[Scored, ...]:
    """Score every finding of a run that can be simulated."""
    return tuple(_scored(run, index, number, finding) for index, number, finding in _simulated(run))


def _simulated(run: Run) -> Iterator[tuple[int, int, Finding]]:
    for index, experiment in enumerate(run.experiments):
        for number, finding in enumerate(experiment.findings):
            if finding.contrast is not None:
                yield index, number, finding


def _scored(run: Run, index: int, number: int, finding: Finding) -> Scored:
    contrast = finding.parsed
    record = run.experiments[index]
    usual = Defaults(record.paradigm, record.species).margin
    margin = usual if finding.margin is None else finding.margin
    sides = [run.value(index, side) for side in contrast.sides]
    slack, opposite = np.full(1, np.inf), np.zeros(1, bool)
    for relation, left, right in zip(contrast.relations, sides, sides[1:], strict=False):
        difference = right - left
        slack = np.minimum(slack, _slack(relation, difference, margin) / (margin or usual))
        opposite = opposite | _opposite(relation, difference, margin)
    return Scored(record, number, finding, slack, opposite)


def _slack(relation: Relation, difference: NDArray[np.float64], margin: float) -> NDArray[np.float64]:
    """Distance from the border of what the relation allows; 0 or more when it holds."""
    if relation is Relation.SAME:
        return np.asarray(margin - np.abs(difference))
    rising = difference if relation in {Relation.LESS, Relation.NOT_MORE} else -difference
    if relation in {Relation.NOT_MORE, Relation.NOT_LESS}:
        return np.asarray(rising + margin + _ROUNDING)
    return np.asarray(rising - max(margin, _ROUNDING))


def _opposite(relation: Relation, difference: NDArray[np.float64], margin: float) -> NDArray[np.bool_]:
    if relation is Relation.SAME:
        return np.zeros(difference.shape, bool)
    rising = difference if relation in {Relation.LESS, Relation.NOT_MORE} else -difference
    return np.asarray(rising < -max(margin, _ROUNDING))


@dataclass(frozen=True, slots=True)
class Sized:
    """One reported size beside what the model gives."""

    experiment: Experiment
    measured: Measured
    simulated: NDArray[np.float64]


def sizes(run: Run) -> tuple[Sized, ...]:
    """Every reported size beside the simulated one."""
    return tuple(
        Sized(experiment, value, run.quantity(index, parse_term(value.term)))
        for index, experiment in enumerate(run.experiments)
        for finding in experiment.findings
        for value in finding.values
    )
