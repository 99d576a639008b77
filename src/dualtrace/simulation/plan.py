"""A protocol as the engine needs it: what happens when, in hours, and what is known of the people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, final

import numpy as np

from dualtrace.errors import InputError
from dualtrace.evidence.load import instruments
from dualtrace.evidence.record import Timepoint
from dualtrace.mechanism.agents import find_agent
from dualtrace.mechanism.parameters import load_parameters
from dualtrace.simulation.defaults import with_people
from dualtrace.simulation.scale import Scale, scale_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dualtrace.mechanism.agents import Agent
    from dualtrace.simulation.arm import ProtocolArm
    from dualtrace.simulation.protocol import Protocol, Spread
    from dualtrace.simulation.rule import Rule
    from dualtrace.simulation.schedule import Assessment

T = TypeVar("T")

_HOURS = 24.0
_MINUTES = 60.0
_CLOSEST_H = 12.0
"""Sessions closer than this would share a consolidation window, which the engine treats one by one."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class ArmPlan:
    """One arm.

    Attributes
    ----------
    source
        The arm as the protocol has it; it knows the dose for a weight.
    agent
        Another agent; ``None`` is D-cycloserine (or placebo, of which 0 mg are given).
    dosed
        Whether a capsule is due at each session, shape ``(sessions,)``.
    before, wait_h
        Whether the capsule comes before the session, and how long before its start or after its end.
    rule
        When it is given; ``None``: always.
    """

    source: ProtocolArm
    agent: Agent | None
    dosed: NDArray[np.bool_]
    before: bool
    wait_h: float
    rule: Rule | None

    def swallowed_h(self, minutes: float) -> float:
        """Time of the capsule from the start of a session of that length (h)."""
        return -self.wait_h if self.before else minutes / _MINUTES + self.wait_h


@final
@dataclass(frozen=True, slots=True)
class Visit:
    """One assessment after the baseline.

    Attributes
    ----------
    id, timepoint, weeks
        Name, and when: weeks from the first session.
    session
        Number of sessions that are over.
    wait_h
        Hours since the last of them ended.
    scales
        Place of each instrument assessed in :attr:`Plan.scales`.
    """

    id: str
    timepoint: Timepoint
    weeks: float
    session: int
    wait_h: float
    scales: tuple[int, ...]


