"""What SBML can express of the benchmark trial, on libRoadRunner: capsule to brain and receptor of one patient.

Left out: learning, dosing rules, who leaves, instruments. Sessions, exposures and random numbers are no reactions;
written as events they would be a program in another language, not a model.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dualtrace.mechanism.chain import build, expose
from dualtrace.mechanism.dosing import Meal, bolus, repeat
from dualtrace.mechanism.parameters import load_parameters
from dualtrace.mechanism.plasma import covariates, dose_arrays
from dualtrace.mechanism.sbml import write_sbml
from dualtrace.mechanism.subject import reference_subject
from simulation_peers.constants import SESSIONS, WEEK_H


class Kinetics:
    """The reference adult's gain at every hour of the course, by libRoadRunner and by dualtrace."""

    def __init__(self) -> None:
        import roadrunner

        lookup = load_parameters().number
        self.regimen = repeat(bolus(50.0), every_h=WEEK_H, times=SESSIONS)
        self.chain = build(covariates(reference_subject(), lookup), [Meal.FASTED], lookup)
        self.hours = np.arange(int(WEEK_H) * SESSIONS, dtype=float)
        self.engine: Any = roadrunner.RoadRunner(write_sbml(self.chain, self.regimen, lookup))
        self.engine.integrator.relative_tolerance, self.engine.integrator.absolute_tolerance = 1e-6, 1e-9
        self.engine.timeCourseSelections = ["gain"]

    def run(self) -> np.ndarray:
        """Gain of one patient."""
        self.engine.resetToOrigin()
        return np.asarray(self.engine.simulate(0, self.hours[-1], self.hours.size))[:, 0]

    def error(self) -> float:
        """Largest difference from dualtrace's closed form."""
        ours = expose(self.chain, dose_arrays(self.regimen), self.hours).gain
        return float(np.max(np.abs(self.run() - ours)))
