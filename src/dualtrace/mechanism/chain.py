"""The chain itself: swallowed → plasma → brain → receptor → tolerance → consolidation. Read this file first.

:func:`build` turns covariates, meals and constants into a :class:`Chain` of arrays; :func:`expose` follows it
at any times; :func:`consolidation_boost` gives what the memory models take over: ``M``, one number a session.
Both are pure functions of arrays: ``vmap`` them over people, differentiate them in every constant.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from dualtrace.errors import InputError
from dualtrace.mechanism import receptor
from dualtrace.mechanism.antagonist import surroundings
from dualtrace.mechanism.arrays import compiled, xp
from dualtrace.mechanism.brain import default_brain
from dualtrace.mechanism.consolidation import Kernel, Quadrature, boost, exponential_window, step_window
from dualtrace.mechanism.linear import Doses, LinearKinetics, concentration
from dualtrace.mechanism.plasma import (
    TYPICAL,
    Covariates,
    Deviations,
    default_kinetics,
    micromolar,
    transit_kinetics,
)
from dualtrace.mechanism.tolerance import OFF, Tolerance, default_tolerance, effective_gain, lost_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualtrace.mechanism.arrays import Array, ArrayLike
    from dualtrace.mechanism.dosing import Meal
    from dualtrace.mechanism.parameters import Lookup


class Structure(StrEnum):
    """Structure of the plasma model."""

    LAG = "lag"  # Alghamdi 2019
    TRANSIT = "transit"  # Resendiz-Galvan 2025


@dataclass(frozen=True, slots=True)
class Switches:
    """Which alternatives of the mechanism are on.

    Attributes
    ----------
    structure
        Plasma model.
    tolerance
        Whether earlier doses blunt later ones.
    arousal
        ``None``: endogenous occupancy is constant. A number from 0 to 1: it rises with that arousal.
    antidepressant
        Reading of chronic antidepressant treatment.
    kernel
        Shape of the consolidation window.
    antagonists_um
        Brain concentrations (uM) of other drugs, by name.
    """

    structure: Structure = Structure.LAG
    tolerance: bool = True
    arousal: float | None = None
    antidepressant: receptor.Antidepressant = receptor.Antidepressant.NONE
    kernel: Kernel = Kernel.EXPONENTIAL
    antagonists_um: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.arousal is not None and not 0 <= self.arousal <= 1:
            raise InputError(f"arousal must lie between 0 and 1; given {self.arousal:g}")

    def without_antidepressant(self) -> Switches:
        """The same for a person without an antidepressant."""
        return replace(self, antidepressant=receptor.Antidepressant.NONE)


DEFAULT = Switches()
"""The default mechanism."""


class Chain(NamedTuple):
    """Every constant of the chain for one person, as arrays."""

    plasma: LinearKinetics
    brain: LinearKinetics
    molar_mass: Array
    site: receptor.GlycineSite
    drug: receptor.Ligand
    around: receptor.Surroundings
    sites_lost: Array
    channel_ic50_um: Array
    tolerance: Tolerance
    window_h: Array


class Exposure(NamedTuple):
    """What the chain shows at some times; all of the shape of the times."""

    plasma_mg_per_l: Array
    plasma_um: Array
    brain_um: Array
    occupancy: Array
    gain: Array
    effective_gain: Array


def build(
    person: Covariates,
    meals: Sequence[Meal],
    lookup: Lookup,
    *,
    deviations: Deviations = TYPICAL,
    switches: Switches = DEFAULT,
) -> Chain:
    """Assemble the chain for one person (or, with array leaves, for many)."""
    if switches.structure is Structure.TRANSIT:
        plasma = transit_kinetics(person, lookup, deviations=deviations)
    else:
        plasma = default_kinetics(person, meals, lookup, deviations)
    return connect(
        plasma,
        default_brain(plasma, lookup),
        receptor.cycloserine(lookup),
        lookup,
        molar_mass=lookup("dcs.molar_mass", "g/mol"),
        switches=switches,
    )


def connect(
    plasma: LinearKinetics,
    brain: LinearKinetics,
    drug: receptor.Ligand,
    lookup: Lookup,
    *,
    molar_mass: ArrayLike,
    channel_ic50_um: ArrayLike = math.inf,
    switches: Switches = DEFAULT,
) -> Chain:
    """Connect any agent's kinetics and affinity to the receptor, tolerance and window of the table."""
    site = receptor.default_site(lookup)
    if switches.arousal is not None:
        site = receptor.with_arousal(site, switches.arousal, lookup("receptor.activity_slope", "1"))
    site, drug = receptor.with_antidepressant(
        site, drug, reading=switches.antidepressant, kappa=lookup("antidepressant.kappa", "1")
    )
    whole_site = switches.antidepressant is receptor.Antidepressant.WHOLE_SITE
    width = "consolidation.tau" if switches.kernel is Kernel.EXPONENTIAL else "consolidation.step_width"
    return Chain(
        plasma=plasma,
        brain=brain,
        molar_mass=xp.asarray(molar_mass),
        site=site,
        drug=drug,
        around=surroundings(switches.antagonists_um, lookup),
        sites_lost=xp.asarray(lookup("antidepressant.site_loss", "1") if whole_site else 0.0),
        channel_ic50_um=xp.asarray(channel_ic50_um),
        tolerance=default_tolerance(lookup) if switches.tolerance else OFF,
        window_h=xp.asarray(lookup(width, "h")),
    )