@final
@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Everything about a protocol that does not depend on the patient.

    Attributes
    ----------
    minutes, exposures, gap_h
        Length and number of exposures of each session; hours from the end of the one before to its start.
    start_h
        Start of each session, hours from the first.
    scales
        Instruments, the primary one first.
    dropout
        Share of patients who leave before the end of treatment.
    """

    protocol: Protocol
    arms: tuple[ArmPlan, ...]
    minutes: NDArray[np.float64]
    exposures: NDArray[np.int64]
    gap_h: NDArray[np.float64]
    start_h: NDArray[np.float64]
    visits: tuple[Visit, ...]
    scales: tuple[Scale, ...]
    dropout: float
    antidepressants: float
    weight_kg: Spread
    is_child: bool

    @property
    def identity(self) -> str:
        """Text that two plans share exactly when they are plans of the same protocol and the same agents.

        An agent of the user's is a file, which may have changed since.
        """
        agents = [arm.agent.model_dump_json() for arm in self.arms if arm.agent is not None]
        return " ".join([self.protocol.model_dump_json(), *agents])

    @property
    def sessions(self) -> int:
        """Number of sessions."""
        return self.minutes.size

    @property
    def reference(self) -> int:
        """Place of the arm that others are compared with: the first placebo arm, else the first arm."""
        return next((place for place, arm in enumerate(self.arms) if arm.source.is_placebo), 0)

    @property
    def measured(self) -> NDArray[np.bool_]:
        """Which scales are assessed at which visit, the baseline first, ``(1 + visits, scales)``."""
        shown = np.zeros((1 + len(self.visits), len(self.scales)), bool)
        shown[0] = [scale.baseline is not None for scale in self.scales]
        for place, visit in enumerate(self.visits, 1):
            shown[place, list(visit.scales)] = True
        return shown

    @property
    def last_of_treatment(self) -> int:
        """Place of the visit that ends treatment: the first after the last session, the baseline being 0."""
        after = [place for place, visit in enumerate(self.visits, 1) if visit.session == self.sessions]
        return after[0] if after else len(self.visits)

    @property
    def primary_sd(self) -> float:
        """SD of the primary scale at baseline; the spread between much and no change for a scale of change."""
        baseline = self.scales[0].baseline
        return baseline.sd if baseline is not None else 1.0

    @property
    def weeks(self) -> NDArray[np.float64]:
        """Weeks from the first session to each session."""
        return self.start_h / (7 * _HOURS)


def plan_of(protocol: Protocol) -> Plan:
    """Work out a protocol.

    Raises
    ------
    InputError
        Two sessions lie closer together than half a day.
    """
    protocol = with_people(protocol)
    sessions = protocol.sessions
    minutes = np.array([one.minutes for one in sessions])
    start_h = np.array([one.day * _HOURS for one in sessions])
    gap_h = np.diff(start_h, prepend=start_h[0]) - np.append(0.0, minutes[:-1]) / _MINUTES
    _require_apart(protocol, gap_h[1:])
    people = protocol.people
    return Plan(
        protocol=protocol,
        arms=tuple(_arm(arm, protocol) for arm in protocol.arms),
        minutes=minutes,
        exposures=np.array([one.exposures for one in sessions]),
        gap_h=gap_h,
        start_h=start_h,
        visits=_visits(protocol, start_h, minutes),
        scales=tuple(scale_of(name, instruments()[name], people.baseline.get(name)) for name in protocol.instruments),
        dropout=known(people.dropout),
        antidepressants=known(people.antidepressants),
        weight_kg=known(people.weight_kg),
        is_child=protocol.population == "pediatric",
    )


def known(value: T | None) -> T:
    """A value that :func:`dualtrace.simulation.defaults.with_people` has filled."""
    if value is None:
        raise TypeError("the people of a protocol must be complete before it is planned")
    return value


def _require_apart(protocol: Protocol, gaps_h: NDArray[np.float64]) -> None:
    if gaps_h.size and gaps_h.min() < _CLOSEST_H:
        number = int(gaps_h.argmin()) + 2
        raise InputError(
            f"{protocol.id}: session {number} starts {gaps_h.min():.1f} h after the one before; sessions must be "
            f"{_CLOSEST_H:g} h or more apart: join them into one session, or put them on different days"
        )


def _arm(arm: ProtocolArm, protocol: Protocol) -> ArmPlan:
    dosed = np.zeros(len(protocol.sessions), bool)
    if arm.give is not None:
        dosed[[number - 1 for number in arm.dosed_sessions(protocol.sessions)]] = True
    agent = None if arm.is_placebo else find_agent(arm.agent, load_parameters().number)
    return ArmPlan(arm, agent, dosed, arm.give != "after", (arm.minutes or 0.0) / _MINUTES, arm.parsed_rule)


def _visits(protocol: Protocol, start_h: NDArray[np.float64], minutes: NDArray[np.float64]) -> tuple[Visit, ...]:
    places = {name: place for place, name in enumerate(protocol.instruments)}
    end_h = start_h + minutes / _MINUTES
    return tuple(
        _visit(one, one.day(protocol.sessions), [places[i] for i in one.instruments], end_h)
        for one in protocol.assessments
        if one.timepoint is not Timepoint.BASELINE
    )


def _visit(one: Assessment, day: float, scales: Sequence[int], end_h: NDArray[np.float64]) -> Visit:
    time_h = day * _HOURS
    over = end_h.size if one.after_session is None else one.after_session
    wait_h = time_h - end_h[over - 1]
    return Visit(one.id, one.timepoint, day / 7, over, max(float(wait_h), 0.0), tuple(scales))
