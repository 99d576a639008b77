"""The person who swallows the dose: the covariates of the kinetic models, checked once."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dualtrace.errors import InputError
from dualtrace.mechanism.parameters import ParameterTable, load_parameters

_WEIGHTS_KG = (8.0, 300.0)
_CRCL_ML_MIN = (0.0, 300.0)
_AGES = (0.0, 110.0)


@dataclass(frozen=True, slots=True)
class Subject:
    """Covariates of one person.

    Attributes
    ----------
    weight_kg
        Body weight, 8 to 300 kg.
    crcl_mL_min
        Creatinine clearance (Cockcroft–Gault, not standardised to body surface), above 0 up to 300 mL/min.
        Not used below the adult age, where normal renal function for weight is assumed.
    tb_patient
        Whether the person is treated for tuberculosis; participants of exposure trials are not.
    age_years
        Age; only whether it lies below the adult age matters.
    fat_free_mass_kg
        Needed by the transit model; ``None`` takes the default share of weight.
    """

    weight_kg: float
    crcl_mL_min: float  # noqa: N815  (mL/min is written so)
    tb_patient: bool = False
    age_years: float = 35.0
    fat_free_mass_kg: float | None = None

    def __post_init__(self) -> None:
        _require_within("weight", self.weight_kg, _WEIGHTS_KG, "kg")
        _require_within("creatinine clearance", self.crcl_mL_min, _CRCL_ML_MIN, "mL/min")
        _require_within("age", self.age_years, _AGES, "years")
        youngest = load_parameters().number("child.youngest_age", "year")
        if self.age_years < youngest:
            raise InputError(f"age must be at least {youngest:g} years; given {self.age_years:g} years")
        if self.fat_free_mass_kg is not None and not 0 < self.fat_free_mass_kg < self.weight_kg:
            raise InputError(
                f"fat-free mass must be above 0 and below the weight ({self.weight_kg:g} kg); "
                f"given {self.fat_free_mass_kg:g} kg"
            )

    @property
    def is_child(self) -> bool:
        """Whether the weight-based model for children applies."""
        return self.age_years < load_parameters().number("child.adult_age", "year")


def reference_subject(table: ParameterTable | None = None) -> Subject:
    """Return the adult of the tables: 70 kg, creatinine clearance 100 mL/min, not a TB patient."""
    table = table or load_parameters()
    return Subject(weight_kg=table.number("subject.weight", "kg"), crcl_mL_min=table.number("subject.crcl", "mL/min"))


def cockcroft_gault(*, age_years: float, weight_kg: float, creatinine_mg_dL: float, female: bool) -> float:
    """Creatinine clearance (mL/min): ``(140 - age) weight / (72 SCr)``, times 0.85 for women.

    Cockcroft & Gault 1976, doi 10.1159/000180580.
    """
    if not (creatinine_mg_dL > 0 and math.isfinite(creatinine_mg_dL)):
        raise InputError(f"serum creatinine must be positive mg/dL; given {creatinine_mg_dL:g}")
    return (140 - age_years) * weight_kg / (72 * creatinine_mg_dL) * (0.85 if female else 1.0)


def _require_within(what: str, value: float, bounds: tuple[float, float], unit: str) -> None:
    low, high = bounds
    if not low < value <= high:
        raise InputError(f"{what} must be above {low:g} and at most {high:g} {unit}; given {value:g} {unit}")