@compiled()
def expose(chain: Chain, doses: Doses, times_h: ArrayLike) -> Exposure:
    """Follow the chain at ``times_h``: plasma, brain, occupancy, gain, gain after tolerance."""
    plasma = concentration(chain.plasma, doses, times_h)
    brain = micromolar(concentration(chain.brain, doses, times_h), chain.molar_mass)
    gain = _gain(chain, brain)
    return Exposure(
        plasma_mg_per_l=plasma,
        plasma_um=micromolar(plasma, chain.molar_mass),
        brain_um=brain,
        occupancy=receptor.occupancy(chain.site, brain, chain.drug, chain.around),
        gain=gain,
        effective_gain=effective_gain(gain, lost_at(times_h, doses, chain.tolerance)),
    )


@compiled("kernel")
def consolidation_boost(
    chain: Chain, doses: Doses, session_end_h: ArrayLike, kernel: Kernel = Kernel.EXPONENTIAL
) -> Array:
    """``M`` of a session that ends at ``session_end_h``, for doses before and after it.

    Raises nothing: a person whose constants are not finite gives a result that is not finite.
    """
    window = consolidation_window(chain, doses, session_end_h, kernel)
    brain = micromolar(concentration(chain.brain, doses, window.time_h), chain.molar_mass)
    lost = lost_at(window.time_h, doses, chain.tolerance)
    return boost(effective_gain(_gain(chain, brain), lost), window)


def consolidation_window(
    chain: Chain, doses: Doses, session_end_h: ArrayLike, kernel: Kernel = Kernel.EXPONENTIAL
) -> Quadrature:
    """Return times and weights at which ``M`` samples the gain, split where a dose arrives."""
    arrivals = xp.concatenate(xp.broadcast_arrays(doses.time_h + chain.brain.lag, doses.time_h), axis=-1)
    if arrivals.ndim > 1:  # a population's kinetics carry an axis for times, here of length one
        arrivals = arrivals[..., 0, :]
    if kernel is Kernel.STEP:
        return step_window(session_end_h=session_end_h, width_h=chain.window_h, arrivals_h=arrivals)
    return exponential_window(session_end_h=session_end_h, tau_h=chain.window_h, arrivals_h=arrivals)


def _gain(chain: Chain, brain_um: Array) -> Array:
    whole = receptor.gain(chain.site, brain_um, chain.drug, chain.around)
    whole = whole * receptor.unblocked(brain_um, chain.channel_ic50_um)
    return 1 + (1 - chain.sites_lost) * (whole - 1)
