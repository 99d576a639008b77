"""Third link: brain concentration changes the NMDA-receptor current, relative to no drug.

Ligands compete for the glycine site of receptors that differ in their GluN2 subunit. The last axis of every
array here is the subunit class, in the order of :data:`CLASSES`. The receptor is in equilibrium: it settles
within a second (Jessen 2017), the drug moves over hours.

Sign rule: in one class, D-cycloserine strengthens the current if and only if its efficacy exceeds the share
of sites that endogenous co-agonists already occupy, whatever the dose.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from dualtrace.mechanism.arrays import xp

if TYPE_CHECKING:
    from dualtrace.mechanism.arrays import Array, ArrayLike
    from dualtrace.mechanism.parameters import Lookup

CLASSES = ("2a", "2b", "2c", "2d")


class GlycineSite(NamedTuple):
    """The site before any drug: endogenous load ``e_s`` (concentration over K) and current share ``w_s``."""

    load: Array
    weight: Array


class Ligand(NamedTuple):
    """An agonist of the glycine site: ``K_s`` (uM) and efficacy ``eps_s`` (glycine = 1)."""

    k: Array
    efficacy: Array


class Surroundings(NamedTuple):
    """Other drugs in the tissue.

    Attributes
    ----------
    competitor
        Load ``B/K_B`` of site antagonists.
    channel
        Share of channels left open by blockers.
    glutamate
        Current left by competitive antagonists of glutamate.
    """

    competitor: ArrayLike = 0.0
    channel: ArrayLike = 1.0
    glutamate: ArrayLike = 1.0


CLEAN = Surroundings()
"""No other drug."""


class Antidepressant(StrEnum):
    """How at least 14 days of antidepressant act on the site (two readings of the same binding data)."""

    NONE = "none"
    ENDOGENOUS = "endogenous"  # (a) only the endogenous co-agonists lose affinity
    WHOLE_SITE = "whole_site"  # (b) the drug loses affinity too, and sites may be lost


def endogenous_load(occupied: ArrayLike) -> Array:
    """``e = theta0 / (1 - theta0)`` for the share ``theta0`` of sites occupied before the drug."""
    share = xp.asarray(occupied)
    return share / (1 - share)


def occupied_share(site: GlycineSite) -> Array:
    """``theta0_s = e_s / (1 + e_s)`` by class."""
    return site.load / (1 + site.load)


def with_arousal(site: GlycineSite, arousal: ArrayLike, slope: ArrayLike) -> GlycineSite:
    r"""Endogenous load that rises with synaptic activity.

    .. math:: e_s(a) = e_s\,(1 + \kappa_a a),\qquad 0 \le a \le 1

    The rival account of the dual effect: high arousal fills the site, and a partial agonist then competes
    with better ones (glycine release in lateral amygdala, Li 2013, doi 10.1038/ncomms2779).
    """
    return site._replace(load=site.load * (1 + xp.asarray(slope) * xp.asarray(arousal)))


def with_coagonist(site: GlycineSite, concentration_um: ArrayLike, ligand: Ligand) -> GlycineSite:
    """Add a full agonist (extra glycine, D-serine, sarcosine) to the endogenous load."""
    return site._replace(load=site.load + xp.asarray(concentration_um)[..., None] / ligand.k)


def with_antidepressant(
    site: GlycineSite, ligand: Ligand, *, reading: Antidepressant, kappa: ArrayLike
) -> tuple[GlycineSite, Ligand]:
    """Site and drug after chronic antidepressant (cortex only): K of glycine times ``kappa``.

    Nowak 1996, doi 10.1016/0014-2999(95)00585-4, for the factor; the readings are hypotheses.
    """
    if reading is Antidepressant.NONE:
        return site, ligand
    weaker = site._replace(load=site.load / kappa)
    if reading is Antidepressant.ENDOGENOUS:
        return weaker, ligand
    return weaker, ligand._replace(k=ligand.k * kappa)


def open_fraction(site: GlycineSite, drug_load: ArrayLike, efficacy: ArrayLike, competitor: ArrayLike) -> Array:
    r"""Open channels by class, relative to all sites filled with glycine.

    .. math:: R_s = \frac{e_s + \varepsilon_s d_s}{1 + e_s + d_s + b}
    """
    drug = xp.asarray(drug_load)
    return (site.load + efficacy * drug) / (1 + site.load + drug + competitor)


def gain_by_class(
    site: GlycineSite, concentration_um: ArrayLike, ligand: Ligand, competitor: ArrayLike = 0.0
) -> Array:
    """``G_s = R_s(D) / R_s(0)``, the last axis being the class."""
    drug = xp.asarray(concentration_um)[..., None] / ligand.k
    return open_fraction(site, drug, ligand.efficacy, competitor) / occupied_share(site)


def gain(site: GlycineSite, concentration_um: ArrayLike, ligand: Ligand, around: Surroundings = CLEAN) -> Array:
    r"""Synaptic NMDA current with the drug over the current without any drug.

    .. math:: G(D) = \frac{\sum_s w_s R_s(D)}{\sum_s w_s R_s(0)}

    times the shares left by channel blockers and by antagonists of glutamate.
    """
    drug = xp.asarray(concentration_um)[..., None] / ligand.k
    now = xp.sum(site.weight * open_fraction(site, drug, ligand.efficacy, around.competitor), axis=-1)
    before = xp.sum(site.weight * occupied_share(site), axis=-1)
    return now / before * around.channel * around.glutamate


def occupancy(site: GlycineSite, concentration_um: ArrayLike, ligand: Ligand, around: Surroundings = CLEAN) -> Array:
    """Share of sites held by the drug, averaged over classes: ``d / (1 + e + d + b)``."""
    drug = xp.asarray(concentration_um)[..., None] / ligand.k
    return xp.sum(site.weight * drug / (1 + site.load + drug + around.competitor), axis=-1)


def unblocked(concentration_um: ArrayLike, ic50_um: ArrayLike) -> Array:
    """Share of channels left by a channel blocker: ``1 / (1 + B/IC50)``."""
    return 1 / (1 + xp.asarray(concentration_um) / ic50_um)


def glutamate_left(concentration_um: ArrayLike, *, k_um: ArrayLike, glutamate_load: ArrayLike) -> Array:
    """Share left by a competitive antagonist: ``(1 + g) / (1 + g + B/K)`` at the glutamate load ``g``."""
    load = xp.asarray(glutamate_load)
    return (1 + load) / (1 + load + xp.asarray(concentration_um) / k_um)


def magnesium_unblocked(voltage_mv: ArrayLike, magnesium_mm: ArrayLike, lookup: Lookup) -> Array:
    r"""Share of channels free of magnesium.

    .. math:: B(V) = \frac{1}{1 + e^{-0.062 V}\,[Mg]/3.57}
    """
    slope, k = lookup("receptor.magnesium_slope", "1/mV"), lookup("receptor.magnesium_k", "mM")
    return xp.asarray(1 / (1 + xp.exp(-slope * xp.asarray(voltage_mv)) * xp.asarray(magnesium_mm) / k))


def _per_class(lookup: Lookup, name: str) -> Array:
    values = [xp.asarray(lookup(f"receptor.{name}_{label}", "1")) for label in CLASSES]
    return xp.stack(xp.broadcast_arrays(*values), axis=-1)


def default_site(lookup: Lookup) -> GlycineSite:
    """Site of ``parameters.yaml``: the GluN2B load, scaled by each class's affinity; shares sum to one."""
    share = _per_class(lookup, "weight")
    load = endogenous_load(lookup("receptor.theta0", "1"))[..., None] * _per_class(lookup, "potency")
    return GlycineSite(load=load, weight=share / xp.sum(share, axis=-1, keepdims=True))


