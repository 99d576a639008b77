"""Other drugs at the NMDA receptor, by name: what a concentration of each leaves of the current."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualtrace.errors import InputError
from dualtrace.mechanism.receptor import Surroundings, glutamate_left, unblocked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualtrace.mechanism.arrays import ArrayLike
    from dualtrace.mechanism.parameters import Lookup

SITE_ANTAGONISTS = {
    "7cka": "receptor.k_7cka",
    "57dcka": "receptor.k_57dcka",
    "kynurenate": "receptor.k_kynurenate",
    "l701324": "receptor.k_l701324",
}
CHANNEL_BLOCKERS = {
    "memantine": "receptor.ic50_memantine",
    "ketamine": "receptor.ic50_ketamine",
    "mk801": "receptor.ic50_mk801",
}
GLUTAMATE_ANTAGONISTS = {"ap5": "receptor.k_ap5"}
KNOWN = (*SITE_ANTAGONISTS, *CHANNEL_BLOCKERS, *GLUTAMATE_ANTAGONISTS)


def surroundings(concentrations_um: Mapping[str, float], lookup: Lookup) -> Surroundings:
    """Return what the named drugs at these brain concentrations (uM) do to the receptor.

    Raises
    ------
    InputError
        A name is unknown or a concentration negative.
    """
    competitor: ArrayLike = 0.0
    channel: ArrayLike = 1.0
    glutamate: ArrayLike = 1.0
    for name, amount in concentrations_um.items():
        if name not in KNOWN:
            raise InputError(f"unknown antagonist {name!r}; known are {', '.join(KNOWN)}")
        if not amount >= 0:
            raise InputError(f"the concentration of {name} must be 0 uM or more; given {amount:g}")
        if name in SITE_ANTAGONISTS:
            competitor = competitor + amount / lookup(SITE_ANTAGONISTS[name], "uM")
        elif name in CHANNEL_BLOCKERS:
            channel = channel * unblocked(amount, lookup(CHANNEL_BLOCKERS[name], "uM"))
        else:
            glutamate = glutamate * glutamate_left(
                amount,
                k_um=lookup(GLUTAMATE_ANTAGONISTS[name], "uM"),
                glutamate_load=lookup("receptor.glutamate_load", "1"),
            )
    return Surroundings(competitor, channel, glutamate)
