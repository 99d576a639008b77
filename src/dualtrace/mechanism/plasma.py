"""First link: swallowed milligrams become a plasma concentration (mg/L).

Three structures, all instances of :class:`~dualtrace.mechanism.linear.LinearKinetics`, so that superposition,
areas, grids and gradients are written once:

``one_compartment``  first-order absorption with lag (Alghamdi 2019, the default)
``two_compartment``  the same with a peripheral compartment, for a user's own agent
``transit``          transit chain (Resendiz-Galvan 2025), the structural alternative
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dualtrace.mechanism.arrays import xp
from dualtrace.mechanism.dosing import Meal, Regimen
from dualtrace.mechanism.linear import Doses, LinearKinetics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.mechanism.arrays import Array, ArrayLike
    from dualtrace.mechanism.parameters import Lookup
    from dualtrace.mechanism.subject import Subject


def one_compartment(
    *, clearance: ArrayLike, volume: ArrayLike, absorption: ArrayLike, lag: ArrayLike
) -> LinearKinetics:
    r"""First-order absorption with lag into one compartment.

    .. math:: C(t) = \frac{D}{V}\frac{k_a}{k_a - k_e}\,(e^{-k_e t'} - e^{-k_a t'}),\quad
              k_e = CL/V,\ t' = t - T_{lag}

    Parameters
    ----------
    clearance, volume
        Apparent CL/F (L/h) and V/F (L).
    absorption, lag
        ``k_a`` (1/h) and ``T_lag`` (h); one value, or one per dose.

    Notes
    -----
    Alghamdi 2019, doi 10.1128/AAC.00055-19. ``k_a = k_e`` is no special case.
    """
    rate = xp.asarray(absorption)
    return LinearKinetics(poles=(rate, xp.asarray(clearance) / volume), scale=rate / volume, lag=xp.asarray(lag))


def two_compartment(
    *,
    clearance: ArrayLike,
    volume: ArrayLike,
    exchange: ArrayLike,
    peripheral_volume: ArrayLike,
    absorption: ArrayLike,
    lag: ArrayLike,
) -> LinearKinetics:
    r"""First-order absorption with lag into a central compartment that exchanges with a peripheral one.

    .. math:: H(s) = \frac{k_a}{V_1}\frac{s + k_{21}}{(s + k_a)(s + \alpha)(s + \beta)},\quad
              \alpha + \beta = k_{10} + k_{12} + k_{21},\ \alpha\beta = k_{10} k_{21}

    ``exchange`` is Q (L/h): ``k12 = Q/V1``, ``k21 = Q/V2``, ``k10 = CL/V1``.
    """
    rate = xp.asarray(absorption)
    out, across = xp.asarray(clearance) / volume, xp.asarray(exchange) / volume
    back = xp.asarray(exchange) / peripheral_volume
    total = out + across + back
    root = xp.sqrt(total**2 - 4 * out * back)
    fast = (total + root) / 2
    return LinearKinetics(poles=(rate, fast, out * back / fast), scale=rate / volume, lag=xp.asarray(lag), zero=back)


def transit(
    *, clearance: ArrayLike, volume: ArrayLike, absorption: ArrayLike, mean_time: ArrayLike, stages: int
) -> LinearKinetics:
    r"""Transit chain into a depot, first-order absorption, one compartment.

    .. math:: \dot A_d = D k_{tr} \frac{(k_{tr} t)^N e^{-k_{tr} t}}{N!} - k_a A_d,\quad k_{tr} = (N + 1)/MTT

    With whole ``N`` (``stages``) the input is a chain of ``N + 1`` equal rates.
    Resendiz-Galvan 2025, doi 10.1128/aac.00101-25.
    """
    through = (stages + 1) / xp.asarray(mean_time)
    rate = xp.asarray(absorption)
    poles = (*(through,) * (stages + 1), rate, xp.asarray(clearance) / volume)
    return LinearKinetics(poles=poles, scale=through ** (stages + 1) * rate / volume, lag=xp.zeros_like(rate))


class Covariates(NamedTuple):
    """Covariates as arrays: kg, mL/min, TB patient (0/1), child (0/1), fat-free kg."""

    weight: ArrayLike
    crcl: ArrayLike
    tb_patient: ArrayLike
    child: ArrayLike
    fat_free_mass: ArrayLike


class Deviations(NamedTuple):
    """Log deviations of a person (and of an occasion, for clearance) from the typical value; 0 is typical."""

    clearance: ArrayLike = 0.0
    volume: ArrayLike = 0.0
    absorption: ArrayLike = 0.0
    lag: ArrayLike = 0.0
    occasion_clearance: ArrayLike = 0.0


TYPICAL = Deviations()
"""A person without deviations."""


def covariates(subject: Subject, lookup: Lookup) -> Covariates:
    """Covariates of one checked subject."""
    fat_free = subject.fat_free_mass_kg
    return Covariates(
        weight=subject.weight_kg,
        crcl=subject.crcl_mL_min,
        tb_patient=float(subject.tb_patient),
        child=float(subject.is_child),
        fat_free_mass=fat_free if fat_free is not None else subject.weight_kg * lookup("subject.fat_free_share", "1"),
    )


def clearance(person: Covariates, lookup: Lookup) -> Array:
    r"""Typical apparent clearance (L/h).

    .. math:: CL = 2.00\, e^{-0.660\,patient} (CrCL/89.1)^{0.413}

    (numbers of ``parameters.yaml``); for a child the reference adult's clearance times
    ``(weight / 70 kg)^0.75``.
    """
    reference, exponent = lookup("plasma.crcl_reference", "mL/min"), lookup("plasma.clearance_crcl", "1")
    child = xp.asarray(person.child)
    crcl = xp.where(child > 0, lookup("subject.crcl", "mL/min"), person.crcl)
    size = (xp.asarray(person.weight) / lookup("subject.weight", "kg")) ** lookup("child.clearance_exponent", "1")
    disease = xp.exp(lookup("plasma.clearance_patient", "1") * xp.asarray(person.tb_patient))
    adult = lookup("plasma.clearance", "L/h") * disease * (crcl / reference) ** exponent
    return xp.asarray(adult) * xp.where(child > 0, size, 1.0)


def volume(person: Covariates, lookup: Lookup) -> Array:
    """Typical apparent volume (L): proportional to weight."""
    per_kg = lookup("plasma.volume", "L") / lookup("plasma.weight_reference", "kg")
    return xp.asarray(person.weight * per_kg)


_ABSORPTION = {
    Meal.FASTED: "plasma.absorption_fasted",
    Meal.JUICE: "plasma.absorption_fasted",
    Meal.ANTACID: "plasma.absorption_fasted",
    Meal.LIGHT: "plasma.absorption_light_meal",
    Meal.HIGH_FAT: "plasma.absorption_high_fat",
}


def absorption(meals: Sequence[Meal], lookup: Lookup) -> Array:
    """Typical absorption rate of each dose (1/h), by meal; one number when all meals are alike."""
    names = [_ABSORPTION[meal] for meal in meals] or [_ABSORPTION[Meal.FASTED]]
    if len(set(names)) == 1:
        return xp.asarray(lookup(names[0], "1/h"))
    return xp.stack([xp.asarray(lookup(name, "1/h")) for name in names])


def default_kinetics(
    person: Covariates, meals: Sequence[Meal], lookup: Lookup, deviations: Deviations = TYPICAL
) -> LinearKinetics:
    """Alghamdi's model for these covariates, meals and deviations."""
    own = xp.asarray(deviations.clearance) + xp.asarray(deviations.occasion_clearance)
    return one_compartment(
        clearance=clearance(person, lookup) * xp.exp(own),
        volume=volume(person, lookup) * xp.exp(xp.asarray(deviations.volume)),
        absorption=absorption(meals, lookup) * xp.exp(xp.asarray(deviations.absorption)),
        lag=lookup("plasma.lag", "h") * xp.exp(xp.asarray(deviations.lag)),
    )


