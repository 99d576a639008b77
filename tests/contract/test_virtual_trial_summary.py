"""The summary of a virtual trial: every number held against the tables it is taken from, and its figures."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from dualtrace.analysis.ancova import ancova
from dualtrace.analysis.effect_line import Crossing
from dualtrace.effects.convert import convert
from dualtrace.effects.effect import Effect
from dualtrace.errors import InputError
from dualtrace.report.figures.benefit import BenefitSpec
from dualtrace.report.figures.lines import LinesSpec, Series, Style
from dualtrace.report.figures.virtual_trial import (
    benefit_spec,
    by_fear_spec,
    effect_spec,
    figures,
    severity_spec,
    suds_spec,
)
from dualtrace.simulation import load
from dualtrace.simulation.published import Published, PublishedEffect, PublishedMean
from dualtrace.simulation.summary import Summary, summarise
from dualtrace.simulation.summary_text import sign_change
from dualtrace.simulation.unseen import LEVELS
from dualtrace.simulation.virtual_trial import VirtualTrial

if TYPE_CHECKING:
    from dualtrace.analysis.effect_line import Kind
    from dualtrace.report.figures.style import Width

DPI = 200
SLACK = 0.012 * DPI
PUBLISHED = Published(
    "Someone 2024",
    (PublishedMean("dcs", 0.0, 30, 80.0, 20.0), PublishedMean("dcs", 4.0, 28, 55.0, math.nan)),
    (PublishedEffect("dcs", 4.0, 0.4, -0.1, 0.9),),
)


@pytest.fixture(scope="module")
def summary(small_trial: VirtualTrial) -> Summary:
    return summarise(small_trial)


def test_scores_are_those_of_the_patient_table(small_trial: VirtualTrial, summary: Summary) -> None:
    table = small_trial.patient_table
    assert len(summary.scores) == 2 * (4 + 2)
    for one in summary.scores:
        values = table[f"{one.scale}_{one.visit}"][table["arm"] == one.arm].astype(float)
        there = values[np.isfinite(values)]
        assert one.n == there.size
        assert one.mean == pytest.approx(there.mean(), rel=1e-9)
        assert one.sd == pytest.approx(there.std(ddof=1), rel=1e-6)


def test_fear_is_that_of_the_session_table_and_absent_without_exposures(
    small_trial: VirtualTrial, summary: Summary
) -> None:
    table = small_trial.session_table
    for one in summary.sessions:
        mine = (table["arm"] == one.arm) & (table["session"] == one.session)
        if one.session == 1:
            assert one.n == 0
            assert math.isnan(one.start)
        else:
            assert one.n == mine.sum()
            assert one.end == pytest.approx(table["end"][mine].mean(), rel=1e-9)
            assert one.start_sd == pytest.approx(table["start"][mine].std(ddof=1), rel=1e-6)


def test_arms_count_those_who_left_and_what_was_swallowed(small_trial: VirtualTrial, summary: Summary) -> None:
    table = small_trial.patient_table
    for arm in summary.arms:
        mine = table["arm"] == arm.arm
        assert arm.n == mine.sum() == 200
        assert arm.left == np.isnan(table["LSAS_post"][mine].astype(float)).sum()
        assert arm.capsules == pytest.approx(table["capsules"][mine].mean())
        assert arm.sessions == pytest.approx(table["sessions"][mine].mean())
    assert [arm.is_reference for arm in summary.arms] == [False, True]
    assert math.isnan(summary.arms[1].boost)


def test_differences_are_those_of_published_records(small_trial: VirtualTrial, summary: Summary) -> None:
    effects = {outcome.id: convert(small_trial.record, outcome) for outcome in small_trial.record.outcomes}
    one = next(one for one in summary.compared if one.visit == "post" and one.estimand == "post_difference")
    effect = effects["dcs_lsas_post_post_difference"]
    assert isinstance(effect, Effect)
    assert (one.estimate, one.ci_lb, one.ci_ub) == (effect.yi, *effect.ci())
    odds = next(one for one in summary.compared if one.visit == "post" and one.estimand == "response")
    effect = effects["dcs_lsas_post_response"]
    assert isinstance(effect, Effect)
    assert effect.yi is not None
    assert odds.estimate == pytest.approx(math.exp(effect.yi))
    assert odds.ci_lb < odds.estimate < odds.ci_ub


def test_what_no_trial_sees_is_that_of_the_true_scores(small_trial: VirtualTrial, summary: Summary) -> None:
    table, (one,) = small_trial.patient_table, summary.unseen
    for at in one.visits:
        placebo, drug = (table[f"true_{at.visit}_{arm}"].astype(float) for arm in ("placebo", "dcs"))
        gain = (placebo - drug) / summary.primary_sd
        assert at.mean == pytest.approx(gain.mean(), abs=1e-12)
        assert at.sd == pytest.approx(gain.std(), abs=1e-9)
        assert at.better == pytest.approx((gain >= 0.1).mean())
        assert at.worse == pytest.approx((gain <= -0.1).mean())
        if at.visit == summary.treatment_end:
            assert one.quantiles == pytest.approx(tuple(np.quantile(gain, LEVELS)))
    assert sum(one.histogram) == summary.patients
    assert one.visits[0].mean != 0


def test_analyses_are_made_on_the_patients_and_named(small_trial: VirtualTrial, summary: Summary) -> None:
    table = small_trial.patient_table
    found = {one.key: one for one in summary.analyses}
    assert set(found) == {"ancova", "mmrm", "response", "remission", "sessions_dcs", "moderation_dcs"}
    assert [one.refused for one in found.values()] == [""] * 6
    own = ancova(table["LSAS_post"], table["LSAS_baseline"], table["arm"], reference="placebo")
    assert found["ancova"].result.estimate == pytest.approx(own.estimate)
    assert found["mmrm"].visits == ("half", "post", "month_3")
    failures = found["response"].result
    assert failures.n.tolist() == [200, 200]
    assert found["sessions_dcs"].result.patients <= 400


def test_text_says_what_is_simulated_assumed_and_not_advice(summary: Summary) -> None:
    text = str(summary)
    for words in (
        "400 patients, memory model dual_trace, seed 3, float64",
        "24 of 24 constants of the clinic",
        "no person was treated",
        "not medical advice",
        "WHAT NO TRIAL SEES",
        "sign",
        "analysis of covariance at post",
    ):
        assert words in " ".join(text.split()), words
    assert "nan" not in text


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (29.4, "its sign changes at 29 SUDS (CI 10 to 60)"),
        (-5.0, "no change of sign is estimated between 0 and 100 SUDS (CI -20 to 60)"),
        (-63.0, "no change of sign is estimated between 0 and 100 SUDS (CI not bounded)"),
        (math.inf, "no change of sign is estimated between 0 and 100 SUDS (CI not bounded)"),
    ],
)
def test_a_change_of_sign_is_told_on_the_scale_of_distress_alone(at: float, words: str) -> None:
    held = words.endswith("60)")
    low, high = (10.0 if at > 0 else -20.0, 60.0) if held else (-math.inf, math.inf)
    kind: Kind = "interval" if held else "everywhere"
    assert sign_change(Crossing(at=at, kind=kind, lower=low, upper=high, slope=1.0, level=0.95)) == words


def test_json_holds_everything_and_no_nan(summary: Summary) -> None:
    content = json.loads(json.dumps(summary.to_dict(), allow_nan=False))
    assert content["unseen"][0]["visits"][1]["mean"] == summary.unseen[0].visits[1].mean
    assert content["sessions"][0]["start"] is None
    crossing = next(one for one in content["analyses"] if one["key"] == "sessions_dcs")["result"]["crossing"]
    assert crossing["kind"] in {"interval", "outside", "everywhere"}


def test_too_many_patients_leave_sums_and_say_so(small_trial: VirtualTrial, summary: Summary) -> None:
    many = VirtualTrial(small_trial.engine, 1_000_001, small_trial.seed, small_trial.sums)
    found = summarise(many)
    assert found.analyses == ()
    assert found.unseen[0].quantiles == ()
    assert found.unseen[0].visits == summary.unseen[0].visits
    assert "Only sums are kept of more than 1,000,000 patients" in " ".join(str(found).split())
    with pytest.raises(InputError, match="tables are kept of at most 1,000,000 patients; given 1,000,001"):
        summarise(many, with_patients=True)


def test_patients_that_determine_no_answer_give_the_reason(small_trial: VirtualTrial) -> None:
    few = VirtualTrial(small_trial.engine, 4, 1, small_trial.engine.sums(4, 1))
    found = summarise(few)
    refused = {one.key: one.refused for one in found.analyses if one.result is None}
    assert refused
    assert all(refused.values())
    assert "not available" in str(found)


@pytest.mark.parametrize("width", ["wide", "narrow"])
def test_no_words_of_a_figure_overlap_or_leave_the_sheet(summary: Summary, width: Width) -> None:
    shown = figures(summary, PUBLISHED)
    assert [one.key for one in shown] == ["suds", "severity", "effect", "benefit", "by_fear"]
    for one in shown:
        figure = one.draw(width=width)
        figure.dpi = DPI
        renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]  # matplotlib has no types
        texts = [text for text in figure.findobj(Text) if text.get_text()]
        boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts]
        across, tall = figure.get_size_inches() * DPI
        for words, box in boxes:
            inside = box.x0 >= -SLACK and box.y0 >= -SLACK and box.x1 <= across + SLACK and box.y1 <= tall + SLACK
            assert inside, (one.key, words)
        for (words, a), (others, b) in combinations(boxes, 2):
            apart = min(a.x1, b.x1) - max(a.x0, b.x0) <= SLACK or min(a.y1, b.y1) - max(a.y0, b.y0) <= SLACK
            assert apart, (one.key, words, others)


def test_figures_hold_the_numbers_of_the_summary(summary: Summary) -> None:
    start = suds_spec(summary).series[0]
    mine = [one for one in summary.sessions if one.arm == "dcs"]
    assert start.y[1:] == tuple(one.start for one in mine)[1:]
    assert math.isnan(start.y[0])
    drawn = severity_spec(summary, PUBLISHED)
    assert drawn.series[1].y == (80.0, 55.0)
    assert drawn.series[1].high[0] == pytest.approx(80 + 1.959964 * 20 / math.sqrt(30))
    assert math.isnan(drawn.series[1].high[1])
    effect = effect_spec(summary, PUBLISHED)
    assert effect.series[1].y == (0.4,)
    assert effect.series[2].y == (0.0, *(at.mean for at in summary.unseen[0].visits))
    panel = benefit_spec(summary).panels[0]
    assert sum(panel.shares) == pytest.approx(1.0)
    assert panel.worse == next(at.worse for at in summary.unseen[0].visits if at.visit == "post")
    by_fear = by_fear_spec(summary).series[0]
    assert set(by_fear.y) <= {one.less_fear for one in summary.unseen[0].by_fear}


def test_alternative_texts_carry_the_numbers(summary: Summary) -> None:
    alt = {one.key: one.alt for one in figures(summary, PUBLISHED)}
    assert "published by Someone 2024: 80.0 at week 0 and 55.0 at week 4" in alt["severity"]
    end = next(at for at in summary.unseen[0].visits if at.visit == "post")
    assert f"{100 * end.worse:.1f}% worse off" in alt["benefit"]
    assert "Published by Someone 2024: 250 mg after good sessions g 0.40 at week 4." in alt["effect"]


def test_a_figure_that_cannot_be_is_refused(summary: Summary) -> None:
    style = Style("#000000")
    with pytest.raises(ValueError, match="2 points need as many values; given 1"):
        Series(style=style, x=(0.0, 1.0), y=(0.0,))
    with pytest.raises(ValueError, match="there must be a point to draw"):
        LinesSpec(title="t", labels=("", ""), series=(Series(style=style, x=(0.0,), y=(math.nan,)),), keys=())
    with pytest.raises(ValueError, match="every panel needs 3 shares"):
        BenefitSpec(title="t", axis_label="", panels=(), edges=(0.0, 1.0), margin=0.1)
    with pytest.raises(ValueError, match="must hold the reference"):
        replace(summary, reference="nobody")


def test_the_python_of_the_page_runs(small_trial: VirtualTrial, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the small protocol in place of the shipped one, whose program would have to be compiled."""
    page = (Path(__file__).parents[2] / "docs" / "virtual_trials.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.setattr(load, "find_protocol", lambda _: small_trial.plan.protocol)
    content: dict[str, Any] = {}
    exec(compile(code, "virtual_trials.md", "exec"), content)  # noqa: S102 - our own document
    assert content["trial"].record == small_trial.record
