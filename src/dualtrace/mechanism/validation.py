"""Predictions set against published observations; the validation page and the tests read the same numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dualtrace.mechanism.arrays import xp
from dualtrace.mechanism.dosing import Meal
from dualtrace.mechanism.linear import Doses, on_grid
from dualtrace.mechanism.observations import (
    ALGHAMDI_CORRELATION,
    ALGHAMDI_CRCL_ML_MIN,
    ALGHAMDI_WEIGHT_KG,
    SteadyRegimen,
)
from dualtrace.mechanism.parameters import load_parameters
from dualtrace.mechanism.plasma import default_kinetics
from dualtrace.mechanism.population import CovariateSpread, draw_covariates, draw_deviations

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Check(NamedTuple):
    """One line of the page; ``met`` is ``None`` where no verdict is possible and the numbers are only shown."""

    what: str
    observed: str
    predicted: str
    met: bool | None

    @property
    def verdict(self) -> str:
        """The verdict in a word."""
        return "not counted" if self.met is None else "met" if self.met else "**missed**"


_DAYS = 59
_STEP_H = 0.1


def steady_state(
    regimen: SteadyRegimen, *, count: int, seed: int, occasions: bool, doses_before: int | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Peak (mg/L) and area (mg h/L) of one day of TB patients, one value per patient.

    The day starts with a dose after ``doses_before`` doses; ``None``: after 59 days, steady in every patient.
    """
    lookup = load_parameters().number
    spread = CovariateSpread(*ALGHAMDI_WEIGHT_KG, *ALGHAMDI_CRCL_ML_MIN, ALGHAMDI_CORRELATION)
    people = draw_covariates(spread, count=count, tb_patient=True, seed=seed)
    deviations = draw_deviations(lookup, count=count, seed=seed + 1)
    if not occasions:
        deviations = deviations._replace(occasion_clearance=0.0)
    kinetics = default_kinetics(people, [Meal.FASTED], lookup, deviations)
    a_day = round(24 / regimen.interval_h)
    before = _DAYS * a_day if doses_before is None else doses_before
    amounts = np.resize(np.asarray(regimen.amounts_mg), before + a_day)
    doses = Doses(xp.asarray(np.arange(before + a_day) * regimen.interval_h), xp.asarray(amounts))
    start = before * regimen.interval_h
    curve = np.asarray(on_grid(kinetics, doses, step_h=_STEP_H, count=round(24 / _STEP_H) + 1, start_h=start))
    return curve.max(axis=0), np.trapezoid(curve, dx=_STEP_H, axis=0)
