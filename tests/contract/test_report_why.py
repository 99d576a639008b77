"""The chapter on the calibration: its first line is the verdict, and it claims no more than the rule allows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dualtrace.calibration.findings import Findings, load_findings
from dualtrace.calibration.model_card import model_card
from dualtrace.calibration.provenance import contents_of, digest, model_digest
from dualtrace.calibration.reliability import load_reliability
from dualtrace.calibration.rivals import RIVALS
from dualtrace.calibration.targets import subjects_of
from dualtrace.report.document import Bullets, Callout, Folded, Paragraph, Picture, Section, Table, plain
from dualtrace.report.figures.banded import BandedRow, BandedSpec, Reported
from dualtrace.report.figures.panels import CurvePanel, PanelsSpec, Run
from dualtrace.report.figures.why import against_spec, curve_specs, newest_spec, traces_spec
from dualtrace.report.sections import why as chapter
from dualtrace.report.sections.why_tables import in_words
from made_findings import BAND, findings, parameter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualtrace.evidence.record import Trial

ROOT = Path(__file__).parents[2]


def _said(section: Section) -> Iterator[str]:
    for block in section.blocks:
        match block:
            case Paragraph(line):
                yield plain(line)
            case Bullets(items) | Callout(_, items):
                yield from (plain(item) for item in items)
            case Table():
                yield from (plain(cell) for row in block.rows for cell in row)


def _first(section: Section) -> str:
    block = section.blocks[0]
    assert isinstance(block, Paragraph)
    return plain(block.line)


def _table(section: Section, key: str) -> list[list[str]]:
    folded = (block.blocks for block in section.blocks if isinstance(block, Folded))
    every = [*section.blocks, *(block for blocks in folded for block in blocks)]
    (table,) = (block for block in every if isinstance(block, Table) and block.key == key)
    return [[plain(cell) for cell in row] for row in table.rows]


@pytest.fixture
def trials(evidence: dict[str, Trial]) -> tuple[Trial, ...]:
    return tuple(evidence[name] for name in ("otto2010", "hofmann2013"))


@pytest.fixture(autouse=True)
def undrawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn by the one test that looks at them."""
    if "draws" not in request.node.name:
        monkeypatch.setattr(chapter, "_pictures", lambda _: iter(()))


@pytest.mark.parametrize(
    ("made", "first"),
    [
        (findings(mine=(-2.0, -2.1, -2.2, -1.9)), "Nothing may be said about explanation: the dual trace predicts"),
        (
            findings(failures=("x: R-hat 1.2",), left_out_failures=("x: R-hat 1.2",)),
            "Nothing may be said about explanation: these fits did not pass their checks (dual_trace: x: R-hat 1.2)",
        ),
        (
            findings(pareto_k=(0.9, 0.1, 0.1, 0.1)),
            "Nothing may be said about explanation: these fits did not pass their checks (dual_trace: the weights",
        ),
        (findings(), "The dual trace predicts trials that it has not seen no worse than plain meta-regression"),
        (
            findings(mine=(-0.2, -0.1, 0.0, 0.1)),
            "The dual trace predicts trials that it has not seen better than plain meta-regression",
        ),
    ],
)
def test_the_verdict_is_the_first_line_and_explaining_is_never_claimed(
    made: Findings, first: str, trials: tuple[Trial, ...]
) -> None:
    section = chapter.why(trials, made)
    assert _first(section).startswith(first)
    told = " ".join(_said(section)).lower()
    assert "explains" not in told
    assert told.count("explanation") == _first(section).count("explanation")


def test_checks_that_failed_are_listed(trials: tuple[Trial, ...]) -> None:
    section = chapter.why(trials, findings(failures=("x: R-hat 1.2",), left_out_failures=("x: R-hat 1.2",)))
    (folded,) = (block for block in section.blocks if isinstance(block, Folded) and "failed" in block.title)
    assert folded.title == "Checks that failed (1)"
    fits = {row[0]: row[6] for row in _table(section, "why_accounts")}
    assert fits == {"Dual trace": "checks failed; 1 refitted", "One effect per disorder": "passed; 1 refitted"}
    good = chapter.why(trials, findings())
    assert not any(isinstance(block, Folded) and "failed" in block.title for block in good.blocks)


