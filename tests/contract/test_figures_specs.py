"""Specifications of figures refuse what cannot be drawn, and scales, ticks and contours hold their rules."""

from __future__ import annotations

import re
from math import inf, log
from typing import TYPE_CHECKING, Literal, cast

import pytest

from dualtrace.report.figures import albatross, comparison, direction, forest, timing
from dualtrace.report.figures.canvas import text_width, wrap
from dualtrace.report.figures.placement import Box, place
from dualtrace.report.figures.scale import Scale, limits
from dualtrace.report.figures.style import mix, number, sizes, with_interval

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualtrace.report.figures.style import Width


def test_law_an_albatross_contour_is_its_own_inverse() -> None:
    for d in (0.2, 0.5, 0.8):
        for p in (0.5, 0.05, 0.001):
            assert albatross.contour_p(d, albatross.contour_n(d, p)) == pytest.approx(p, rel=1e-9)


def test_reference_half_a_standard_deviation_reaches_p_05_with_62_patients() -> None:
    # 4 * 1.959964**2 / 0.5**2
    assert albatross.contour_n(0.5, 0.05) == pytest.approx(61.463, abs=1e-3)


def test_law_a_log_scale_puts_a_ratio_and_its_inverse_at_equal_distance_from_one() -> None:
    scale = Scale("log", 0.1, 10.0, 0.0, 2.0)
    assert scale.x(4.0) - scale.x(1.0) == pytest.approx(scale.x(1.0) - scale.x(0.25))
    assert scale.x(0.0) == 0.0
    assert scale.x(inf) == 2.0


def test_contract_ratio_ticks_are_round_numbers() -> None:
    scale = Scale("log", 0.08, 12.0, 0.0, 3.0)
    assert [label for _, label in scale.ticks(7.5)] == ["0.1", "0.25", "0.5", "1", "2", "4", "10"]


def test_contract_a_short_ratio_axis_has_several_ticks() -> None:
    labels = [label for _, label in Scale("log", 0.9, 1.6, 0.0, 2.5).ticks(7.5)]
    assert labels == ["0.9", "1", "1.1", "1.2", "1.4", "1.6"]


@pytest.mark.parametrize(("low", "high"), [(-0.7, 1.9), (-0.04, 0.06), (-30.0, 12.0), (-1.0, 1.0)])
def test_contract_difference_ticks_are_few_and_hold_no_effect(low: float, high: float) -> None:
    ticks = Scale("linear", low, high, 0.0, 2.5).ticks(7.5)
    assert 2 <= len(ticks) <= 10
    assert any(abs(value) < 1e-12 for value, _ in ticks)


def test_contract_limits_show_estimates_and_both_sides_and_cut_far_ends() -> None:
    low, high = limits("linear", core=(0.1, 0.9), outer=(-0.3, 40.0, inf))
    assert low < 0 < 0.9 < high < 40
    low, high = limits("log", core=(2.0,), outer=(0.0, 3.0))
    assert 0 < low < 1 < 3.0 <= high
    assert log(high) - log(low) < 5
    assert limits("linear", core=(), outer=()) == pytest.approx((-1.06, 1.06))


def test_contract_numbers_have_a_true_minus_sign_and_no_negative_zero() -> None:
    assert number(-0.004) == "0.00"
    assert with_interval(0.35, -0.1, inf) == "0.35 (−0.10 to ∞)"
    assert mix("#000000", 0.0) == "#ffffff"


def test_contract_wrapped_text_keeps_its_words_and_its_width() -> None:
    text = "Within-session fear of a very-long-hyphenated-word and Donaudampfschifffahrtsgesellschaft"
    lines = wrap(text, width=0.8, size=7.5)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert max(text_width(line, 7.5) for line in lines) <= 0.8
    assert wrap("", width=1.0, size=8) == ()


def test_law_placed_labels_meet_neither_each_other_nor_a_symbol() -> None:
    points = [(1.0 + 0.06 * (i % 5), 1.0 + 0.05 * (i // 5)) for i in range(20)]
    sheet = Box(0.0, 0.0, 4.0, 3.0)
    placed = place(points, full=[0.8] * 20, short=[0.12] * 20, height=0.1, radius=0.05, inside=sheet)
    boxes = [spot.box for spot in placed if spot is not None]
    assert len(boxes) >= 15
    assert not any(a.meets(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert all(box.within(sheet) for box in boxes)


def _point(n: float, p: float, side: Literal[-1, 0, 1]) -> albatross.AlbatrossPoint:
    return albatross.AlbatrossPoint(label="A", group="SAD", n=n, p=p, direction=side)


def _arm(dose_mg: float, minutes: float) -> timing.TimingDosePoint:
    return timing.TimingDosePoint(label="A", dose_mg=dose_mg, given="before", minutes=minutes, n=5, side="drug")


def _pooled(estimate: float, low: float | None, high: float | None) -> comparison.ComparisonRow:
    return comparison.ComparisonRow(label="A", estimate=estimate, low=low, high=high, who="ours")


def _trial(kind: forest.RowKind, low: float, high: float) -> forest.ForestRow:
    return forest.ForestRow(label="A", kind=kind, low=low, high=high)


def _uneven() -> direction.DirectionSpec:
    row = direction.DirectionRow(label="A", group="SAD", n=3, cells=())
    column = direction.DirectionColumn(domain="Severity", timepoint="post")
    return direction.DirectionSpec(title="", columns=(column,), rows=(row,))


REFUSALS: dict[str, Callable[[], object]] = {
    "A: low must not exceed high; given 1.0 and 0.0": lambda: _trial("interval", 1.0, 0.0),
    "A: an estimate goes with kind 'exact' only; given None": lambda: _trial("exact", 0.0, 1.0),
    "A: a direction has one infinite bound; given 0.0 and 1.0": lambda: _trial("direction", 0.0, 1.0),
    "A: 2.0 must lie within 0.0 and 1.0": lambda: forest.ForestSummary(label="A", estimate=2.0, low=0.0, high=1.0),
    "A: an interval needs both ends; given 0.1 and None": lambda: _pooled(0.2, 0.1, None),
    "A: 0.0 must lie within 0.1 and 0.2": lambda: _pooled(0.0, 0.1, 0.2),
    "A: p must be above 0 and at most 1; given 0.0": lambda: _point(9, 0.0, 1),
    "A: n must be above 0; given 0": lambda: _point(0, 0.5, 1),
    "A: a direction must be known": lambda: _point(9, 0.5, 0),
    "A: 1 columns need as many cells; given 0": _uneven,
    "at least one outcome; given 0": lambda: direction.DirectionCell(direction="drug", strength="unstated", k=0),
    "A: the dose must be above 0 mg; given -5.0": lambda: _arm(-5.0, 60),
    "A: minutes must be 0 or more": lambda: _arm(50, -60),
    "limits must be finite and rising; given 1.0 and 0.0": lambda: Scale("linear", 1.0, 0.0, 0.0, 1.0),
    "limits of a ratio must be positive; given 0.0": lambda: Scale("log", 0.0, 1.0, 0.0, 1.0),
    "width must be one of wide, narrow; given 'huge'": lambda: sizes(cast("Width", "huge")),
}


@pytest.mark.parametrize(("message", "build"), REFUSALS.items(), ids=REFUSALS.keys())
def test_contract_what_cannot_be_drawn_is_refused_with_its_value(message: str, build: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        build()
