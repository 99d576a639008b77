"""Laws of the conversions: routes that must agree, symmetries, limits."""

from __future__ import annotations

from math import exp, inf, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import gamma

from dualtrace.effects import binary, continuous, partial
from dualtrace.effects.combine import combine_shared_reference, covariance
from dualtrace.effects.convert import convert
from dualtrace.effects.effect import Effect, Information, Metric, NoEffect
from dualtrace.effects.select import between_arms, every_comparison
from dualtrace.errors import InputError
from dualtrace.evidence.record import Trial

if TYPE_CHECKING:
    from collections.abc import Callable

sizes = st.integers(5, 200)
spreads = st.floats(0.5, 20)
means = st.floats(-30, 30)


def trial(good_record: str, change: Callable[[dict[str, Any]], None]) -> Trial:
    content = yaml.safe_load(good_record)
    change(content)
    return Trial.model_validate(content)


def with_report(good_record: str, **report: object) -> Effect | NoEffect:
    def change(content: dict[str, Any]) -> None:
        content["outcomes"][0]["reported"] = [{"source": "paper", "where": "page 1", "obtained": "read", **report}]

    changed = trial(good_record, change)
    return convert(changed, changed.outcomes[0])


def exact(found: Effect | NoEffect) -> Effect:
    assert isinstance(found, Effect), found
    assert found.is_exact
    return found


def value(found: Effect | NoEffect) -> float:
    yi = exact(found).yi
    assert yi is not None
    return yi


@given(df=st.floats(2, 500))
def test_hedges_correction_is_the_gamma_ratio_and_tends_to_one(df: float) -> None:
    if df < 300:
        expected = gamma(df / 2) / (sqrt(df / 2) * gamma((df - 1) / 2))
        assert continuous.hedges_correction(df) == pytest.approx(expected, rel=1e-10)
    assert abs(1 - 3 / (4 * df - 1) - float(continuous.hedges_correction(df))) < 0.03
    assert continuous.hedges_correction(1e7) == pytest.approx(1, abs=1e-6)


@given(m1=means, m2=means, s1=spreads, s2=spreads, n1=sizes, n2=sizes)
def test_d_of_means_is_the_d_of_their_t_test(m1: float, m2: float, s1: float, s2: float, n1: int, n2: int) -> None:
    sd = float(continuous.pooled_sd(s1, n1, s2, n2))
    t = stats.ttest_ind_from_stats(m1, s1, n1, m2, s2, n2).statistic
    assert (m1 - m2) / sd == pytest.approx(float(continuous.d_from_t(t, n1, n2)), rel=1e-9, abs=1e-12)


@given(t=st.floats(0.01, 8), n1=sizes, n2=sizes)
def test_t_p_r_and_eta_squared_of_one_comparison_give_one_d(t: float, n1: int, n2: int) -> None:
    df = n1 + n2 - 2
    p = 2 * stats.t.sf(t, df)
    r = t / sqrt(t**2 + df)
    eta2 = t**2 / (t**2 + df)
    assert continuous.t_from_p(p, df) == pytest.approx(t, rel=1e-6)
    assert continuous.t_from_r(r, df) == pytest.approx(t, rel=1e-9)
    assert np.sqrt(continuous.f_from_eta_squared(eta2, df)) == pytest.approx(t, rel=1e-9)


@given(mean=means, sd=spreads, n=sizes)
def test_sd_from_the_interval_of_a_mean_is_the_sd(mean: float, sd: float, n: int) -> None:
    half = stats.t.ppf(0.975, n - 1) * sd / sqrt(n)
    assert continuous.sd_from_ci(mean - half, mean + half, n) == pytest.approx(sd, rel=1e-9)


@given(d=st.floats(-3, 3), v=st.floats(0.001, 2))
def test_d_and_log_odds_ratio_are_inverse(d: float, v: float) -> None:
    there = binary.log_odds_ratio_from_d(d, v)
    assert binary.d_from_log_odds_ratio(*there) == pytest.approx((d, v), rel=1e-12)


@given(a=st.integers(0, 20), b=st.integers(0, 20), n1=st.integers(20, 60), n2=st.integers(20, 60))
def test_swapping_the_arms_turns_the_sign_and_keeps_the_variance(a: int, b: int, n1: int, n2: int) -> None:
    one, two = binary.two_by_two(a, n1, b, n2), binary.two_by_two(b, n2, a, n1)
    for estimator in (binary.log_odds_ratio, binary.log_risk_ratio, binary.risk_difference):
        (y1, v1), (y2, v2) = estimator(one), estimator(two)
        assert y1 == pytest.approx(-y2, abs=1e-12)
        assert v1 == pytest.approx(v2, rel=1e-12)


