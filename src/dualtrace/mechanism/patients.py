"""Levels published for treated patients and on the label, set against the model; dose-free where no dose is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dualtrace.mechanism import observations as seen
from dualtrace.mechanism.dosing import Meal, bolus, repeat
from dualtrace.mechanism.linear import area, area_to_infinity, concentration
from dualtrace.mechanism.parameters import load_parameters
from dualtrace.mechanism.plasma import (
    clearance,
    covariates,
    default_kinetics,
    dose_arrays,
    peak_time,
    transit_kinetics,
)
from dualtrace.mechanism.subject import Subject, reference_subject
from dualtrace.mechanism.validation import Check, steady_state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from dualtrace.mechanism.linear import LinearKinetics

PEOPLE = 4000
SEED = 1
_MOST_ABOVE = 0.15
_WEIGHT_KG = 60.0
_SAME_SHAPE = 0.1
"""Largest relative difference at which two dose-free ratios count as equal; their spread was not published."""


def patient_checks() -> tuple[Check, ...]:
    """Every observation in treated patients, and the label's."""
    parts = (_taiwan, _label, _galien, _lokhande, _korea, _low_doses, _peaks)
    return tuple(check for part in parts for check in part())


def kinetics_of(*, patient: bool, meal: Meal = Meal.FASTED) -> LinearKinetics:
    """Default plasma model of a 60-kg adult with the creatinine clearance of Alghamdi's patients."""
    lookup = load_parameters().number
    person = covariates(Subject(_WEIGHT_KG, seen.ALGHAMDI_CRCL_ML_MIN[0], tb_patient=patient), lookup)
    return default_kinetics(person, [meal], lookup)


