"""Contract: the scoreboard's figure and chapter say what the board says; every miss of ours has a reason."""

from __future__ import annotations

from itertools import pairwise

import pytest

from dualtrace.experiments.board import board
from dualtrace.experiments.load import catalogue
from dualtrace.experiments.misses import reasons
from dualtrace.experiments.record import Strength
from dualtrace.mechanism.memory.registry import memory_model, memory_models
from dualtrace.report.figures.scoreboard import (
    Line,
    Mark,
    ScoreboardSpec,
    scoreboard,
    scoreboard_alt,
    scoreboard_spec,
)

OURS = board([memory_model("dual_trace"), memory_model("rescorla_wagner")], catalogue())


def test_every_core_miss_of_the_dual_trace_has_a_reason_and_no_reason_is_left_over() -> None:
    missed = {miss.experiment.id for miss in OURS.misses("dual_trace")}
    assert set(reasons("dual_trace")) == missed
    assert all(len(reason) > 20 for reason in reasons("dual_trace").values())


def test_no_model_but_ours_has_reasons() -> None:
    assert [name for name in memory_models() if reasons(name)] == ["dual_trace"]


def test_the_figure_shows_every_experiment_that_can_be_simulated() -> None:
    spec = scoreboard_spec(OURS, title="t")
    shown = {line.name for line in spec.lines}
    assert shown == {e.id for e in catalogue() if any(f.contrast for f in e.findings)}
    for line in spec.lines:
        held = [s.outcome.value for s in OURS.scored["dual_trace"] if s.experiment.id == line.name]
        assert line.shares[0] == pytest.approx(held.count("pass") / len(held))
        assert (line.marks[0] is Mark.ALL) == (set(held) == {"pass"})
        assert (line.marks[0] is Mark.OPPOSITE) == ("opposite" in held)


def test_groups_stand_together() -> None:
    groups = [line.group for line in scoreboard_spec(OURS, title="t").lines]
    assert len(dict.fromkeys(groups)) == sum(a != b for a, b in pairwise(groups)) + 1


def test_both_widths_are_drawn_and_told_in_words() -> None:
    spec = scoreboard_spec(OURS, title="A title", footnote="A note.")
    wide, narrow = scoreboard(spec), scoreboard(spec, width="narrow")
    assert wide.get_size_inches()[0] > narrow.get_size_inches()[0]
    words = {text.get_text() for text in wide.findobj(match=lambda a: hasattr(a, "get_text"))}  # type: ignore[attr-defined]
    assert {"REC-05", "Dual trace", "A title"} <= words
    assert "Dual trace: all findings of" in scoreboard_alt(spec)


def test_a_line_must_fit_the_models() -> None:
    line = Line("x", "x", "basic", False, False, (Mark.ALL,), (1.0,))
    with pytest.raises(ValueError, match=r"every line needs 2 marks, and there must be a line"):
        ScoreboardSpec("t", ("a", "b"), (line,))
    with pytest.raises(ValueError, match=r"there must be a line"):
        ScoreboardSpec("t", ("a", "b"), ())


def test_families_count_what_is_not_contested() -> None:
    families = OURS.families("dual_trace")
    total = sum(OURS.tally("dual_trace", strength=s).total for s in (Strength.CORE, Strength.SUPPORTING))
    assert sum(t.total for t in families.values()) == total
