"""Impossible doses and people are refused with one sentence."""

import math

import pytest

from dualtrace.errors import InputError
from dualtrace.mechanism.dosing import Dose, Meal, Regimen, bolus, combine, repeat
from dualtrace.mechanism.population import CovariateSpread
from dualtrace.mechanism.subject import Subject, cockcroft_gault, reference_subject


@pytest.mark.parametrize("amount", [-50.0, 5000.0, math.nan])
def test_contract_impossible_dose_is_refused(amount: float) -> None:
    with pytest.raises(InputError, match=r"a dose must be between 0 and 1000 mg; given"):
        bolus(amount)


def test_contract_dose_needs_a_finite_time() -> None:
    with pytest.raises(InputError, match=r"a dose needs a finite time in hours; given inf"):
        bolus(50.0, at_h=math.inf)


@pytest.mark.parametrize("times", [(3.0, 1.0), (2.0, 2.0)])
def test_contract_unsorted_or_coinciding_doses_are_refused(times: tuple[float, float]) -> None:
    with pytest.raises(InputError, match=r"dose times must rise from row to row; given .* merge doses"):
        Regimen(tuple(Dose(50.0, time) for time in times))


def test_contract_overlapping_repeats_are_refused() -> None:
    twice = combine(bolus(50.0), bolus(50.0, at_h=10.0))
    with pytest.raises(InputError, match=r"dose times must rise"):
        repeat(twice, every_h=5.0, times=2)


@pytest.mark.parametrize(("every", "times"), [(0.0, 3), (-2.0, 3), (24.0, 0)])
def test_contract_impossible_repeat_is_refused(every: float, times: int) -> None:
    with pytest.raises(InputError, match=r"must be positive hours|1 or more times"):
        repeat(bolus(50.0), every_h=every, times=times)


def test_contract_verbs_build_the_schedule() -> None:
    weekly = repeat(combine(bolus(50.0, at_h=-1.0), Regimen((), (1.5,))), every_h=168.0, times=3)
    assert weekly.times_h == (-1.0, 167.0, 335.0)
    assert weekly.decisions_h == (1.5, 169.5, 337.5)
    assert set(weekly.meals) == {Meal.FASTED}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"crcl_mL_min": 0.0}, "creatinine clearance must be above 0 and at most 300 mL/min; given 0 mL/min"),
        ({"crcl_mL_min": -5.0}, "creatinine clearance must be above 0"),
        ({"weight_kg": 900.0}, "weight must be above 8 and at most 300 kg; given 900 kg"),
        ({"age_years": 1.0}, "age must be at least 2 years; given 1 years"),
        ({"fat_free_mass_kg": 90.0}, r"fat-free mass must be above 0 and below the weight \(70 kg\)"),
    ],
)
def test_contract_impossible_subject_is_refused(change: dict[str, float], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Subject(**{"weight_kg": 70.0, "crcl_mL_min": 100.0, **change})  # type: ignore[arg-type]  # by name


def test_contract_reference_subject_and_cockcroft_gault() -> None:
    assert reference_subject() == Subject(weight_kg=70.0, crcl_mL_min=100.0)
    man = cockcroft_gault(age_years=40, weight_kg=72, creatinine_mg_dL=1.0, female=False)
    assert man == pytest.approx(100.0)
    with pytest.raises(InputError, match=r"serum creatinine must be positive mg/dL; given 0"):
        cockcroft_gault(age_years=40, weight_kg=72, creatinine_mg_dL=0.0, female=False)


def test_contract_impossible_covariate_spread_is_refused() -> None:
    with pytest.raises(InputError, match=r"a correlation must lie between -1 and 1; given 1.5"):
        CovariateSpread(58.0, 12.0, 89.0, 32.0, 1.5)
    with pytest.raises(InputError, match=r"means must be positive and SDs 0 or more"):
        CovariateSpread(-58.0, 12.0, 89.0, 32.0, 0.4)