def _daily(kinetics: LinearKinetics, dose_mg: float, hours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Levels (mg/L) some hours after the thirtieth daily dose."""
    doses = dose_arrays(repeat(bolus(dose_mg), every_h=24.0, times=30))
    return np.asarray(concentration(kinetics, doses, doses.time_h[-1] + hours))


def _taiwan() -> Iterator[Check]:
    lookup = load_parameters().number
    person = covariates(Subject(_WEIGHT_KG, seen.ALGHAMDI_CRCL_ML_MIN[0], tb_patient=True), lookup)
    models = (kinetics_of(patient=True), kinetics_of(patient=False), transit_kinetics(person, lookup))
    hours = np.array([hour for hour, _, _ in seen.TAIWAN_LEVELS_MG_L])
    levels = [_daily(model, seen.TAIWAN_MG_PER_KG * _WEIGHT_KG, hours) for model in models]
    for place, (hour, mean, sd) in enumerate(seen.TAIWAN_LEVELS_MG_L):
        patient, healthy, transit = (float(curve[place]) for curve in levels)
        yield Check(
            f"Taiwan 2014, {seen.TAIWAN_MG_PER_KG} mg/kg daily, {hour:g} h",
            f"{mean} (SD {sd}) mg/L",
            f"{patient:.1f} mg/L (60 kg assumed); at a healthy clearance {healthy:.1f}, transit model {transit:.1f}",
            abs(patient - mean) <= sd,
        )


def _label() -> Iterator[Check]:
    lookup = load_parameters().number
    healthy = covariates(reference_subject(), lookup)
    low, high = seen.LABEL_STEADY_MG_L
    levels = [250.0 / 12 / float(clearance(healthy._replace(tb_patient=ill), lookup)) for ill in (0.0, 1.0)]
    yield Check(
        "label, 250 mg twice daily, mean level",
        f"{low:g} to {high:g} mg/L",
        f"{levels[0]:.0f} mg/L healthy, {levels[1]:.0f} mg/L TB patient; "
        f"it would take a clearance of {250 / 12 / high:.2f} to {250 / 12 / low:.2f} L/h",
        any(low <= value <= high for value in levels),
    )
    fasted, fed = (default_kinetics(healthy, [meal], lookup) for meal in (Meal.FASTED, Meal.HIGH_FAT))
    early, late = float(peak_time(fasted)), float(peak_time(fed))
    yield Check(
        "label, time of peak",
        "{:g} to {:g} h".format(*seen.LABEL_PEAK_TIME_H),
        f"{early:.1f} h fasted, {late:.1f} h after a high-fat meal",
        any(seen.LABEL_PEAK_TIME_H[0] <= value <= seen.LABEL_PEAK_TIME_H[1] for value in (early, late)),
    )
    dose = dose_arrays(bolus(500.0))
    gone = float(area(fasted, dose, seen.LABEL_HALF_ELIMINATED_H) / area_to_infinity(fasted, dose))
    yield Check(
        f"label, share eliminated by {seen.LABEL_HALF_ELIMINATED_H:g} h",
        "half",
        f"{gone:.0%} (reference adult)",
        abs(gone - 0.5) <= 0.1,
    )


def _galien() -> Iterator[Check]:
    model, hours = kinetics_of(patient=True), np.linspace(0.0, 24.0, 2401)
    curve = _daily(model, seen.GALIEN_MG_PER_KG * _WEIGHT_KG, hours)
    yield Check(
        f"van der Galien 2020, {seen.GALIEN_MG_PER_KG} mg/kg daily, area over 24 h; peak",
        f"{seen.GALIEN_AREA_MG_H_L:g} mg h/L; {seen.GALIEN_PEAK_MG_L} mg/L "
        f"(the mean level {seen.GALIEN_AREA_MG_H_L / 24:.0f} mg/L exceeds the peak)",
        f"{np.trapezoid(curve, hours):.0f} mg h/L; {curve.max():.0f} mg/L (60 kg assumed)",
        None,
    )


def _lokhande() -> Iterator[Check]:
    hours = np.linspace(0.0, 8.0, 801)
    curve = _daily(kinetics_of(patient=True, meal=Meal.LIGHT), 500.0, hours)
    shape = float(np.trapezoid(curve, hours) / curve[200])
    observed = seen.LOKHANDE_AREA_8_H_MG_H_L / seen.LOKHANDE_PEAK_MG_L
    yield Check(
        "Indian MDR-TB patients, mostly fed: area to 8 h over level at 2 h",
        f"{observed:.2f} h (medians {seen.LOKHANDE_AREA_8_H_MG_H_L:g} mg h/L and {seen.LOKHANDE_PEAK_MG_L:g} mg/L)",
        f"{shape:.2f} h after an ordinary meal, whatever the dose",
        abs(shape / observed - 1) <= _SAME_SHAPE,
    )


def _korea() -> Iterator[Check]:
    per_mg = float(np.mean(_daily(kinetics_of(patient=True), 500.0, np.linspace(2.0, 6.0, 401)))) / 500.0
    dose = seen.KOREA_MEDIAN_MG_L / per_mg
    yield Check(
        "Korean MDR-TB patients, level 2 to 6 h after the dose",
        f"median {seen.KOREA_MEDIAN_MG_L} mg/L (52 samples, dose not in the abstract)",
        f"{dose:.0f} mg daily would give it",
        None,
    )


def _low_doses() -> Iterator[Check]:
    lookup = load_parameters().number
    plasma = default_kinetics(covariates(reference_subject(), lookup), [Meal.FASTED], lookup)
    peaks = [float(concentration(plasma, dose_arrays(bolus(dose)), peak_time(plasma))) for dose in seen.LOW_DOSES_MG]
    yield Check(
        "healthy men, 15, 50 and 150 mg, to 240 min",
        "rises in the order of dose",
        "peaks {:.2f}, {:.2f} and {:.2f} mg/L".format(*peaks),
        bool(np.all(np.diff(peaks) > 0)),
    )


def _peaks() -> Iterator[Check]:
    rows = {row.label: row for row in seen.ALGHAMDI_TABLE_3}
    ends = [
        steady_state(rows[name], count=PEOPLE, seed=SEED, occasions=True)[0] for name in ("250 mg qd", "500 mg bid")
    ]
    low, middle, high = seen.ALGHAMDI_PEAK_MG_L
    medians = [float(np.median(peak)) for peak in ends]
    outer = (float(np.quantile(ends[0], 0.5 / 235)), float(np.quantile(ends[1], 1 - 0.5 / 235)))
    yield Check(
        "235 TB or NTM patients on 250 to 1000 mg a day, peak",
        f"median {middle} mg/L, {low} to {high}",
        f"medians {medians[0]:.1f} (250 mg a day) to {medians[1]:.1f} mg/L (500 mg twice); "
        f"extremes of 235 people {outer[0]:.1f} and {outer[1]:.0f}",
        medians[0] <= middle <= medians[1],
    )


def surplus(*, occasions: bool, doses_before: int | None) -> NDArray[np.float64]:
    """Mean peak and area over Alghamdi's Table 3 minus one: one row per regimen, columns peak and area."""
    return np.array(
        [
            [
                float(np.mean(values)) / published - 1
                for values, published in zip(
                    steady_state(row, count=PEOPLE, seed=SEED, occasions=occasions, doses_before=doses_before),
                    (row.peak_mg_L, row.area_mg_h_L),
                    strict=True,
                )
            ]
            for row in seen.ALGHAMDI_TABLE_3
        ]
    )


def table_3() -> tuple[tuple[str, ...], ...]:
    """Cells of the comparison with Alghamdi's Table 3, the verdict on the steady state before the last column."""
    settings = ((False, None), (True, None), (True, seen.ALGHAMDI_DOSES_BEFORE))
    found = np.concatenate([surplus(occasions=on, doses_before=before) for on, before in settings], axis=1)
    rows = []
    for row, values in zip(seen.ALGHAMDI_TABLE_3, found, strict=True):
        steady, early = (bool(np.all((part >= 0) & (part <= _MOST_ABOVE))) for part in (values[:4], values[4:]))
        shown = [f"{value:+.1%}" for value in values]
        verdicts = ["met" if met else "**missed**" for met in (steady, early)]
        rows.append((row.label, *shown[:4], verdicts[0], *shown[4:], verdicts[1]))
    return tuple(rows)


def monte_carlo_half_width() -> float:
    """Half-width of the 95 % interval of one surplus in area: both means are of finitely many people."""
    area_of_one = steady_state(seen.ALGHAMDI_TABLE_3[3], count=PEOPLE, seed=SEED, occasions=True)[1]
    spread = float(np.std(area_of_one) / np.mean(area_of_one))
    return 1.96 * spread * float(np.sqrt(1 / PEOPLE + 1 / seen.ALGHAMDI_PATIENTS))
