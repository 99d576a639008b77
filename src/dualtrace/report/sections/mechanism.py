"""The mechanism in pictures: from the swallowed dose to the boost of consolidation, and which unknowns matter."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from dualtrace.mechanism.scenario import Scenario, dose_timing_map, simulate
from dualtrace.mechanism.sensitivity import boost_sensitivity
from dualtrace.report.document import Block, Paragraph, Section
from dualtrace.report.figures.mechanism import dose_timing_figure, sensitivity_figure, time_course_figure
from dualtrace.report.picture import picture
from dualtrace.report.words import listing, number

if TYPE_CHECKING:
    from dualtrace.mechanism.sensitivity import Sensitivity

DOSES_MG = (50.0, 100.0, 250.0, 500.0)
PEOPLE = 1000
SEED = 1
SOBOL_BASE = 256

INTRODUCTION = (
    "A mechanistic model follows D-cycloserine from the tablet to plasma, brain and the glycine site of the NMDA "
    "receptor, and from there to M, the boost of whatever memory is consolidated after the session. It knows nothing "
    "of the trials above: it has not been fitted to them, and it does not say whether the boosted memory is one of "
    "safety or of threat. Constants, their sources and their priors stand in the parameter table of the "
    "documentation; what is assumed there is marked."
)


COURSES = (
    "Doses an hour before a session of 90 minutes (shaded), fasted; bands hold 90 % of people, each with their own "
    "kinetics."
)
SOBOL = "Sobol indices of M for 50 mg an hour before the session; lines are 95 % intervals of the estimate."


def mechanism() -> Section:
    """Return the chapter; needs a few seconds, most of them to load SALib with what it imports."""
    times = np.linspace(-2.0, 10.0, 97)
    scenarios = {f"{dose:g} mg": Scenario(dose) for dose in DOSES_MG}
    results = {
        name: (scenario, simulate(scenario, people=PEOPLE, seed=SEED, time_h=times))
        for name, scenario in scenarios.items()
    }
    doses, minutes = np.geomspace(25.0, 500.0, 24), np.linspace(-120.0, 240.0, 37)
    boosts = dose_timing_map(doses, minutes, Scenario(50.0))
    sensitivity = boost_sensitivity(Scenario(50.0), base=SOBOL_BASE, seed=SEED)
    span = (
        f"The boost M over dose and timing, typical person, fasted: {number(boosts.min())} to {number(boosts.max())}."
    )
    matters = _what_matters(sensitivity)
    blocks: tuple[Block, ...] = (
        Paragraph((INTRODUCTION,)),
        picture(
            "mechanism_courses",
            (COURSES,),
            f"Plasma, brain, occupancy and receptor gain over time after {listing(scenarios)} D-cycloserine.",
            partial(time_course_figure, results),
        ),
        picture(
            "mechanism_map",
            (span,),
            f"Map of D-cycloserine dose against its timing. {span}",
            partial(dose_timing_figure, doses, minutes, boosts),
        ),
        Paragraph((matters,)),
        picture(
            "mechanism_sensitivity",
            (SOBOL,),
            f"Bars of first-order and total Sobol indices of the boost by D-cycloserine. {matters}",
            partial(sensitivity_figure, sensitivity),
        ),
    )
    return Section("mechanism", "The mechanism in pictures", blocks)


def _what_matters(sensitivity: Sensitivity) -> str:
    first, second = sensitivity.order[:2]
    negative = float(np.mean(sensitivity.boosts < 0))
    return (
        f"Over the priors of its unknowns, M depends most on {sensitivity.names[first]} (total index "
        f"{number(float(sensitivity.total[first]))}) and {sensitivity.names[second]} "
        f"({number(float(sensitivity.total[second]))}); in {100 * negative:.0f} % of draws M is negative: what is "
        "not known about the receptor leaves even the sign of the drug's effect open."
    )
