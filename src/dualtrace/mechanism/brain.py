"""Second link: plasma drives an effect compartment that stands for brain extracellular fluid.

The effect compartment is one more pole of the same linear chain, so the brain has the same closed form,
superposition and grid recursion as the plasma.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualtrace.mechanism.arrays import xp

if TYPE_CHECKING:
    from dualtrace.mechanism.arrays import ArrayLike
    from dualtrace.mechanism.linear import LinearKinetics
    from dualtrace.mechanism.parameters import Lookup


def brain_kinetics(
    plasma: LinearKinetics, *, kp: ArrayLike, ke0: ArrayLike, unbound: ArrayLike = 1.0
) -> LinearKinetics:
    r"""Brain concentration (mg/L) as a linear response to the dose.

    .. math:: \dot C_b = k_{e0}\,(K_p f_u C_p - C_b),\qquad C_b(0) = 0

    Parameters
    ----------
    plasma
        Kinetics of the plasma.
    kp
        Steady ratio of brain to unbound plasma.
    ke0
        Equilibration rate (1/h).
    unbound
        Unbound share in plasma.

    Notes
    -----
    Defaults from CSF/serum of 0.52 at 2 h and 0.66 at 6 h (Kempker 2022, doi 10.1093/cid/ciab992).
    """
    rate = xp.asarray(ke0)
    return plasma._replace(
        poles=(*plasma.poles[:1], rate, *plasma.poles[1:]), scale=plasma.scale * kp * unbound * rate
    )


def default_brain(plasma: LinearKinetics, lookup: Lookup) -> LinearKinetics:
    """D-cycloserine's brain kinetics with the constants of ``parameters.yaml``."""
    return brain_kinetics(
        plasma, kp=lookup("brain.kp", "1"), ke0=lookup("brain.ke0", "1/h"), unbound=lookup("dcs.unbound", "1")
    )
