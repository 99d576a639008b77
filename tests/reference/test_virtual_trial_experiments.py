"""A course of one typical patient against the runner of experiments on the same procedure: two programs, one model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dualtrace.experiments.record import Experiment
from dualtrace.experiments.run import run
from dualtrace.mechanism.memory.dual_trace import DualTrace
from dualtrace.mechanism.parameters import load_parameters
from dualtrace.simulation.mechanism import Mechanism
from dualtrace.simulation.patients import count_of
from dualtrace.source_map import SourceMap, validate
from virtual_blocks import PLACEBO, PRE, SESSIONS, VISITS, compiled_block, text_of

if TYPE_CHECKING:
    from dualtrace.mechanism.parameters import ParameterTable

PAIRINGS, EXPOSURES, PACE_H, WEEK_H, YEAR_H = 3, 10, 0.1, 168.0, 8760.0
CHANGES = {"tolerance.jump": 0.0, "consolidation.tau": 2.0}
"""The runner has no tolerance that fades between its sessions' clocks, and takes ``M`` from a table with this window."""


def constants() -> ParameterTable:
    return load_parameters().with_values({**CHANGES, "dual_trace.context_salience": 0.0})


def acquired() -> float:
    """Threat after the pairings: each leaves the share ``1 - rate`` of what is not yet expected."""
    return 1 - (1 - constants().number("dual_trace.threat_rate", "1")) ** PAIRINGS


def experiment(sessions: int, dose_mg: float) -> Experiment:
    """Pairings, weekly sessions, and one more presentation at the very end of the last of them."""
    quality = float(1 / (1 + np.exp(-constants().number("clinic.quality", "1"))))
    exposure: dict[str, Any] = {"kind": "exposure", "cs": "X", "n": EXPOSURES, "every_min": 60 * PACE_H}
    exposure |= {"quality": quality}
    if dose_mg:
        exposure["drug"] = {"name": "dcs", "dose_mg": dose_mg, "before_h": 1.0}
    phases: list[dict[str, Any]] = [
        {"name": "onset", "kind": "onset", "cs": "X", "us": 1, "n": PAIRINGS, "every_min": 1}
    ]
    for number in range(sessions):
        after_h = WEEK_H - 1 + PACE_H if number else YEAR_H
        phases.append({"name": f"session{number + 1}", "after_h": after_h, **exposure})
    phases.append({"name": "end", "kind": "test", "cs": "X", "n": 1, "every_min": 1, "after_h": 0})
    content = {
        "id": "TST-01",
        "title": "made up",
        "family": "test",
        "paradigm": "clinical",
        "species": "human",
        "strength": "core",
        "split": "training",
        "citation": "nobody",
        "where": {"text": "tests", "place": "here"},
        "phases": phases,
        "findings": [{"says": "fear falls", "contrast": "fear[@end] < fear[@session1.first]"}],
    }
    return validate(Experiment, SourceMap(Path("made_up.yaml"), content, {(): 0}))


def by_runner(dose_mg: float) -> list[float]:
    """Fear at the end of each session."""
    found = run(DualTrace(), [experiment(k, dose_mg) for k in (1, 2, 3)], table=constants())
    courses = [found.courses[k, ()] for k in range(3)]
    return [float(course.fear[len(course.group.procedure.rows) - 1, 0]) for course in courses]


@pytest.fixture(scope="module")
def by_trial() -> dict[str, Any]:
    """The same of a patient all of whose numbers are in the middle: typical, no mishap, every capsule taken."""
    people = "people: {weight_kg: {mean: 70, sd: 10}, dropout: 0}"
    text = text_of([PRE, PLACEBO], sessions=SESSIONS, visits=VISITS[1:2], more=people)
    plan, simulate = compiled_block(text, "dual_trace", None)
    values = Mechanism(changes={**CHANGES, "clinic.threat": acquired()}).values()
    block = simulate(values, np.full((count_of(plan), 1), 0.5))
    return {
        arm.source.id: np.asarray(course.lived.end_fear)[:, 0]
        for arm, course in zip(plan.arms, block.arms, strict=True)
    }


def test_a_typical_course_with_placebo_is_that_of_the_runner(by_trial: dict[str, Any]) -> None:
    assert by_trial["placebo"][0] - by_trial["placebo"][-1] > 0.02
    np.testing.assert_allclose(by_trial["placebo"], by_runner(0), rtol=0, atol=1e-10)


def test_a_typical_course_with_the_drug_is_that_of_the_runner(by_trial: dict[str, Any]) -> None:
    """But for what is left of a capsule after a week, and the nodes of the window."""
    assert by_trial["placebo"][-1] - by_trial["pre"][-1] > 0.01
    np.testing.assert_allclose(by_trial["pre"], by_runner(50), rtol=0, atol=1e-5)
