"""Trials by laboratory (by first author: records name no laboratory), and differences that rest on one of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from dualtrace.calibration.compare import reading, summed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dualtrace.calibration.leave_out import LeftOut

_YEAR = re.compile(r"_?(\d{4}.*|study\d+)$")


def laboratory(trial: str) -> str:
    """First author from the id of a trial, such as ``otto`` of ``otto2010``."""
    return _YEAR.sub("", trial)


def laboratories(trials: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Trials by first author, in order of first appearance."""
    found: dict[str, list[str]] = {}
    for trial in trials:
        found.setdefault(laboratory(trial), []).append(trial)
    return {name: tuple(own) for name, own in found.items()}


def rests_on(account: LeftOut, other: LeftOut, groups: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Groups of two trials or more without any one of which the difference of two accounts would read otherwise."""
    each = account.elpd - other.elpd
    whole = reading(*summed(each))
    found = []
    for name, own in groups.items():
        kept = each[[trial not in own for trial in account.trials]]
        if len(own) > 1 and kept.size > 1 and reading(*summed(np.asarray(kept))) != whole:
            found.append(name)
    return tuple(found)
