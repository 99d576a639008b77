"""Export of plasma, brain and receptor as SBML Level 3 Version 1 core, with units; needs the ``sbml`` extra.

Doses are no events (importers differ, and some drop events silently), and no jumps in a rate either (an
integrator can step over those). Plasma is an explicit function of time, each dose's curve from its arrival
on; the brain is one rate rule driven by that continuous curve; everything else follows by assignment rules.
An importing tool must support rate rules, assignment rules, ``piecewise`` and the ``time`` symbol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.errors import DualtraceError, InputError
from dualtrace.mechanism.receptor import CLASSES, CLEAN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualtrace.mechanism.chain import Chain
    from dualtrace.mechanism.dosing import Regimen
    from dualtrace.mechanism.parameters import Lookup

_LEVEL, _VERSION = 3, 1

# unit id: (kind, exponent, scale, multiplier) factors, in SBML's meaning (multiplier 10^scale kind)^exponent
_UNITS: dict[str, tuple[tuple[str, int, int, float], ...]] = {
    "hour": (("second", 1, 0, 3600.0),),
    "per_hour": (("second", -1, 0, 3600.0),),
    "mg": (("gram", 1, -3, 1.0),),
    "litre_per_hour": (("litre", 1, 0, 1.0), ("second", -1, 0, 3600.0)),
    "mg_per_litre": (("gram", 1, -3, 1.0), ("litre", -1, 0, 1.0)),
    "uM": (("mole", 1, -6, 1.0), ("litre", -1, 0, 1.0)),
    "uM_per_mg_per_litre": (("mole", 1, -6, 1.0), ("gram", -1, -3, 1.0)),
}


def _libsbml() -> Any:  # noqa: ANN401  (the library has no types)
    try:
        import libsbml
    except ModuleNotFoundError as error:
        raise DualtraceError("SBML export needs python-libsbml: pip install 'dualtrace[sbml]'") from error
    return libsbml


def write_sbml(chain: Chain, regimen: Regimen, lookup: Lookup) -> str:
    """Write the one-compartment chain of one person under a regimen as SBML text.

    Parameters
    ----------
    chain
        Of :func:`dualtrace.mechanism.chain.build` with the lag structure.
    regimen
        Doses at 0 h or later.
    lookup
        The constants the chain was built with; gives the brain's two.

    Raises
    ------
    InputError
        The plasma model has another structure, a dose lies before 0, or other drugs act.
    DualtraceError
        python-libsbml is not installed.
    """
    if len(chain.plasma.poles) != 2 or chain.plasma.zero is not None:
        raise InputError("SBML is written for the one-compartment model with lag; use --model lag")
    if any(time < 0 for time in regimen.times_h):
        raise InputError(
            f"time in SBML starts at 0; shift the regimen, whose first dose is at {regimen.times_h[0]:g} h"
        )
    if np.any(np.isclose(chain.plasma.poles[0], chain.plasma.poles[1], rtol=1e-6)):
        raise InputError("SBML's formula needs absorption and elimination rates that differ; change one slightly")
    if np.isfinite(chain.channel_ic50_um) or chain.sites_lost > 0 or chain.around != CLEAN:
        raise InputError("SBML holds the drug alone; switch off antagonists and lost sites")
    library = _libsbml()
    document = library.SBMLDocument(_LEVEL, _VERSION)
    model = document.createModel("dualtrace_exposure")
    model.setTimeUnits("hour")
    model.setExtentUnits("mg")
    model.setSubstanceUnits("mg")
    for name, factors in _UNITS.items():
        _add_unit(library, model, name, factors)
    for name, value, unit in _constants(chain, regimen, lookup):
        _add_parameter(model, name, value, unit, constant=True)
    for name, unit, formula in _rates():
        _add_parameter(model, name, 0.0, unit, constant=False)
        _set_math(library, model.createRateRule(), name, formula)
    for name, unit, formula in _assignments(len(regimen.doses)):
        _add_parameter(model, name, None, unit, constant=False)
        _set_math(library, model.createAssignmentRule(), name, formula)
    return str(library.writeSBMLToString(document))


def problems_of(sbml: str) -> tuple[str, ...]:
    """Everything libSBML's full consistency check, units included, says about a document."""
    library = _libsbml()
    document = library.readSBMLFromString(sbml)
    document.checkConsistency()
    return tuple(document.getError(k).getMessage() for k in range(document.getNumErrors()))


