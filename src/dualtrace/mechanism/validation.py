"""Predictions set against published observations; the validation page and the tests read the same numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

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

_DAYS = 60
_STEP_H = 0.1
_MOST_DOSES = _DAYS * 4
"""Regimens are padded with nothing to four doses a day, so that one compiled program serves all."""


def steady_state(
    regimen: SteadyRegimen, *, count: int, seed: int, occasions: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Peak (mg/L) and 24-h area (mg h/L) of TB patients after 60 days of a regimen, one value per patient."""
    lookup = load_parameters().number
    spread = CovariateSpread(*ALGHAMDI_WEIGHT_KG, *ALGHAMDI_CRCL_ML_MIN, ALGHAMDI_CORRELATION)
    people = draw_covariates(spread, count=count, tb_patient=True, seed=seed)
    deviations = draw_deviations(lookup, count=count, seed=seed + 1)
    if not occasions:
        deviations = deviations._replace(occasion_clearance=0.0)
    kinetics = default_kinetics(people, [Meal.FASTED], lookup, deviations)
    number = round(_DAYS * 24 / regimen.interval_h)
    amounts = np.zeros(_MOST_DOSES)
    amounts[:number] = np.resize(regimen.amounts_mg, number)
    doses = Doses(jnp.arange(_MOST_DOSES) * regimen.interval_h, jnp.asarray(amounts))
    start = (_DAYS - 1) * 24.0
    curve = on_grid(kinetics, doses, step_h=_STEP_H, count=round(24 / _STEP_H) + 1, start_h=start)
    return np.asarray(curve.max(axis=0)), np.trapezoid(np.asarray(curve), dx=_STEP_H, axis=0)
