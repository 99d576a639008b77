"""Figures and sensitivity: right axes, right curves, and indices that obey their definition."""

import io

import numpy as np
import pytest

from dualtrace.errors import InputError
from dualtrace.mechanism.scenario import Scenario, dose_timing_map, simulate
from dualtrace.mechanism.sensitivity import UNKNOWNS, Sensitivity, boost_sensitivity
from dualtrace.report.figures.mechanism import (
    dose_timing_figure,
    exposure_figure,
    sensitivity_figure,
    time_course_figure,
)

TIMES = np.linspace(-1.0, 6.0, 15)


@pytest.fixture(scope="module")
def sensitivity() -> Sensitivity:
    return boost_sensitivity(Scenario(50.0), base=256, seed=2)


def test_contract_time_courses_show_each_dose_in_four_panels() -> None:
    shown = {
        f"{dose:g} mg": (scenario, simulate(scenario, people=60, seed=3, time_h=TIMES))
        for dose in (50.0, 500.0)
        for scenario in [Scenario(dose)]
    }
    figure = time_course_figure(shown)
    assert [axes.get_ylabel() for axes in figure.axes] == [
        "plasma (mg/L)",
        "brain (µM)",
        "drug's share of sites",
        "receptor gain G",
    ]
    low, high = (np.asarray(line.get_ydata(), float) for line in figure.axes[0].lines)
    assert high == pytest.approx(10 * low)
    scenario, result = shown["50 mg"]
    figure = exposure_figure(scenario, result)
    figure.savefig(io.BytesIO(), format="svg")
    assert len(figure.axes) == 4


def test_contract_map_is_drawn_over_dose_and_timing() -> None:
    doses, minutes = np.geomspace(10.0, 500.0, 5), np.linspace(-240.0, 240.0, 7)
    figure = dose_timing_figure(doses, minutes, dose_timing_map(doses, minutes, Scenario(50.0)))
    figure.savefig(io.BytesIO(), format="png")
    assert figure.axes[0].get_yscale() == "log"


def test_contract_sensitivity_bars_run_from_largest_to_smallest(sensitivity: Sensitivity) -> None:
    figure = sensitivity_figure(sensitivity, most=5)
    figure.savefig(io.BytesIO(), format="png")
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[::-1] == [sensitivity.names[k] for k in sensitivity.order[:5]]


def test_law_sobol_indices_obey_their_definition(sensitivity: Sensitivity) -> None:
    """First-order indices sum to at most one; a first dose does not depend on tolerance."""
    assert np.sum(sensitivity.first) < 1.1
    assert np.all(sensitivity.total >= sensitivity.first - 3 * sensitivity.first_half_width - 0.02)
    for name in ("tolerance.jump", "tolerance.recovery"):
        assert sensitivity.total[UNKNOWNS.index(name)] == 0
    assert sensitivity.names[int(sensitivity.order[0])].startswith("receptor.")


def test_contract_base_sample_must_be_a_power_of_two() -> None:
    with pytest.raises(InputError, match=r"must be a power of two, 2 or more; given 100"):
        boost_sensitivity(Scenario(50.0), base=100)