def test_an_empty_cell_adds_half_to_all_four_and_only_then() -> None:
    full, empty = binary.two_by_two(3, 10, 2, 10), binary.two_by_two(0, 10, 2, 10)
    assert full.continuity_corrected() == full
    corrected = empty.continuity_corrected()
    cells = (corrected.events1, corrected.n1, corrected.events2, corrected.n2)
    assert [float(x) for x in cells] == [0.5, 11, 2.5, 11]


def test_no_ratio_from_a_table_without_events(good_record: str) -> None:
    def change(content: dict[str, Any]) -> None:
        content["outcomes"][1]["reported"][0] |= {
            "treatment": {"n": 20, "events": 0},
            "reference": {"n": 20, "events": 0},
        }

    changed = trial(good_record, change)
    for ratio in (Metric.OR, Metric.RR):
        found = convert(changed, changed.outcomes[1], ratio=ratio)
        assert isinstance(found, NoEffect)
        assert "no participant or every participant" in found.reason
    assert value(convert(changed, changed.outcomes[1], ratio=Metric.RD)) == 0.0


def test_every_route_from_one_comparison_gives_one_effect(good_record: str) -> None:
    sd = float(continuous.pooled_sd(12, 20, 14, 20))
    d = 6 / sd
    t = d / sqrt(2 / 20)
    p = float(2 * stats.t.sf(t, 38))
    g = value(
        with_report(
            good_record,
            kind="means",
            treatment={"n": 20, "mean": 40, "sd": 12},
            reference={"n": 20, "mean": 46, "sd": 14},
        )
    )
    se = {"n": 20, "mean": 40, "se": 12 / sqrt(20)}, {"n": 20, "mean": 46, "se": 14 / sqrt(20)}
    half = [stats.t.ppf(0.975, 19) * s / sqrt(20) for s in (12, 14)]
    ci = (
        {"n": 20, "mean": 40, "ci": [40 - half[0], 40 + half[0]]},
        {"n": 20, "mean": 46, "ci": [46 - half[1], 46 + half[1]]},
    )
    routes = [
        with_report(good_record, kind="means", treatment=se[0], reference=se[1]),
        with_report(good_record, kind="means", treatment=ci[0], reference=ci[1]),
        with_report(good_record, kind="smd", metric="d", value=d, favours="treatment"),
        with_report(good_record, kind="smd", metric="d", value=-d, favours="treatment"),
        with_report(good_record, kind="smd", metric="g", value=g, favours="treatment"),
        with_report(good_record, kind="test", statistic="t", value=t, df=[38], favours="treatment"),
        with_report(good_record, kind="test", statistic="F", value=t**2, df=[1, 38], favours="treatment"),
        with_report(good_record, kind="test", statistic="chi2", value=t**2, df=[1], favours="treatment"),
        with_report(good_record, kind="test", statistic="r", value=t / sqrt(t**2 + 38), favours="treatment"),
        with_report(good_record, kind="eta_squared", partial=True, value=t**2 / (t**2 + 38), favours="treatment"),
        with_report(good_record, kind="p_value", p=p, favours="treatment"),
        with_report(good_record, kind="difference", value=-6, se=6 / t),
        with_report(good_record, kind="regression", b=-6, ci=[-6 - 1.959963984540054 * 6 / t, -6 + 1.959963984540054 * 6 / t]),
    ]  # fmt: skip
    assert [value(route) for route in routes] == pytest.approx([g] * len(routes), rel=1e-9)
    assert {round(exact(route).vi, 12) for route in routes} == {round(exact(routes[0]).vi, 12)}


def test_positive_favours_the_drug_whatever_way_the_scale_runs(good_record: str) -> None:
    arms = {"treatment": {"n": 20, "mean": 60, "sd": 12}, "reference": {"n": 20, "mean": 50, "sd": 12}}

    def on(scale: str) -> float:
        def change(content: dict[str, Any]) -> None:
            content["outcomes"][0]["instruments"] = [scale]
            content["outcomes"][0]["reported"][0] |= arms

        changed = trial(good_record, change)
        return value(convert(changed, changed.outcomes[0]))

    assert on("CGAS") > 0  # functioning: higher is better
    assert on("LSAS") < 0
    assert on("CGAS") == pytest.approx(-on("LSAS"))


def test_an_unwanted_event_counts_against_the_arm_that_has_more_of_it(good_record: str) -> None:
    def change(content: dict[str, Any]) -> None:
        content["outcomes"][1] |= {"estimand": "adverse_event"}

    benefit, harm = trial(good_record, lambda _: None), trial(good_record, change)
    one, two = convert(benefit, benefit.outcomes[1]), convert(harm, harm.outcomes[1])
    assert value(one) == pytest.approx(-value(two))
    assert exact(two).as_printed(value(two)) == pytest.approx(exp(value(one)))


