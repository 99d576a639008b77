"""Rival accounts of why trials disagree: the same data, the same priors where they share constants, one idea each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from dualtrace.errors import InputError


@final
@dataclass(frozen=True, slots=True)
class Rival:
    """One account.

    Attributes
    ----------
    name, title
        How it is called.
    idea
        In one sentence.
    is_mechanism
        Whether trials are predicted by the mechanism; otherwise by one effect per disorder, or by none.
    drug_acts
        Whether the drug does anything.
    on_threat
        Whether the boost strengthens an open threat trace too.
    gap
        Whether there is a stretch in which neither trace depends on the drug.
    tolerance
        Whether earlier capsules blunt later ones.
    arousal
        Whether fear at the end of the session takes from the boost, until it turns it round.
    """

    name: str
    title: str
    idea: str
    is_mechanism: bool = True
    drug_acts: bool = True
    on_threat: bool = True
    gap: bool = True
    tolerance: bool = True
    arousal: bool = False


RIVALS = (
    Rival("none", "No effect", "the drug does nothing", is_mechanism=False, drug_acts=False),
    Rival(
        "disorder",
        "One effect per disorder",
        "plain meta-regression of numbers, intervals and directions on the disorder",
        is_mechanism=False,
    ),
    Rival(
        "extinction_only",
        "Extinction only",
        "the drug strengthens the safety trace and nothing else",
        on_threat=False,
        tolerance=False,
    ),
    Rival("dual_trace", "Dual trace", "the drug strengthens whichever trace a session leaves open"),
    Rival("no_gap", "Dual trace without the gap", "as dual trace, with no insensitive stretch in between", gap=False),
    Rival(
        "tolerance_only",
        "Tolerance only",
        "extinction alone is strengthened, and earlier capsules blunt later ones",
        on_threat=False,
    ),
    Rival(
        "occupancy",
        "Activity-dependent occupancy",
        "extinction alone is strengthened; high fear fills the glycine site and turns the drug's effect round",
        on_threat=False,
        tolerance=False,
        arousal=True,
    ),
)
"""In the order of their ideas: from nothing to the dual trace and its alternatives."""


def rival(name: str) -> Rival:
    """Return a rival by name.

    Raises
    ------
    InputError
        There is none of this name.
    """
    for one in RIVALS:
        if one.name == name:
            return one
    raise InputError(f"an account must be one of {', '.join(one.name for one in RIVALS)}; given {name!r}")