def test_how_often_the_verdict_is_right_is_shown_only_where_it_may_be_quoted(trials: tuple[Trial, ...]) -> None:
    measured = load_reliability()
    cells = tuple(cell.model_copy(update={"converged": cell.sets, "mixed": cell.sets - 1}) for cell in measured.cells)
    good = measured.model_copy(update={"model": model_digest(), "cells": cells})
    stale = good.model_copy(update={"model": "x"})
    short = good.model_copy(update={"cells": tuple(cell.model_copy(update={"converged": 0}) for cell in cells)})
    for found, shown, says in (
        (good, True, f"of {good.sets('dual_trace')} sets: how often the dual trace is found when it is true"),
        (stale, False, "is not known. How often the verdict is right was measured before the model's equations"),
        (short, False, "is not known. In only 0 of"),
    ):
        section = chapter.why(trials, findings(), found)
        folded = [block for block in section.blocks if isinstance(block, Folded) and "verdict" in block.title]
        assert bool(folded) is shown
        assert any(says in line for line in _said(section))


def test_other_trials_or_another_model_are_said_with_the_command(trials: tuple[Trial, ...]) -> None:
    own = {
        "trials": digest(contents_of(subject.trial for subject in subjects_of(trials))),
        "model": model_digest(),
    }

    def stale(**changes: str) -> list[str]:
        made = findings()
        origin = made.provenance.model_copy(update=own | changes)
        return list(chapter._stale(made.model_copy(update={"provenance": origin}), trials))

    assert stale() == []
    assert stale(trials="x")[0].startswith("These findings come from other trials than this report")
    assert "dualtrace calibrate findings --out FILE" in stale(model="x")[0]
    assert "another model and other trials than" in stale(model="x", trials="x")[0]


def test_an_approximation_is_marked(trials: tuple[Trial, ...]) -> None:
    made = findings()
    quick = made.model_copy(update={"provenance": made.provenance.model_copy(update={"method": "laplace"})})
    assert any("nothing of it may be quoted" in line for line in _said(chapter.why(trials, quick)))
    assert any("Sampled by NUTS, 4 chains of 500 draws" in line for line in _said(chapter.why(trials, made)))


def test_constants_of_which_the_data_say_nothing_are_named(trials: tuple[Trial, ...]) -> None:
    section = chapter.why(trials, findings())
    assert "Of these constants the data say next to nothing: tolerance.jump." in list(_said(section))
    rows = _table(section, "why_constants_dual_trace")
    assert [row[4] for row in rows] == ["something", "nothing; hangs on the prior"]


def test_what_the_trials_tell_of_together_is_counted_and_named(trials: tuple[Trial, ...]) -> None:
    section = chapter.why(trials, findings())
    says = "combined in 2 independent ways. Of 1 of them the trials tell more than the priors"
    assert any(says in line for line in _said(section))
    assert _table(section, "why_combinations") == [["3.0", "calibration.strength (1.00) and tolerance.jump (0.00)"]]
    assert [row[6] for row in _table(section, "why_constants_dual_trace")] == ["0.50", "0.18"]


@pytest.mark.parametrize(
    ("contraction", "says"), [(0.0, "nothing"), (0.2, "little"), (0.5, "something"), (0.8, "much")]
)
def test_contraction_in_words(contraction: float, says: str) -> None:
    assert in_words(parameter("calibration.strength", contraction)) == says


def test_moderators_are_set_beside_what_mechanisms_expect(trials: tuple[Trial, ...]) -> None:
    (row,) = _table(chapter.why(trials, findings()), "why_moderators")
    assert row == ["Hofmann 2013", "end of session fear", "below −1.96", "0.1 (−0.1 to 0.3)"]


def test_the_chapter_draws_every_figure_and_says_what_may_not_be_concluded(trials: tuple[Trial, ...]) -> None:
    section = chapter.why(trials, findings())
    drawn = [block for block in section.blocks if isinstance(block, Picture)]
    assert [one.key for one in drawn] == [
        "why_traces",
        "why_against",
        "why_newest",
        "why_dose_mg",
        "why_minutes",
        "why_augmented",
        "why_end_fear",
    ]
    assert all(one.alt and one.wide != one.narrow for one in drawn)
    (warning,) = (block for block in section.blocks if isinstance(block, Callout))
    assert len(warning.items) == 5