@pytest.mark.parametrize(
    ("report", "low", "high", "information"),
    [
        ({"kind": "p_value", "p": "<0.05", "favours": "treatment"}, 1.959964, inf, Information.INTERVAL),
        ({"kind": "p_value", "p": "<0.001", "favours": "reference"}, -inf, -3.290527, Information.INTERVAL),
        ({"kind": "p_value", "p": ">0.1"}, -1.644854, 1.644854, Information.INTERVAL),
        ({"kind": "p_value", "p": 0.14}, -1.475791, 1.475791, Information.INTERVAL),
        ({"kind": "verbal", "significance": "not_significant"}, -1.959964, 1.959964, Information.INTERVAL),
        ({"kind": "verbal", "significance": "not_significant", "favours": "treatment"}, 0, 1.959964, Information.INTERVAL),
        ({"kind": "verbal", "significance": "significant", "favours": "reference"}, -inf, -1.959964, Information.INTERVAL),
        ({"kind": "verbal", "significance": "unstated", "favours": "treatment"}, 0, inf, Information.DIRECTION),
    ],
)  # fmt: skip
def test_words_become_the_interval_of_z_they_imply(
    good_record: str, report: dict[str, object], low: float, high: float, information: Information
) -> None:
    found = with_report(good_record, **report)
    assert isinstance(found, Effect)
    assert found.yi is None
    assert (found.lower / found.se, found.upper / found.se) == pytest.approx((low, high), abs=1e-6)
    assert found.se == pytest.approx(float(continuous.hedges_correction(38)) * sqrt(2 / 20))
    assert found.information is information


def test_words_are_read_at_the_level_the_source_states(good_record: str) -> None:
    found = with_report(good_record, kind="verbal", significance="not_significant", significance_level=0.025)
    assert isinstance(found, Effect)
    assert found.upper / found.se == pytest.approx(stats.norm.ppf(1 - 0.0125), abs=1e-9)
    assert "0.025" in found.steps[2]


def test_a_count_stands_for_a_trial_without_severity_only_where_that_is_asked_for(evidence: dict[str, Trial]) -> None:
    severity = {e.trial for e in between_arms(evidence.values(), outcome="severity_mixed").effects}
    benefit = between_arms(evidence.values(), outcome="benefit_mixed")
    assert severity < {e.trial for e in benefit.effects}
    assert {e.metric for e in benefit.effects} == {Metric.SMD}
    counted = {e.trial: e for e in benefit.effects}["hofmann2013"]
    odds = {e.trial: e for e in between_arms(evidence.values(), outcome="response").effects}["hofmann2013"]
    assert counted.yi is not None
    assert odds.yi is not None
    assert counted.yi == pytest.approx(odds.yi * sqrt(3) / np.pi)
    assert counted.vi == pytest.approx(odds.vi * 3 / np.pi**2)


def test_words_that_determine_nothing_give_no_effect(good_record: str) -> None:
    for report in (
        {"kind": "verbal", "significance": "significant"},
        {"kind": "verbal", "favours": "neither"},
        {"kind": "p_value", "p": "<0.05"},
    ):
        assert isinstance(with_report(good_record, **report), NoEffect)


def test_the_interval_of_an_exact_p_holds_the_effect_of_that_p(good_record: str) -> None:
    known = value(with_report(good_record, kind="p_value", p=0.14, favours="treatment"))
    bounded = with_report(good_record, kind="p_value", p=">0.1")
    assert isinstance(bounded, Effect)
    assert bounded.lower < known < bounded.upper


def test_missing_arm_sizes_are_shared_out_and_the_assumption_is_recorded(good_record: str) -> None:
    def change(content: dict[str, Any]) -> None:
        for arm in content["design"]["arms"]:
            del arm["n_randomized"]
        content["outcomes"][0]["reported"] = [
            {
                "kind": "verbal",
                "significance": "not_significant",
                "source": "paper",
                "where": "p 1",
                "obtained": "read",
            }
        ]

    changed = trial(good_record, change)
    found = convert(changed, changed.outcomes[0])
    assert isinstance(found, Effect)
    assert (found.n_treatment, found.n_reference) == (20, 20)
    assert any("shared equally" in text for text in found.assumptions)


def test_no_participants_reported_gives_a_reason_not_a_number(good_record: str) -> None:
    def change(content: dict[str, Any]) -> None:
        del content["design"]["n_randomized"]
        for arm in content["design"]["arms"]:
            del arm["n_randomized"]
        content["outcomes"][0]["reported"] = [
            {
                "kind": "smd",
                "value": 0.4,
                "favours": "treatment",
                "source": "paper",
                "where": "p 1",
                "obtained": "read",
            }
        ]

    changed = trial(good_record, change)
    found = convert(changed, changed.outcomes[0])
    assert isinstance(found, NoEffect)
    assert "no number of participants" in found.reason