def cycloserine(lookup: Lookup) -> Ligand:
    """D-cycloserine: ``K = ratio K_glycine`` at GluN2B, scaled by class; efficacy by class."""
    reference = xp.asarray(lookup("receptor.dcs_over_glycine", "1")) * lookup("receptor.k_glycine", "uM")
    return Ligand(k=reference[..., None] / _per_class(lookup, "potency"), efficacy=_per_class(lookup, "efficacy"))


def dserine(lookup: Lookup) -> Ligand:
    """D-serine as a full agonist."""
    reference = xp.asarray(lookup("receptor.dserine_over_glycine", "1")) * lookup("receptor.k_glycine", "uM")
    potency = _per_class(lookup, "potency")
    return Ligand(k=reference[..., None] / potency, efficacy=xp.ones_like(potency))


def glycine(lookup: Lookup) -> Ligand:
    """Glycine itself (concentration at the receptor, behind the transporters)."""
    potency = _per_class(lookup, "potency")
    k = xp.asarray(lookup("receptor.k_glycine", "uM"))[..., None] / potency
    return Ligand(k=k, efficacy=xp.ones_like(potency))


def sarcosine(lookup: Lookup) -> Ligand:
    """Sarcosine as a full co-agonist of low affinity."""
    potency = _per_class(lookup, "potency")
    k = xp.asarray(lookup("receptor.k_sarcosine", "uM"))[..., None] / potency
    return Ligand(k=k, efficacy=xp.ones_like(potency))