def test_every_trial_is_one_row_of_effects_after_treatment() -> None:
    spec = against_spec(findings())
    assert [row.label for row in spec.rows] == ["Otto 2010", "Otto 2016", "Hofmann 2013", "Smits 2020"]
    smits = spec.rows[-1].reported
    assert smits is not None
    assert smits.estimate == pytest.approx(1.1 / 1.8138, abs=1e-4)
    assert [row.label for row in newest_spec(findings()).rows] == ["Smits 2020"]
    assert [row.heading for row in traces_spec(findings()).rows] == ["Safety trace", "Threat trace"]


def test_every_figure_of_fits_that_failed_their_checks_says_that_it_must_not_be_quoted() -> None:
    failed = ("x: R-hat 1.2",)
    for given, warned in ((findings(), False), (findings(failures=failed), True)):
        specs: list[BandedSpec | PanelsSpec] = [traces_spec(given), against_spec(given)]
        specs += [spec for _, spec in curve_specs(given)]
        assert [spec.footnote.startswith("Not to be quoted") for spec in specs] == [warned] * len(specs)
    sound = findings()
    unseen = findings(accounts=tuple(one.model_copy(update={"newest_failures": failed}) for one in sound.accounts))
    assert newest_spec(unseen).footnote.startswith("Not to be quoted")
    assert not newest_spec(sound).footnote.startswith("Not to be quoted")


def test_curves_break_at_the_session_and_where_there_are_no_patients() -> None:
    specs = dict(curve_specs(findings()))
    assert [run.x for run in specs["minutes"].panels[0].runs] == [(-60.0, 0.0), (15.0,)]
    assert [run.x for run in specs["end_fear"].panels[0].runs] == [(5.0,), (25.0,)]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Reported(), "a report needs a finite end"),
        (lambda: Reported(low=1.0, high=0.0), "given 1.0 to 0.0"),
        (lambda: Run(x=(1.0,), bands=()), "1 values need as many bands; given 0"),
        (lambda: PanelsSpec(title="t", labels=("", ""), panels=(CurvePanel(name="a", runs=()),)), "must be a curve"),
        (
            lambda: BandedSpec(
                title="t", axis_label="", rows=(BandedRow(label="a", bands=(BAND,)),), accounts=(("a", ""), ("b", ""))
            ),
            "every row needs 2 bands",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()


def test_accounts_that_were_not_fitted_are_named_and_none_where_all_were(trials: tuple[Trial, ...]) -> None:
    shown = findings()
    fitted = {account.name for account in shown.accounts}
    missing = [one.title for one in RIVALS if one.name not in fitted]
    (line,) = (text for text in _said(chapter.why(trials, shown)) if text.startswith("Not fitted in this run"))
    assert missing
    assert all(title in line for title in missing)
    assert not any(one.title in line.split(": ")[1] for one in RIVALS if one.name in fitted - {"dual_trace"})
    every = tuple(shown.accounts[0].model_copy(update={"name": one.name}) for one in RIVALS)
    whole = shown.model_copy(update={"accounts": every})
    assert not list(chapter._absent(whole))


def test_the_model_card_is_the_one_of_the_shipped_findings() -> None:
    page = (ROOT / "docs" / "model_card.md").read_text(encoding="utf-8")
    assert page == model_card(load_findings()), "run python docs/make.py"


def test_the_model_card_has_every_element_and_the_numbers_of_the_findings() -> None:
    page = model_card(findings(mine=(-2.0, -2.1, -2.2, -1.9)))
    for element in ("Question of interest", "Context of use", "Model influence", "Consequence of wrong decision"):
        assert f"\n## {element}\n" in page
    for element in ("Model risk", "Model impact", "What it must not be used for", "Model evaluation"):
        assert f"\n## {element}\n" in page
    flat = " ".join(page.split())
    assert "Nothing may be said about explanation: the dual trace predicts" in flat
    assert "2 of 2 fits to all trials passed their gates" in flat
    assert "Reported numbers whose 95 % interval meets the 90 % band of the expected effect: 1 of 3." in flat
    assert "contraction below 0.1): 1 of 2 (`tolerance.jump`)" in flat
    assert "could not be judged by weights for 1 of 4" in flat