def _constants(chain: Chain, regimen: Regimen, lookup: Lookup) -> Iterator[tuple[str, float, str]]:
    absorption, elimination = chain.plasma.poles
    volume = float(np.ravel(absorption / chain.plasma.scale)[0])
    rates = np.broadcast_to(np.asarray(absorption), (len(regimen.doses),))
    yield "CL", float(elimination) * volume, "litre_per_hour"
    yield "V", volume, "litre"
    yield "lag", float(chain.plasma.lag), "hour"
    yield "kp", float(lookup("brain.kp", "1") * lookup("dcs.unbound", "1")), "dimensionless"
    yield "ke0", float(lookup("brain.ke0", "1/h")), "per_hour"
    yield "micromolar", 1000.0 / float(chain.molar_mass), "uM_per_mg_per_litre"
    for number, (dose, rate) in enumerate(zip(regimen.doses, rates, strict=True), start=1):
        yield f"dose_{number}", dose.amount_mg, "mg"
        yield f"time_{number}", dose.time_h, "hour"
        yield f"ka_{number}", float(rate), "per_hour"
    for place, label in enumerate(CLASSES):
        yield f"load_{label}", float(chain.site.load[place]), "dimensionless"
        yield f"weight_{label}", float(chain.site.weight[place]), "dimensionless"
        yield f"k_{label}", float(chain.drug.k[place]), "uM"
        yield f"efficacy_{label}", float(chain.drug.efficacy[place]), "dimensionless"


def _rates() -> Iterator[tuple[str, str, str]]:
    yield "brain", "mg_per_litre", "ke0 * (kp * plasma - brain)"


def _assignments(doses: int) -> Iterator[tuple[str, str, str]]:
    curves = [
        f"piecewise(dose_{j} / V * ka_{j} / (ka_{j} - CL / V) * "
        f"(exp(-CL / V * (time - time_{j} - lag)) - exp(-ka_{j} * (time - time_{j} - lag))), "
        f"time >= time_{j} + lag, 0 mg_per_litre)"
        for j in range(1, doses + 1)
    ]
    yield "plasma", "mg_per_litre", " + ".join(curves) or "0 mg_per_litre"
    yield "brain_uM", "uM", "brain * micromolar"
    for label in CLASSES:
        yield f"bound_{label}", "dimensionless", f"brain_uM / k_{label}"
        whole = f"1 dimensionless + load_{label} + bound_{label}"
        share = f"(load_{label} + efficacy_{label} * bound_{label}) / ({whole})"
        yield f"open_{label}", "dimensionless", share
    now = " + ".join(f"weight_{label} * open_{label}" for label in CLASSES)
    before = " + ".join(f"weight_{label} * load_{label} / (1 dimensionless + load_{label})" for label in CLASSES)
    held = " + ".join(
        f"weight_{label} * bound_{label} / (1 dimensionless + load_{label} + bound_{label})" for label in CLASSES
    )
    yield "occupancy", "dimensionless", held
    yield "gain", "dimensionless", f"({now}) / ({before})"


def _add_unit(library: Any, model: Any, name: str, factors: tuple[tuple[str, int, int, float], ...]) -> None:  # noqa: ANN401
    definition = model.createUnitDefinition()
    definition.setId(name)
    for kind, exponent, scale, multiplier in factors:
        unit = definition.createUnit()
        unit.setKind(library.UnitKind_forName(kind))
        unit.setExponent(exponent)
        unit.setScale(scale)
        unit.setMultiplier(multiplier)


def _add_parameter(model: Any, name: str, value: float | None, unit: str, *, constant: bool) -> None:  # noqa: ANN401
    parameter = model.createParameter()
    parameter.setId(name)
    parameter.setUnits(unit)
    parameter.setConstant(constant)
    if value is not None:
        parameter.setValue(value)


def _set_math(library: Any, rule: Any, name: str, formula: str) -> None:  # noqa: ANN401
    rule.setVariable(name)
    rule.setMath(library.parseL3Formula(formula))
