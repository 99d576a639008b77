"""Reference: ratios that others printed come out of the shipped records, to the printed rounding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from dualtrace.effects.convert import convert
from dualtrace.effects.effect import Effect, Metric
from dualtrace.evidence.load import published_poolings
from dualtrace.evidence.record import Estimand, Timepoint
from dualtrace.pooling.univariate import fit

if TYPE_CHECKING:
    from dualtrace.evidence.record import Trial


def effect_of(trial: Trial, estimand: Estimand, timepoint: Timepoint, ratio: Metric) -> Effect:
    outcomes = [o for o in trial.outcomes if o.estimand is estimand and o.timepoint is timepoint]
    found = [convert(trial, o, ratio=ratio) for o in outcomes]
    exact = [e for e in found if isinstance(e, Effect) and e.is_exact]
    assert len(exact) == 1, f"{trial.id}: one counted effect expected, found {[e.name for e in exact]}"
    return exact[0]


def printed(effect: Effect) -> tuple[float, float, float]:
    assert effect.yi is not None
    low, high = sorted(effect.as_printed(bound) for bound in effect.ci())
    return effect.as_printed(effect.yi), low, high


@pytest.mark.parametrize(
    ("trial", "estimand", "timepoint", "expected", "digits"),
    [
        ("hofmann2013", Estimand.RESPONSE, Timepoint.POST, (1.41, 0.69, 2.87), 2),
        ("hofmann2013", Estimand.REMISSION, Timepoint.POST, (1.63, 0.83, 3.19), 2),
        ("reinecke2020", Estimand.REMISSION, Timepoint.FOLLOWUP, (7.2, 1.54, 33.56), 2),
    ],
)
def test_odds_ratios_come_out_of_the_records(
    evidence: dict[str, Trial],
    trial: str,
    estimand: Estimand,
    timepoint: Timepoint,
    expected: tuple[float, float, float],
    digits: int,
) -> None:
    found = printed(effect_of(evidence[trial], estimand, timepoint, Metric.OR))
    assert found == pytest.approx(expected, abs=0.5 * 10**-digits + 1e-9)


def adverse_event_rows() -> list[tuple[str, float, float, float]]:
    cochrane = next(p for p in published_poolings() if p.id == "ori2015")
    return [
        (value.trial, value.value, *value.ci)
        for value in cochrane.trials
        if value.metric == "RR" and value.value is not None and value.ci is not None and value.trial is not None
    ]


def test_cochrane_prints_six_adverse_event_ratios() -> None:
    assert len(adverse_event_rows()) == 6


@pytest.mark.parametrize(("trial", "ratio", "low", "high"), adverse_event_rows())
def test_cochrane_adverse_event_ratios_come_out_of_the_printed_counts(
    trial: str, ratio: float, low: float, high: float
) -> None:
    from dualtrace.effects import binary

    cochrane = next(p for p in published_poolings() if p.id == "ori2015")
    value = next(v for v in cochrane.trials if v.trial == trial and v.metric == "RR")
    assert value.treatment is not None
    assert value.reference is not None
    counts = (value.treatment.events, value.treatment.n, value.reference.events, value.reference.n)
    table = binary.two_by_two(*(float(c) for c in counts if c is not None))
    estimate, variance = (float(x) for x in binary.log_risk_ratio(table))
    found = np.exp([estimate, estimate - 1.959964 * variance**0.5, estimate + 1.959964 * variance**0.5])
    half_units = [0.5 * 10.0 ** -_decimals(x) for x in (ratio, low, high)]
    assert np.all(np.abs(found - [ratio, low, high]) <= np.array(half_units) + 1e-9), found


def _decimals(printed_number: float) -> int:
    return min(2, len(f"{printed_number:g}".partition(".")[2])) or 0


@pytest.mark.parametrize(
    "trial", ["kushner2007", "storch2007", "scheeringa2014", "cameron2005", "hofmann2006", "sheerin2014"]
)
def test_adverse_event_counts_in_the_trial_records_agree_with_cochrane(
    evidence: dict[str, Trial], trial: str
) -> None:
    expected = {row[0]: row[1:] for row in adverse_event_rows()}[trial]
    found = printed(effect_of(evidence[trial], Estimand.ADVERSE_EVENT, Timepoint.POST, Metric.RR))
    assert found == pytest.approx(expected, abs=0.0051)


def test_child_remission_risk_ratio_of_cochrane_comes_out_of_two_records(evidence: dict[str, Trial]) -> None:
    effects = [
        effect_of(evidence[trial], Estimand.REMISSION, Timepoint.POST, Metric.RR)
        for trial in ("farrell2013", "mataixcols2014")
    ]
    pooled = fit([e.yi for e in effects], [e.vi for e in effects], method="DL")
    found = np.exp([pooled.beta[0], pooled.ci_lb[0], pooled.ci_ub[0]])
    assert found == pytest.approx([1.19, 0.66, 2.16], abs=0.005)
