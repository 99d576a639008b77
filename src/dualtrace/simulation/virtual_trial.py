"""Run a protocol: sums, tables and record of a virtual trial, together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, final

from dualtrace.errors import InputError
from dualtrace.simulation.engine import Engine, Precision
from dualtrace.simulation.mechanism import Mechanism
from dualtrace.simulation.plan import Plan, plan_of
from dualtrace.simulation.record import trial_record
from dualtrace.simulation.tables import Table, decision_table, patient_table, session_table

if TYPE_CHECKING:
    from dualtrace.evidence.record import Trial
    from dualtrace.simulation.protocol import Protocol
    from dualtrace.simulation.rows import Rows
    from dualtrace.simulation.tally import Tally

MOST_ROWS = 1_000_000
"""Most patients of whom tables are kept in memory."""


@final
@dataclass(frozen=True, eq=False)
class VirtualTrial:
    """A protocol that was run.

    Attributes
    ----------
    engine
        Plan, mechanism and precision.
    patients, seed
        How many were treated, by which random numbers.
    sums
        Sums over all of them.
    """

    engine: Engine
    patients: int
    seed: int
    sums: Tally

    @property
    def plan(self) -> Plan:
        """The protocol worked out."""
        return self.engine.plan

    @cached_property
    def record(self) -> Trial:
        """The same record as that of a published trial."""
        return trial_record(self.plan, self.engine.mechanism, self.sums, self.seed)

    @cached_property
    def rows(self) -> Rows:
        """Every patient.

        Raises
        ------
        InputError
            There are too many to keep.
        """
        if self.patients > MOST_ROWS:
            raise InputError(
                f"tables are kept of at most {MOST_ROWS:,} patients; given {self.patients:,}: ask for sums only"
            )
        return self.engine.rows(self.patients, self.seed)

    @cached_property
    def patient_table(self) -> Table:
        """One row per patient; see :func:`dualtrace.simulation.tables.patient_table`."""
        return patient_table(self.plan, self.rows)

    @cached_property
    def session_table(self) -> Table:
        """One row per patient and session; see :func:`dualtrace.simulation.tables.session_table`."""
        return session_table(self.plan, self.rows)

    @cached_property
    def decision_table(self) -> Table:
        """One row per decision of a dosing rule; see :func:`dualtrace.simulation.tables.decision_table`."""
        return decision_table(self.plan, self.rows)


def run(
    protocol: Protocol,
    mechanism: Mechanism | None = None,
    *,
    patients: int | None = None,
    seed: int = 1,
    precision: Precision = "float64",
) -> VirtualTrial:
    """Run a protocol.

    Parameters
    ----------
    protocol
        What is done; what it leaves open is filled and listed by the defaults of its disorder.
    mechanism
        The dual trace with the constants of ``parameters.yaml`` when absent.
    patients
        How many; the protocol's number when absent.
    seed
        The same seed gives the same patients, in every arm and on every machine.
    precision
        See :class:`dualtrace.simulation.engine.Engine`.

    Raises
    ------
    InputError
        The number of patients or the seed is out of range, or sessions lie too close together.
    """
    engine = Engine(plan_of(protocol), mechanism or Mechanism(), precision)
    count = protocol.patients if patients is None else patients
    return VirtualTrial(engine, count, seed, engine.sums(count, seed))