def test_arms_that_share_placebo_combine_to_the_mean_with_the_shared_part_kept(evidence: dict[str, Trial]) -> None:
    effects = [e for e in every_comparison(evidence["smits2020"]) if isinstance(e, Effect) and e.is_exact]
    followup = [e for e in effects if e.timepoint == "followup"]
    assert len(followup) == 2
    together = combine_shared_reference(followup)
    assert together.yi is not None
    assert min(e.yi or 0 for e in followup) <= together.yi <= max(e.yi or 0 for e in followup)
    v = covariance(followup)
    assert v[0, 1] / sqrt(v[0, 0] * v[1, 1]) == pytest.approx(0.5, abs=0.05)  # equal arms share half their variance
    independent = 1 / sum(1 / e.vi for e in followup)
    assert independent < together.vi < min(e.vi for e in followup)


def test_combining_identical_arms_equals_the_comparison_with_the_arms_taken_together(good_record: str) -> None:
    base = exact(with_report(good_record, kind="smd", metric="g", value=1e-9, favours="treatment"))
    together = combine_shared_reference([base, base])
    assert together.vi == pytest.approx(1 / 40 + 1 / 20, rel=1e-6)


def test_combining_refuses_effects_that_differ(good_record: str) -> None:
    one = exact(with_report(good_record, kind="smd", value=0.4, favours="treatment"))
    words = with_report(good_record, kind="verbal", favours="treatment")
    assert isinstance(words, Effect)
    with pytest.raises(ValueError, match="must be exact and alike"):
        combine_shared_reference([one, words])


def test_only_like_stands_with_like_unless_a_mixture_is_asked_for(evidence: dict[str, Trial]) -> None:
    for outcome in ("severity", "change", "growth_model", "response", "remission"):
        assert not between_arms(evidence.values(), outcome=outcome).mixed
    assert between_arms(evidence.values(), outcome="severity_mixed").mixed
    severity = between_arms(evidence.values(), outcome="severity", timepoint="followup")
    assert "smits2020" not in {e.trial for e in severity.effects}  # a growth-model d is no post-treatment SMD


def test_one_effect_per_trial_and_every_trial_accounted_for(evidence: dict[str, Trial]) -> None:
    for outcome in ("severity", "severity_mixed", "remission"):
        found = between_arms(evidence.values(), outcome=outcome)
        seen = [e.trial for e in found.effects] + [e.trial for e in found.left_out]
        assert sorted(seen) == sorted(evidence)


def test_the_choice_of_outcome_does_not_depend_on_results(good_record: str) -> None:
    reports = [
        {"kind": "smd", "value": 2.0, "favours": "treatment"},
        {"kind": "smd", "value": 2.0, "favours": "reference"},
        {"kind": "verbal", "significance": "not_significant"},
        {"kind": "p_value", "p": "<0.001", "favours": "treatment"},
    ]
    chosen = set()
    for one in reports:
        for two in reports:

            def change(content: dict[str, Any], one: object = one, two: object = two) -> None:
                place = {"source": "paper", "where": "p 1", "obtained": "read"}
                first = content["outcomes"][0]
                second = first | {"id": "spai_post", "measure": "SPAI", "instruments": ["SPAI"]}
                first["reported"], second["reported"] = [place | one], [place | two]  # type: ignore[operator]
                content["outcomes"] = [second, first]

            found = between_arms([trial(good_record, change)])
            chosen.add(found.effects[0].outcome)
    assert chosen == {"lsas_post"}


def test_every_effect_tells_how_it_was_obtained(evidence: dict[str, Trial]) -> None:
    effects = [e for t in evidence.values() for e in every_comparison(t) if isinstance(e, Effect)]
    assert len(effects) > 100
    for effect in effects:
        assert len(effect.steps) >= 3, effect.name
        assert effect.steps[0].split()[0] in {"read", "derived", "secondary"}
        text = effect.explain()
        assert effect.label in text
        assert all(assumption in text for assumption in effect.assumptions)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"outcome": "happiness"}, "outcome must be one of severity, .*given 'happiness'"),
        ({"timepoint": "never"}, "timepoint must be one of baseline, mid, post, followup; given 'never'"),
        ({"ratio": "HR"}, "ratio must be one of SMD, OR, RR, RD; given 'HR'"),
    ],
)
def test_unknown_choices_are_refused_with_the_known_ones(options: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        between_arms([], **options)  # type: ignore[arg-type]


def test_critical_z_is_the_normal_quantile() -> None:
    assert partial.critical_z(0.05) == pytest.approx(stats.norm.ppf(0.975), rel=1e-12)
