"""Findings made by hand: three trials, two accounts, no fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.calibration.findings import (
    Account,
    Curve,
    Findings,
    Influence,
    OnTrace,
    Parameter,
    PointsCheck,
    PriorCheck,
    Provenance,
    Row,
)
from dualtrace.calibration.identifiability import read_off

if TYPE_CHECKING:
    from collections.abc import Sequence

TRIALS = ("otto2010", "otto2016", "hofmann2013", "smits2020")
BAND = (-0.1, 0.0, 0.1, 0.2, 0.3)


def rows() -> tuple[Row, ...]:
    """A number, an interval, a direction, a log odds ratio, a change with placebo and a moderator."""
    shared: dict[str, Any] = {"timepoint": "post", "standard": "score", "se": 0.2, "disorder": "PD"}
    otto = shared | {"label": "Otto 2010", "trial": "otto2010", "year": 2010}
    hofmann = shared | {"label": "Hofmann 2013", "trial": "hofmann2013", "year": 2013, "disorder": "SAD"}
    smits = shared | {"label": "Smits 2020", "trial": "smits2020", "year": 2020, "disorder": "SAD"}
    return (
        Row(**otto, kind="number", estimate=0.5),
        Row(**otto | {"kind": "placebo", "standard": "placebo"}, estimate=1.2),
        Row(**otto | {"trial": "otto2016", "label": "Otto 2016", "year": 2016}, kind="direction", lower=0.0),
        Row(**hofmann, kind="interval", lower=-0.4, upper=0.4),
        Row(**hofmann | {"kind": "moderator", "standard": "end_of_session_fear", "se": 1.0}, upper=-1.96),
        Row(**smits | {"timepoint": "followup"}, kind="number", estimate=0.9),
        Row(**smits | {"standard": "response"}, kind="number", estimate=1.1),
    )


def parameter(name: str, contraction: float, sensitivity: float = 0.01) -> Parameter:
    """A constant with that much contraction."""
    return Parameter(
        name=name,
        prior=(0.3, 1.0, 3.0),
        posterior=(0.5, 1.0, 2.0),
        contraction=contraction,
        sensitivity=sensitivity,
        rhat=1.001,
        ess=900.0,
    )


def account(name: str, elpd: Sequence[float], **changes: Any) -> Account:
    """An account that passed its checks."""
    given: dict[str, Any] = {
        "name": name,
        "failures": (),
        "divergences": 0,
        "chains": 4,
        "sampled_again": 0,
        "elpd": tuple(elpd),
        "pareto_k": (0.1, 0.2, None, 0.3),
        "left_out_failures": (),
        "newest_elpd": (-1.0,),
        "newest_failures": (),
        "parameters": (parameter("calibration.strength", 0.4), parameter("tolerance.jump", 0.02, 0.2)),
        "predicted": (BAND,) * len(rows()),
        "newest_predicted": (BAND,) * 2,
        "prior_check": PriorCheck(draws=200, numbers=3, within=3, intervals=2, met=2),
    }
    return Account(**given | changes)


def curves() -> tuple[Curve, ...]:
    """A curve of each setting."""
    shared: dict[str, Any] = {"disorder": "SAD"}
    return (
        Curve(**shared, setting="dose_mg", x=(0.0, 50.0, 500.0), bands=((0.0,) * 5, BAND, BAND)),
        Curve(**shared, setting="minutes", x=(-60.0, 0.0, 15.0), bands=(BAND,) * 3),
        Curve(**shared, setting="augmented", x=(0.0, 1.0), bands=((0.0,) * 5, BAND)),
        Curve(**shared, setting="end_fear", x=(5.0, 15.0, 25.0), bands=(BAND, None, BAND), shares=(0.5, 0.0, 0.5)),
    )


def findings(mine: Sequence[float] = (-1.0, -1.0, -1.0, -1.0), **changes: Any) -> Findings:
    """Findings in which the dual trace has these densities and meta-regression -1.2, -1.1, -1.0, -0.9."""
    own = {name: changes.pop(name) for name in ("failures", "left_out_failures", "pareto_k") if name in changes}
    influences = tuple(
        Influence(
            left_out=trial,
            shift=0.1,
            most="tolerance.jump",
            most_shift=-0.2,
            pareto_k=None if trial == "smits2020" else 0.3,
            effective=800.0,
        )
        for trial in TRIALS
    )
    given: dict[str, Any] = {
        "provenance": Provenance(
            dualtrace="0.1.0",
            model="c" * 64,
            trials="t" * 64,
            method="nuts",
            points=32,
            seed=1,
            chains=4,
            warmup=500,
            draws=500,
            since=2019,
        ),
        "trials": TRIALS,
        "newest": ("smits2020",),
        "laboratories": {"otto": ("otto2010", "otto2016"), "hofmann": ("hofmann2013",), "smits": ("smits2020",)},
        "rows": rows(),
        "accounts": (account("disorder", (-1.2, -1.1, -1.0, -0.9)), account("dual_trace", mine, **own)),
        "points": (PointsCheck(points=32, largest=0.004, median=0.001, largest_in_se=0.02),),
        "identified": read_off(
            np.array([[3.0, 0.0], [0.0, 0.5]]), ["calibration.strength", "tolerance.jump"], draws=8
        ),
        "by_trial": influences,
        "by_kind": (influences[0].model_copy(update={"left_out": "number"}),),
        "traces": tuple(
            OnTrace(trace=trace, disorder="SAD", prior=BAND, posterior=BAND) for trace in ("safety", "threat")
        ),
        "curves": curves(),
    }
    return Findings(**given | changes)
