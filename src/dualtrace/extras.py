"""Modules of optional extras: imported when they are needed, or a sentence that says how to install them."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from dualtrace.errors import InputError


def numpyro_module(name: str, otherwise: str) -> Any:  # noqa: ANN401 - a module that may be absent has no type
    """Import a module that sampling needs.

    Parameters
    ----------
    name
        The module.
    otherwise
        What can be done without it, as a sentence.

    Raises
    ------
    InputError
        With the command that installs it.
    """
    return _module(name, "Sampling needs NumPyro", "bayes", otherwise)


def arviz_module(name: str, otherwise: str) -> Any:  # noqa: ANN401 - a module that may be absent has no type
    """Import a module that checking, storing and comparing posteriors need.

    Parameters
    ----------
    name
        The module.
    otherwise
        What can be done without it, as a sentence.

    Raises
    ------
    InputError
        With the command that installs it.
    """
    return _module(name, "Checking and storing posteriors needs ArviZ", "bayes", otherwise)


def cluster_module(name: str, otherwise: str) -> Any:  # noqa: ANN401 - a module that may be absent has no type
    """Import a module that runs on a cluster need.

    Parameters
    ----------
    name
        The module.
    otherwise
        What can be done without it, as a sentence.

    Raises
    ------
    InputError
        With the command that installs it.
    """
    return _module(name, "A run on a cluster needs Dask", "cluster", otherwise)


def _module(name: str, need: str, extra: str, otherwise: str) -> Any:  # noqa: ANN401
    if find_spec(name.partition(".")[0]) is None:
        raise InputError(f"{need}, which is not installed; run: pip install 'dualtrace[{extra}]'. {otherwise}")
    return import_module(name)
