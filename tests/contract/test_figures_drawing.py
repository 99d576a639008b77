"""Every figure, wide and narrow, with 1, 8 and 30 rows.

Nothing overlaps or leaves the sheet, axes and sides are named, cut intervals carry arrowheads, and the bytes
written are the same on every run.
"""

from __future__ import annotations

import random
import struct
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from itertools import combinations
from math import exp, inf
from typing import TYPE_CHECKING, Any

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import Polygon
from matplotlib.text import Text
from PIL import Image

from dualtrace.report.figures import albatross, comparison, direction, forest, timing
from dualtrace.report.figures.save import png, save, svg
from dualtrace.report.figures.style import with_interval

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from matplotlib.figure import Figure

    from dualtrace.report.figures.scale import ScaleKind
    from dualtrace.report.figures.style import Width

DISORDERS = ("Social anxiety disorder", "Panic disorder", "Obsessive-compulsive disorder", "PTSD", "Specific phobia")
NAMES = ("Hofmann 2006", "de Kleine 2012", "Mataix-Cols 2014", "Otto, Tolin, Simon, Pearlson et al. 2010, S. 1")
DPI = 200
SLACK = 0.012  # inches; letters of the independent renderer are hinted, ours are not


def _forest_row(i: int, chance: random.Random, scale: str) -> forest.ForestRow:
    kinds: tuple[forest.RowKind, ...] = ("exact", "exact", "interval", "direction", "exact", "none")
    kind = kinds[i % 6]
    estimate, half = chance.gauss(0.3, 0.3), chance.uniform(0.3, 1.2) * (6.0 if i % 9 == 4 else 1.0)
    low, high = estimate - half, estimate + half
    if kind == "interval":
        low, high = ((-0.6, 0.6), (0.25, inf))[i % 2]
    if kind == "direction":
        low, high = ((0.0, inf), (-inf, 0.0))[i % 2]
    if scale == "log":
        estimate, low, high = exp(estimate), (exp(low) if low > -inf else -inf), (exp(high) if high < inf else inf)
    return forest.ForestRow(
        label=NAMES[i % 4],
        sublabel="50 mg, 60 min before, 5 sessions" if i % 3 else "",
        kind=kind,
        estimate=estimate if kind == "exact" else None,
        low=low,
        high=high,
        weight_percent=chance.uniform(1, 30) if kind == "exact" else None,
        columns=(
            f"{9 + i}/{8 + i}",
            with_interval(estimate, low, high) if kind == "exact" else "not reported",
            "12.3%",
        ),
    )


