"""The SBML export: valid with units, and an independent engine gives the same numbers."""

import numpy as np
import pytest

from dualtrace.errors import InputError
from dualtrace.mechanism.chain import Structure, Switches, build, expose
from dualtrace.mechanism.dosing import Meal, Regimen, bolus, combine, repeat
from dualtrace.mechanism.parameters import load_parameters
from dualtrace.mechanism.plasma import covariates, dose_arrays
from dualtrace.mechanism.sbml import problems_of, write_sbml
from dualtrace.mechanism.subject import reference_subject

TABLE = load_parameters()
PERSON = covariates(reference_subject(), TABLE.number)

SCHEDULES = {
    "one dose": bolus(50.0),
    "weekly": repeat(bolus(50.0), every_h=168.0, times=3),
    "two meals": combine(bolus(250.0), bolus(100.0, at_h=7.3, meal=Meal.HIGH_FAT)),
    "no dose": Regimen(()),
}


def exported(regimen: Regimen, *, lag: float) -> tuple[str, np.ndarray, np.ndarray]:
    lookup = TABLE.lookup_with({"plasma.lag": lag})
    chain = build(PERSON, regimen.meals, lookup)
    times = np.linspace(0.0, 400.0, 401)
    shown = expose(chain, dose_arrays(regimen), times) if regimen.doses else None
    wanted = (
        np.column_stack([shown.plasma_mg_per_l, shown.brain_um, shown.occupancy, shown.gain])
        if shown is not None
        else np.tile([0.0, 0.0, 0.0, 1.0], (401, 1))
    )
    return write_sbml(chain, regimen, lookup), times, wanted


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_reference_sbml_is_valid_without_any_remark(name: str) -> None:
    text, _, _ = exported(SCHEDULES[name], lag=0.326)
    assert problems_of(text) == ()
    assert "<event" not in text
    assert 'level="3"' in text


@pytest.mark.parametrize("name", sorted(SCHEDULES))
@pytest.mark.parametrize("lag", [0.326, 0.0])
def test_reference_roadrunner_agrees_to_one_in_a_million(name: str, lag: float) -> None:
    """Relative to the value itself, wherever it is above a thousandth of its peak."""
    roadrunner = pytest.importorskip("roadrunner")
    text, times, wanted = exported(SCHEDULES[name], lag=lag)
    engine = roadrunner.RoadRunner(text)
    engine.integrator.relative_tolerance = 1e-10
    engine.integrator.absolute_tolerance = 1e-12
    engine.timeCourseSelections = ["time", "plasma", "brain_uM", "occupancy", "gain"]
    found = np.asarray(engine.simulate(0.0, times[-1], times.size))[:, 1:]
    floor = 1e-3 * np.max(np.abs(wanted), axis=0)
    assert np.all(np.abs(found - wanted) <= 1e-6 * np.maximum(np.abs(wanted), floor))


def test_contract_sbml_refuses_what_it_cannot_say() -> None:
    early = bolus(50.0, at_h=-1.0)
    chain = build(PERSON, early.meals, TABLE.number)
    with pytest.raises(InputError, match=r"time in SBML starts at 0; shift the regimen.* -1 h"):
        write_sbml(chain, early, TABLE.number)
    transit = build(PERSON, [Meal.FASTED], TABLE.number, switches=Switches(structure=Structure.TRANSIT))
    with pytest.raises(InputError, match=r"SBML is written for the one-compartment model with lag"):
        write_sbml(transit, bolus(50.0), TABLE.number)
    equal = TABLE.lookup_with({"plasma.absorption_fasted": float(chain.plasma.poles[1])})
    with pytest.raises(InputError, match=r"needs absorption and elimination rates that differ"):
        write_sbml(build(PERSON, [Meal.FASTED], equal), bolus(50.0), equal)
    blocked = build(PERSON, [Meal.FASTED], TABLE.number, switches=Switches(antagonists_um={"mk801": 0.1}))
    with pytest.raises(InputError, match=r"SBML holds the drug alone"):
        write_sbml(blocked, bolus(50.0), TABLE.number)
