"""Posteriors on disk: one netCDF file with groups as ArviZ reads them, and everything that led to the draws.

Needs the extra ``bayes`` (xarray, h5netcdf).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.calibration.posterior import Method, Posterior
from dualtrace.errors import InputError
from dualtrace.extras import arviz_module

if TYPE_CHECKING:
    from pathlib import Path

_FORMAT = "dualtrace posterior 1"
_DRAWS = ("chain", "draw")


def save_posterior(posterior: Posterior, path: Path) -> None:
    """Write a posterior as netCDF.

    Groups: ``posterior`` (parameters in their units), ``scores`` (as normal scores, and deviations of disorders),
    ``log_likelihood`` (by trial), ``posterior_predictive`` (by row). Attributes of the file hold the provenance.

    Raises
    ------
    InputError
        ArviZ is not installed, or the file cannot be written.
    """
    xarray = arviz_module("xarray", "The command prints its summary without it.")
    groups = {
        "posterior": _dataset(posterior.values),
        "scores": _dataset(posterior.scores),
        "log_likelihood": _dataset({"effects": posterior.log_likelihood}, effects={"trial": list(posterior.trials)}),
        "posterior_predictive": _dataset({"effects": posterior.predicted}),
    }
    tree = xarray.DataTree.from_dict(groups)
    tree.attrs = {"format": _FORMAT, "about": json.dumps(_about(posterior))}
    try:
        tree.to_netcdf(path, engine="h5netcdf")
    except OSError as error:
        raise InputError(f"the posterior must go to a file that can be written; given {path}: {error}") from None


def load_posterior(path: Path) -> Posterior:
    """Read what :func:`save_posterior` wrote.

    Raises
    ------
    InputError
        ArviZ is not installed, or the file is none of these.
    """
    xarray = arviz_module("xarray", "There is no other way to read a posterior.")
    try:
        with xarray.open_datatree(path, engine="h5netcdf") as tree:
            if tree.attrs.get("format") != _FORMAT:
                raise InputError(_foreign(path, "it does not say that it is one"))
            about = json.loads(tree.attrs["about"])
            return Posterior(
                **about | {"method": Method(about["method"]), "trials": tuple(about["trials"])},
                scores={name: np.asarray(array) for name, array in tree["scores"].data_vars.items()},
                log_likelihood=np.asarray(tree["log_likelihood"]["effects"]),
                predicted=np.asarray(tree["posterior_predictive"]["effects"]),
            )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(_foreign(path, str(error))) from None


def _about(posterior: Posterior) -> dict[str, Any]:
    names = ("account", "method", "trials", "divergences", "gradients", "pareto_k", "effective", "settings")
    return {name: getattr(posterior, name) for name in names}


def _dataset(arrays: Any, **coords: dict[str, list[str]]) -> Any:  # noqa: ANN401 - xarray may be absent
    xarray = arviz_module("xarray", "")
    found = {
        name: (
            (
                *_DRAWS,
                *coords.get(name, {}),
                *(f"{name}_dim_{i}" for i in range(array.ndim - 2 - len(coords.get(name, {})))),
            ),
            array,
        )
        for name, array in arrays.items()
    }
    return xarray.Dataset(found, coords={dim: labels for own in coords.values() for dim, labels in own.items()})


def _foreign(path: Path, why: str) -> str:
    return f"{path} must be a posterior written by dualtrace calibrate --save; {why}: fit it again"
