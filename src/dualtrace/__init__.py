"""Dualtrace: what trials of drug-augmented exposure therapy found, pooled and reported.

Parts load on first use: ``dualtrace.evidence``, ``dualtrace.effects``, ``dualtrace.pooling``, ``dualtrace.analysis``,
``dualtrace.simulation``, ``dualtrace.report``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["analysis", "effects", "evidence", "pooling", "report", "simulation"]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return import_module(f"dualtrace.{name}")
    raise AttributeError(f"module 'dualtrace' has no attribute {name!r}; it has {', '.join(__all__)}")
