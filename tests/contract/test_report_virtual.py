"""The chapter on virtual trials: its words follow its numbers, also where a pattern does not appear."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dualtrace.report.document import Callout, Picture, Section, Table, plain
from dualtrace.report.sections import virtual as chapter
from dualtrace.simulation.summary import Summary, summarise

if TYPE_CHECKING:
    from dualtrace.evidence.record import Trial
    from dualtrace.simulation.virtual_trial import VirtualTrial


@pytest.fixture
def section(evidence: dict[str, Trial], small_trial: VirtualTrial, monkeypatch: pytest.MonkeyPatch) -> Section:
    """The chapter, every course of which is the small trial."""
    monkeypatch.setattr(chapter, "run", lambda *_, **__: small_trial)
    return chapter.virtual(tuple(evidence.values()))


def _table(section: Section, key: str) -> list[list[str]]:
    (table,) = (block for block in section.blocks if isinstance(block, Table) and block.key == key)
    return [[plain(cell) for cell in row] for row in table.rows]


def test_findings_in_people_are_those_of_the_records(section: Section, evidence: dict[str, Trial]) -> None:
    early, moderated, harmed = _table(section, "virtual_pattern")
    assert "improvement 1.24 to 1.33 times as fast" in early[1].lower()
    assert "34.5% against 24.4%" in early[1]
    (finding,) = (m.finding for m in evidence["hofmann2013"].moderators if m.moderator == "end_of_session_fear")
    assert finding in moderated[1]
    assert harmed[1].startswith("26 patients; worse with the drug: PTSD symptoms over treatment")


def test_the_chapter_draws_lists_benefits_and_says_what_may_not_be_concluded(section: Section) -> None:
    drawn = [block.key for block in section.blocks if isinstance(block, Picture)]
    assert len(drawn) == len(set(drawn)) == 8
    assert all(block.alt for block in section.blocks if isinstance(block, Picture))
    (warning,) = (block for block in section.blocks if isinstance(block, Callout))
    assert "not medical advice" in plain(warning.items[0])
    assert len(warning.items) == 5
    rows = _table(section, "virtual_benefit")
    assert len(rows) == 3
    assert "(week 4)" in rows[0][2]


def test_without_the_shipped_trials_nothing_is_cited(
    small_trial: VirtualTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chapter, "run", lambda *_, **__: small_trial)
    (table,) = (b for b in chapter.virtual(()).blocks if isinstance(b, Table) and b.key == "virtual_pattern")
    assert all(isinstance(part, str) for row in table.rows for cell in row for part in cell)


def _with_means(found: Summary, *means: float) -> Summary:
    (one,) = found.unseen
    visits = tuple(replace(at, mean=mean) for at, mean in zip(one.visits, means, strict=True))
    return replace(found, unseen=(replace(one, visits=visits),))


@pytest.mark.parametrize(
    ("means", "said"),
    [((0.2, 0.05, 0.0), "Appears"), ((0.05, 0.2, 0.0), "Does not appear"), ((0.2, -0.05, 0.0), "Does not appear")],
)
def test_fading_is_said_to_appear_only_where_it_does(
    small_trial: VirtualTrial, means: tuple[float, ...], said: str
) -> None:
    found = _with_means(summarise(small_trial, with_patients=False), *means)
    assert chapter._fades(found).startswith(said)


def test_harm_and_a_change_of_sign_are_said_only_where_they_are(small_trial: VirtualTrial) -> None:
    found = summarise(small_trial, with_patients=False)
    assert chapter._harms(_with_means(found, 0.1, -0.1, 0.0)).startswith("Harm: mean benefit −0.100 SD")
    assert chapter._harms(_with_means(found, 0.1, 0.1, 0.0)).startswith("No harm on average")
    (one,) = found.unseen
    for last, said in ((-1.0, "the sign changes"), (0.5, "no change of sign")):
        bins = tuple(replace(at, sessions=100, less_fear=3.0 if i < 9 else last) for i, at in enumerate(one.by_fear))
        assert said in chapter._by_fear(replace(found, unseen=(replace(one, by_fear=bins),)))


@pytest.mark.slow
def test_the_pattern_of_the_shipped_protocols_at_default_constants(evidence: dict[str, Trial]) -> None:
    early, _, harmed = _table(chapter.virtual(tuple(evidence.values())), "virtual_pattern")
    assert early[2].startswith("Appears")
    assert harmed[2].startswith("Harm")