def renal_function(person: Covariates, lookup: Lookup) -> Array:
    """Creatinine clearance standardised to 56 kg over its reference value."""
    standardised = person.crcl / xp.asarray(person.weight) * lookup("transit.renal_weight", "kg")
    return xp.asarray(standardised / lookup("transit.renal_reference", "mL/min"))


def transit_kinetics(
    person: Covariates,
    lookup: Lookup,
    *,
    renal: ArrayLike | None = None,
    deviations: Deviations = TYPICAL,
) -> LinearKinetics:
    r"""Resendiz-Galvan's model.

    .. math:: CL = (0.589\,RF + 0.901)(FFM/38.6)^{0.75},\quad V = 37.0\,(FFM/38.6)
    """
    size = xp.asarray(person.fat_free_mass) / lookup("transit.ffm_reference", "kg")
    share = renal_function(person, lookup) if renal is None else xp.asarray(renal)
    base = lookup("transit.clearance_renal", "L/h") * share + lookup("transit.clearance_other", "L/h")
    own = xp.asarray(deviations.clearance) + xp.asarray(deviations.occasion_clearance)
    return transit(
        clearance=base * size ** lookup("transit.clearance_exponent", "1") * xp.exp(own),
        volume=lookup("transit.volume", "L") * size * xp.exp(xp.asarray(deviations.volume)),
        absorption=lookup("transit.absorption", "1/h") * xp.exp(xp.asarray(deviations.absorption)),
        mean_time=lookup("transit.mean_time", "h") * xp.exp(xp.asarray(deviations.lag)),
        stages=round(lookup("transit.stages", "1")),
    )


def micromolar(mg_per_litre: ArrayLike, molar_mass: ArrayLike) -> Array:
    """``C[uM] = 1000 C[mg/L] / M`` with the molar mass ``M`` in g/mol."""
    return 1000 * xp.asarray(mg_per_litre) / molar_mass


def dose_arrays(regimen: Regimen) -> Doses:
    """Return times and amounts of a regimen as arrays."""
    return Doses(xp.asarray(regimen.times_h, float), xp.asarray(regimen.amounts_mg, float))


def peak_time(kinetics: LinearKinetics) -> Array:
    r"""Time of the peak of one dose in the one-compartment model (h).

    .. math:: T_{max} = T_{lag} + \frac{\ln(k_a/k_e)}{k_a - k_e}

    Valid for two poles without a zero; at equal rates the limit ``1/k_e``.
    """
    fast, slow = kinetics.poles
    gap = (fast - slow) / slow
    near = xp.abs(gap) < 1e-6
    ratio = xp.where(near, 1 - gap / 2, xp.log1p(gap) / xp.where(near, 1, gap))
    return kinetics.lag + ratio / slow
