"""Shares of a virtual trial as tasks of the runner: each is computed once, wherever, and stored by hash."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.errors import InputError
from dualtrace.mechanism.arrays import xp
from dualtrace.mechanism.chain import Structure, Switches
from dualtrace.mechanism.consolidation import Kernel
from dualtrace.mechanism.receptor import Antidepressant
from dualtrace.runner.task import Task
from dualtrace.simulation.engine import Engine, shares_of
from dualtrace.simulation.load import protocol_content, protocol_from
from dualtrace.simulation.mechanism import Mechanism
from dualtrace.simulation.plan import plan_of
from dualtrace.simulation.tally import Tally, add, tally_shapes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from dualtrace.simulation.engine import Precision
    from dualtrace.simulation.plan import Plan
    from dualtrace.simulation.protocol import Protocol

FUNCTION = "dualtrace.simulation.tasks:share_sums"


def tasks_of(
    protocol: Protocol, mechanism: Mechanism, *, patients: int, seed: int, precision: Precision = "float64"
) -> tuple[Task, ...]:
    """Cut a virtual trial into tasks, one per share of patients; they do not depend on who computes them."""
    inputs = {
        "protocol": protocol_content(protocol),
        "memory": mechanism.memory,
        "switches": _plain(mechanism.switches),
        "agents": _agents(plan_of(protocol)),
        "constants": mechanism.values(),
        "changes": dict(mechanism.changes),
        "precision": precision,
        "patients": patients,
    }
    return tuple(Task(FUNCTION, {**inputs, "share": share}, seed) for share in range(shares_of(patients)))


def share_sums(inputs: Mapping[str, Any], seed: int) -> dict[str, dict[str, NDArray[Any]]]:
    """Sums over one share: the function of the tasks; one table per field of :class:`Tally`, flattened.

    Raises
    ------
    InputError
        The file of an agent has changed since the task was made.
    """
    plan = plan_of(protocol_from(inputs["protocol"], "task"))
    if _agents(plan) != inputs["agents"]:
        names = ", ".join(arm.source.agent for arm in plan.arms if arm.agent is not None)
        raise InputError(f"an agent ({names}) is not what it was when the run began; begin the run anew")
    mechanism = Mechanism(inputs["memory"], _switches(inputs["switches"]), dict(inputs["changes"]))
    engine = Engine(plan, mechanism, inputs["precision"], threads=1)  # the workers share the cores
    sums = engine.sums(int(inputs["patients"]), seed, share=int(inputs["share"]))
    return {name: {"sum": np.ravel(np.asarray(leaf, float))} for name, leaf in sums._asdict().items()}


def sums_from(protocol: Protocol, results: Iterable[Mapping[str, Mapping[str, NDArray[Any]]]]) -> Tally:
    """Add the results of a virtual trial's tasks, in the order of the tasks."""
    shapes = tally_shapes(plan_of(protocol))
    return add(
        [
            Tally._make(xp.asarray(tables[name]["sum"]).reshape(shapes[name]) for name in Tally._fields)
            for tables in results
        ]
    )


def _agents(plan: Plan) -> list[dict[str, Any]]:
    """The agents themselves: a protocol names a file, whose content may change."""
    return [arm.agent.model_dump(mode="json") for arm in plan.arms if arm.agent is not None]


def _plain(switches: Switches) -> dict[str, Any]:
    plain = asdict(switches)
    return plain | {name: plain[name].value for name in ("structure", "antidepressant", "kernel")}


def _switches(plain: Mapping[str, Any]) -> Switches:
    return Switches(
        structure=Structure(plain["structure"]),
        tolerance=plain["tolerance"],
        arousal=plain["arousal"],
        antidepressant=Antidepressant(plain["antidepressant"]),
        kernel=Kernel(plain["kernel"]),
        antagonists_um=dict(plain["antagonists_um"]),
    )