def forest_spec(count: int, scale: str = "linear") -> forest.ForestSpec:
    chance = random.Random(count)  # noqa: S311
    rows = [_forest_row(i, chance, scale) for i in range(count)]
    one = 1.0 if scale == "log" else 0.0
    pooled = forest.ForestSummary(
        label="All information",
        estimate=one + 0.2,
        low=one - 0.1,
        high=one + 0.5,
        prediction=(one - 0.4, one + 0.9),
        note="24 trials, 1074 patients; τ = 0.12 (0 to 0.4), I² = 23%",
        columns=("156/156", with_interval(one + 0.2, one - 0.1, one + 0.5), "100%"),
    )
    size = max(1, count // 3)
    groups = [
        forest.ForestGroup(title=DISORDERS[i // size % 5], rows=tuple(rows[i : i + size]), summaries=(pooled,))
        for i in range(0, count, size)
    ]
    return forest.ForestSpec(
        title="Symptom severity after treatment, D-cycloserine against placebo",
        groups=tuple(groups),
        overall=(pooled, pooled),
        scale="log" if scale == "log" else "linear",
        axis_label="Odds ratio (95% CI), log scale" if scale == "log" else "Hedges' g (95% CI)",
        column_headers=("n drug/\nplacebo", "g (95% CI)", "Weight"),
        key_column=1,
        footnote="Random effects (REML), Knapp-Hartung intervals. Positive favours D-cycloserine.",
    )


def log_forest_spec(count: int) -> forest.ForestSpec:
    return forest_spec(count, "log")


def albatross_spec(count: int) -> albatross.AlbatrossSpec:
    chance = random.Random(count)  # noqa: S311
    points = []
    for i in range(count):
        bounds: tuple[albatross.Bound, ...] = ("exact", "exact", "above", "below")
        bound = bounds[i % 4]
        points.append(
            albatross.AlbatrossPoint(
                label=NAMES[i % 4],
                group=DISORDERS[i % 5],
                n=10 ** chance.uniform(1.1, 2.3),
                p=0.05 if bound == "above" else 10 ** -chance.uniform(0.02, 3.2),
                direction=0 if i % 8 == 2 else chance.choice((1, 1, -1)),
                bound=bound,
            )
        )
    return albatross.AlbatrossSpec(
        title="Every reported p-value", points=tuple(points), footnote="Equal arms assumed."
    )


def direction_spec(count: int) -> direction.DirectionSpec:
    chance = random.Random(count)  # noqa: S311
    domains = {
        "Symptom severity": ("mid", "post", "follow-up"),
        "Response or remission": ("post", "follow-up"),
        "Global impression": ("post", "follow-up"),
        "Within-session fear": ("mid",),
    }
    columns = tuple(direction.DirectionColumn(domain=d, timepoint=t) for d, times in domains.items() for t in times)
    rows = []
    for i in range(count):
        cells = tuple(
            direction.DirectionCell(
                direction=chance.choice(("drug", "placebo", "neither")),
                strength=chance.choice(("significant", "not_significant", "unstated")),
                k=chance.choice((1, 3, 12)),
            )
            if chance.random() < 0.7
            else None
            for _ in columns
        )
        group, n = DISORDERS[i * 5 // count], chance.choice((12, 60, 169, None))
        rows.append(direction.DirectionRow(label=NAMES[i % 4], group=group, n=n, cells=cells))
    return direction.DirectionSpec(title="Which way each trial points", columns=columns, rows=tuple(rows))


def comparison_spec(count: int) -> comparison.ComparisonSpec:
    chance = random.Random(count)  # noqa: S311

    def row(i: int, scale: ScaleKind) -> comparison.ComparisonRow:
        middle, half = chance.gauss(0.2, 0.2), chance.uniform(0.1, 0.6)
        values = (middle, middle - half, middle + half + (9.0 if i == 0 else 0.0))
        estimate, low, high = (exp(v) for v in values) if scale == "log" else values
        return comparison.ComparisonRow(
            label="This synthesis, all information" if i == 0 else NAMES[i % 4],
            sublabel="all disorders, after treatment",
            estimate=None if i % 5 == 4 else estimate,
            low=None if i % 5 > 2 else low,
            high=None if i % 5 > 2 else high,
            k=chance.randint(2, 24),
            n=chance.randint(30, 1200),
            who="ours" if i == 0 else "published",
        )

    labels: dict[ScaleKind, str] = {
        "linear": "Standardised mean difference (95% CI)",
        "log": "Odds ratio (95% CI), log scale",
    }
    groups = tuple(
        comparison.ComparisonGroup(
            title=f"Severity, {scale}", scale=scale, axis_label=label, rows=tuple(row(i, scale) for i in range(count))
        )
        for scale, label in labels.items()
    )
    return comparison.ComparisonSpec(title="Pooled results of others beside ours", groups=groups)


def timing_spec(count: int) -> timing.TimingDoseSpec:
    chance = random.Random(count)  # noqa: S311
    before: list[timing.Column] = [("before", m) for m in (60, 60, 60, 30, 90, 120, 240, 0, None)]
    times: list[timing.Column] = [*before, ("after", 0), ("after", None)]
    points = []
    for i in range(count):
        given, minutes = chance.choice(times)
        points.append(
            timing.TimingDosePoint(
                label=NAMES[i % 4],
                dose_mg=chance.choice((50, 50, 50, 100, 250, 500, 12.5)),
                given=given,
                minutes=minutes,
                n=chance.choice((8, 27, 101, 169, None)),
                side=chance.choice(("drug", "placebo", "neither", "unknown")),
            )
        )
    return timing.TimingDoseSpec(title="Dose and time of the capsule", points=tuple(points), footnote="Packed.")


@dataclass(frozen=True)
class Kind:
    spec: Callable[[int], Any]
    draw: Callable[..., Figure]
    alt: Callable[[Any], str]
    words: tuple[str, ...]  # axis labels
    sides: tuple[str, str]


SIDES = ("favours placebo", "favours D-cycloserine")
SMD, RATIO = "Standardised mean difference (95% CI)", "Odds ratio (95% CI), log scale"
KINDS = {
    "forest": Kind(forest_spec, forest.forest, forest.alt, ("Hedges' g (95% CI)",), SIDES),
    "log-forest": Kind(log_forest_spec, forest.forest, forest.alt, (RATIO,), SIDES),
    "albatross": Kind(
        albatross_spec, albatross.albatross, albatross.alt, ("two-sided p-value", "patients compared (N)"), SIDES
    ),
    "direction": Kind(direction_spec, direction.direction, direction.alt, ("Trial", "N"), SIDES),
    "comparison": Kind(comparison_spec, comparison.comparison, comparison.alt, (SMD, RATIO), SIDES),
    "timing": Kind(
        timing_spec, timing.timing_dose, timing.alt, ("dose (mg)",), ("favoured placebo", "favoured D-cycloserine")
    ),
}
every_kind = pytest.mark.parametrize("name", KINDS)
every_width = pytest.mark.parametrize("width", ["wide", "narrow"])


def _texts(figure: Figure) -> list[Text]:
    return [text for text in figure.findobj(Text) if text.get_text()]


@every_kind
@every_width
@pytest.mark.parametrize("count", [1, 8, 30])
def test_contract_no_text_overlaps_another_or_leaves_the_sheet(name: str, width: Width, count: int) -> None:
    figure = KINDS[name].draw(KINDS[name].spec(count), width=width)
    figure.dpi = DPI
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]  # matplotlib has no types here
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in _texts(figure)]
    across, tall = figure.get_size_inches() * DPI
    slack = SLACK * DPI
    outside = [t for t, b in boxes if b.x0 < -slack or b.y0 < -slack or b.x1 > across + slack or b.y1 > tall + slack]
    assert outside == []
    overlapping = [
        (t, u)
        for (t, a), (u, b) in combinations(boxes, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > slack and min(a.y1, b.y1) - max(a.y0, b.y0) > slack
    ]
    assert overlapping == []


@every_kind
@every_width
def test_contract_axes_and_the_direction_of_benefit_are_named(name: str, width: Width) -> None:
    figure = KINDS[name].draw(KINDS[name].spec(8), width=width)
    texts = [text.get_text() for text in _texts(figure)]
    assert set(KINDS[name].words) <= set(texts)
    for side in KINDS[name].sides:
        assert any(side in text for text in texts)


@every_kind
@every_width
def test_contract_letters_are_never_smaller_than_seven_and_a_half_points(name: str, width: Width) -> None:
    figure = KINDS[name].draw(KINDS[name].spec(8), width=width)
    assert min(float(text.get_fontsize()) for text in _texts(figure)) >= 7.5
    assert figure.get_size_inches()[0] == pytest.approx(8.6 if width == "wide" else 3.6)


@every_kind
def test_contract_svg_and_png_are_the_same_bytes_on_two_runs(name: str) -> None:
    kind = KINDS[name]
    first, second = (kind.draw(kind.spec(8)) for _ in range(2))
    assert svg(first) == svg(second) == svg(first)
    assert png(first, dpi=60) == png(second, dpi=60)


@every_kind
def test_contract_alternative_text_names_both_sides_or_counts(name: str) -> None:
    text = KINDS[name].alt(KINDS[name].spec(8))
    assert "D-cycloserine" in text
    assert "placebo" in text
    assert text.endswith(".")
    assert "  " not in text


@every_kind
def test_contract_a_figure_without_rows_is_still_drawn(name: str) -> None:
    kind = KINDS[name]
    empty = {
        "forest": forest.ForestSpec(title="t", groups=(), axis_label="x"),
        "log-forest": forest.ForestSpec(title="t", groups=(), axis_label="x", scale="log"),
        "albatross": albatross.AlbatrossSpec(title="t", points=()),
        "direction": direction.DirectionSpec(title="t", columns=(), rows=()),
        "comparison": comparison.ComparisonSpec(title="t", groups=()),
        "timing": timing.TimingDoseSpec(title="t", points=()),
    }[name]
    for width in ("wide", "narrow"):
        assert svg(kind.draw(empty, width=width)).startswith(b"<svg")
    assert kind.alt(empty)


def _heads(figure: Figure, role: str) -> int:
    return sum(patch.get_label() == role for patch in figure.findobj(Polygon))


@every_width
@pytest.mark.parametrize(("low", "high", "heads"), [(-0.5, 0.9, 0), (-9.0, 0.9, 1), (-9.0, 9.0, 2), (-inf, 0.9, 1)])
def test_contract_an_interval_beyond_the_axis_gets_an_arrowhead_at_each_cut_end(
    width: Width, low: float, high: float, heads: int
) -> None:
    row = forest.ForestRow(label="A", kind="exact", estimate=0.2, low=low, high=high)
    group = forest.ForestGroup(title="", rows=(row,))
    figure = forest.forest(
        forest.ForestSpec(title="t", groups=(group,), axis_label="g", limits=(-1.0, 1.0)), width=width
    )
    assert _heads(figure, "clipped") == heads


def test_contract_an_estimate_beyond_given_limits_shows_an_arrowhead_and_no_square() -> None:
    row = forest.ForestRow(label="A", kind="exact", estimate=3.0, low=2.0, high=4.0)
    spec = forest.ForestSpec(
        title="t", groups=(forest.ForestGroup(title="", rows=(row,)),), axis_label="g", limits=(-1.0, 1.0)
    )
    figure = forest.forest(spec)
    assert _heads(figure, "clipped") == 1


def test_contract_a_bounded_p_value_is_drawn_as_a_range() -> None:
    point = albatross.AlbatrossPoint(label="A", group="SAD", n=40, p=0.05, direction=1, bound="below")
    unknown = albatross.AlbatrossPoint(label="B", group="SAD", n=80, p=0.05, direction=0, bound="above")
    figure = albatross.albatross(albatross.AlbatrossSpec(title="t", points=(point, unknown)))
    assert _heads(figure, "range") == 3


def test_contract_files_are_written_by_suffix_with_words_for_screen_readers(tmp_path: Path) -> None:
    figure = forest.forest(forest_spec(1))
    path = save(figure, tmp_path / "figures" / "a.svg", title="A < B", description="what it shows")
    root = ET.fromstring(path.read_bytes())  # noqa: S314  # written one line above
    names = [element.text for element in root if element.tag.endswith(("title", "desc"))]
    assert names == ["A < B", "what it shows"]
    picture = save(figure, tmp_path / "a.png", dpi=50).read_bytes()
    assert Image.open(tmp_path / "a.png").convert("RGB").getpixel((1, 1)) == (255, 255, 255)
    assert picture.startswith(b"\x89PNG")
    assert struct.unpack(">I", picture[16:20])[0] == 430
    with pytest.raises(ValueError, match=r"written as \.svg or \.png; given 'a\.gif'"):
        save(figure, tmp_path / "a.gif")
