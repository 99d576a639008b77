"""Imaginary trials for curves of the drug's effect: the usual course of a disorder, one thing changed at a time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, final

from dualtrace.simulation.arm import PLACEBO, ProtocolArm
from dualtrace.simulation.defaults import clinical_defaults
from dualtrace.simulation.plan import Plan, plan_of
from dualtrace.simulation.protocol import Protocol

if TYPE_CHECKING:
    from dualtrace.evidence.record import Disorder
    from dualtrace.simulation.defaults import ClinicalDefaults

AGENT = "d-cycloserine"
DOSES_MG = (0.0, 10.0, 25.0, 50.0, 100.0, 150.0, 250.0, 350.0, 500.0)
"""Doses of the curve; 0 is placebo."""

MINUTES = (-240.0, -180.0, -120.0, -90.0, -60.0, -30.0, 0.0, 15.0, 30.0, 60.0)
"""Times of the capsule: up to 0 before the session's start, above 0 after its end."""


class Setting(StrEnum):
    """What is changed along a curve."""

    DOSE = "dose_mg"
    MINUTES = "minutes"
    AUGMENTED = "augmented"
    END_FEAR = "end_fear"


@final
@dataclass(frozen=True, slots=True, eq=False)
class Imagined:
    """The imaginary trial of one disorder.

    Attributes
    ----------
    disorder
        Which.
    plan
        One placebo arm, the usual arm, then one arm for each point of each curve that is not placebo.
    points
        Of the curves over dose, minutes and number of augmented sessions: value, and place of its arm in the plan.
    """

    disorder: Disorder
    plan: Plan
    points: dict[Setting, tuple[tuple[float, int], ...]]


USUAL = 1
"""Place of the usual arm in the plan; placebo is at 0."""


def imagined(disorder: Disorder) -> Imagined:
    """Lay out the usual adult course of a disorder (``clinical_defaults.yaml``) and its variants.

    The drug is given at all sessions with exposures, unless their number is what is changed: then at the first ones.
    """
    usual = clinical_defaults(disorder)
    first, total = int(usual.number("introduction")), int(usual.number("sessions"))
    exposed = list(range(first + 1, total + 1))
    arms = [_arm("placebo", agent=PLACEBO), _drug("usual", usual)]
    points: dict[Setting, tuple[tuple[float, int], ...]] = {}
    for setting, values in (
        (Setting.DOSE, DOSES_MG),
        (Setting.MINUTES, MINUTES),
        (Setting.AUGMENTED, tuple(float(k) for k in range(len(exposed) + 1))),
    ):
        found = []
        for i, value in enumerate(values):
            nothing = value == 0 and setting is not Setting.MINUTES
            found.append((value, 0 if nothing else len(arms)))
            if not nothing:
                arms.append(_drug(f"{setting.value}_{i}", usual, **_changed(setting, value, exposed)))
        points[setting] = tuple(found)
    return Imagined(disorder, plan_of(_protocol(disorder, usual, arms, first, total)), points)


def _changed(setting: Setting, value: float, exposed: list[int]) -> dict[str, Any]:
    if setting is Setting.DOSE:
        return {"dose_mg": value}
    if setting is Setting.MINUTES:
        return {"give": "after" if value > 0 else "before", "minutes": abs(value)}
    return {"sessions": exposed[: int(value)]}


def _drug(name: str, usual: ClinicalDefaults, **changes: Any) -> ProtocolArm:  # noqa: ANN401
    given = {"dose_mg": usual.number("dose_mg"), "give": "before", "minutes": usual.number("minutes_before")}
    return _arm(name, agent=AGENT, **given | changes)


def _arm(name: str, **given: Any) -> ProtocolArm:  # noqa: ANN401
    return ProtocolArm.model_validate({"id": name, "label": name, **given})


def _protocol(
    disorder: Disorder, usual: ClinicalDefaults, arms: list[ProtocolArm], first: int, total: int
) -> Protocol:
    minutes, share = usual.number("minutes"), usual.number("exposure_share")
    each = min(usual.number("exposure_minutes"), share * minutes)
    session = {"minutes": minutes, "exposures": max(1, round(share * minutes / each)), "exposure_minutes": each}
    blocks = [{"count": total - first, **session}]
    if first:
        blocks.insert(0, {"count": first, "minutes": minutes, "exposures": 0})
    scale = list(usual.instruments[:1])
    after = {"id": "post", "timepoint": "post", "weeks_after_last": usual.number("post_weeks"), "instruments": scale}
    return Protocol.model_validate(
        {
            "id": f"imagined_{disorder.value.lower()}",
            "title": "An imaginary trial",
            "disorder": disorder,
            "patients": len(arms),
            "arms": arms,
            "therapy": {"every_days": usual.number("every_days"), "sessions": blocks},
            "assessments": [{"id": "baseline", "timepoint": "baseline", "instruments": scale}, after],
        }
    )
