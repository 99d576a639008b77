"""Memory models by name: ours, and those that other packages register as entry points of ``dualtrace.memory``."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from dualtrace.errors import InputError
from dualtrace.mechanism.memory.contract import Memory
from dualtrace.mechanism.memory.dual_trace import DualTrace
from dualtrace.mechanism.memory.kalman import KalmanFilter
from dualtrace.mechanism.memory.latent_cause import LatentCause, LatentCauseDrug
from dualtrace.mechanism.memory.pearce_hall import PearceHall
from dualtrace.mechanism.memory.pinned import Pinned
from dualtrace.mechanism.memory.refined_rescorla_wagner import RefinedRescorlaWagner
from dualtrace.mechanism.memory.rescorla_wagner import RescorlaWagner

if TYPE_CHECKING:
    from collections.abc import Mapping

ENTRY_POINTS = "dualtrace.memory"

ABLATIONS: Mapping[str, Mapping[str, float | str]] = {
    "no insensitive gap": {"dual_trace.lability_closes": "dual_trace.storage_opens"},
    "no restabilisation": {"dual_trace.restabilisation": 0.0},
    "no effect of stress": {"dual_trace.stress_effect": 0.0},
    "drug does not open lability": {"dual_trace.drug_opens": 0.0},
    "no leak between contexts": {"dual_trace.context_leak": 0.0},
    "context beside a cue unseen": {"dual_trace.context_salience": 0.0},
    "no effect of spacing": {"dual_trace.spacing": 0.0},
    "no expectation of omissions": {"dual_trace.wait_rate": 0.0},
    "storage as needy when known": {"dual_trace.novelty_half": 1e6},
    "fresh safety does not fade": {"dual_trace.fresh_h": 1e6},
    "nothing stored without the receptor": {"dual_trace.basal": 0.0},
    "a US leaves no alarm": {"dual_trace.alarm_h": 1e-6},
    "safety never fades": {"dual_trace.retrievability_h": 1e9},
}
"""What each part of the dual trace buys: the model without it, all else as it was."""


def _ours() -> tuple[Memory[Any, Any], ...]:
    whole = DualTrace()
    only = {"dual_trace.restabilisation": 0.0}
    return (
        whole,
        Pinned(whole, only, name="extinction_only", title="Extinction only"),
        RescorlaWagner(),
        PearceHall(),
        KalmanFilter(),
        RefinedRescorlaWagner(),
        LatentCause(),
        LatentCauseDrug(),
    )


@cache
def memory_models() -> dict[str, Memory[Any, Any]]:
    """Every model by name, ours first.

    Raises
    ------
    InputError
        An entry point does not give a memory model, or takes a name that is taken.
    """
    found = {model.name: model for model in _ours()}
    for entry in entry_points(group=ENTRY_POINTS):
        model = entry.load()
        model = model() if isinstance(model, type) else model
        if not isinstance(model, Memory):
            raise InputError(
                f"the entry point {entry.name} = {entry.value} must give a dualtrace memory model; it gives {model!r}"
            )
        if model.name in found:
            raise InputError(f"two memory models are called {model.name}; {entry.value} needs another name")
        found[model.name] = model
    return found


def memory_model(name: str) -> Memory[Any, Any]:
    """Return one model.

    Raises
    ------
    InputError
        There is none of this name.
    """
    models = memory_models()
    if name not in models:
        raise InputError(f"a memory model must be one of {', '.join(models)}; given {name!r}")
    return models[name]


def ablations() -> tuple[Memory[Any, Any], ...]:
    """The dual trace without one part at a time."""
    whole = DualTrace()
    return tuple(
        Pinned(whole, pins, name=f"without: {name}", title=name.capitalize()) for name, pins in ABLATIONS.items()
    )
