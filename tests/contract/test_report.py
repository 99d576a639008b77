"""Contract of the report: complete, self-contained, traceable, the same twice."""

from __future__ import annotations

import csv
import re
from html.parser import HTMLParser
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from pypdf import PdfReader

from dualtrace.errors import InputError
from dualtrace.evidence.load import load
from dualtrace.report import page, pdf
from dualtrace.report.build import document, write
from dualtrace.report.document import (
    Bullets,
    Cite,
    Document,
    Folded,
    Line,
    Link,
    Paragraph,
    Section,
    Table,
    cited,
    pictures,
    plain,
    tables,
)

if TYPE_CHECKING:
    from pathlib import Path

    from dualtrace.evidence.record import Trial


@pytest.fixture(scope="module")
def trials() -> tuple[Trial, ...]:
    return load()


@pytest.fixture(scope="module")
def report(trials: tuple[Trial, ...]) -> Document:
    return document(trials)


@pytest.fixture(scope="module")
def html(report: Document) -> str:
    return page.render(report)


class Addresses(HTMLParser):
    """What the page loads, what it links to, and its anchors."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.alts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.loads += [value for key in ("src", "srcset") if (value := found.get(key))]
        if tag in ("link", "script", "iframe"):
            self.loads.append(found.get("href") or tag)
        if tag == "a":
            self.links.append(found.get("href") or "")
        if tag == "img":
            self.alts.append(found.get("alt") or "")
        if identity := found.get("id"):
            self.ids.append(identity)


def parsed(text: str) -> Addresses:
    parser = Addresses()
    parser.feed(text)
    return parser


def test_the_page_needs_no_network(html: str) -> None:
    assert all(load.startswith("data:image/svg+xml;base64,") for load in parsed(html).loads)
    assert "@import" not in html
    assert "url(" not in html


def test_every_link_inside_the_page_has_its_target_and_ids_are_unique(html: str) -> None:
    found = parsed(html)
    assert len(found.ids) == len(set(found.ids))
    assert not [link for link in found.links if link.startswith("#") and link[1:] not in found.ids]


def test_every_chapter_a_reader_expects_is_there(report: Document) -> None:
    keys = [section.key for section in report.sections]
    for key in (
        "summary",
        "reading",
        "results",
        "disorders",
        "elsewhere",
        "protocols",
        "dual-effect",
        "others",
        "gaps",
        "records",
    ):
        assert key in keys
    for disorder in ("sad", "pd", "ocd", "ptsd", "specific_phobia"):
        assert f"disorder-{disorder}" in keys
        assert f"protocols-{disorder}" in keys


def test_forest_plots_cover_severity_response_and_remission(report: Document) -> None:
    drawn = {picture.key for picture in pictures(report)}
    wanted = {f"forest_severity_{t}" for t in ("mid", "post", "followup")}
    wanted |= {f"forest_{o}_{t}" for o in ("response", "remission") for t in ("post", "followup")}
    wanted |= {f"forest_{d}" for d in ("sad", "pd", "ocd", "ptsd", "specific_phobia")}
    assert wanted | {"direction", "albatross", "others", "timing_dose"} <= drawn


def test_every_figure_says_in_words_what_it_shows_and_which_side_is_benefit(report: Document) -> None:
    for picture in pictures(report):
        assert len(picture.alt) > 60, picture.key
        assert "D-cycloserine" in picture.alt, picture.key


def test_a_mixture_of_kinds_is_marked_where_it_stands(report: Document) -> None:
    mixed = [s for s in report.sections if s.key.startswith("forest-severity-mixed")]
    assert len(mixed) == 3
    for section in mixed:
        texts = [b.line for b in section.blocks if isinstance(b, Paragraph)]
        assert any("mixture" in str(text) for text in texts), section.key


def test_every_trial_conflict_and_exclusion_is_shown(report: Document, trials: tuple[Trial, ...]) -> None:
    by_key = {table.key: table for table in tables(report)}
    assert len(by_key["conflicts"].rows) == sum(len(t.conflicts) for t in trials)
    moderators = sum(
        len(table.rows)
        for key, table in by_key.items()
        if key.startswith("moderators_") and key != "moderators_published"
    )
    assert moderators == sum(len(t.moderators) for t in trials)
    assert {f"record_{t.id}" for t in trials if t.outcomes} <= set(by_key)
    protocols = sum(len(table.rows) for key, table in by_key.items() if key.startswith("protocols_"))
    left_out = len(by_key["left_out"].rows)
    assert protocols >= len(trials) - left_out


def test_every_reported_number_stands_beside_its_source(report: Document, trials: tuple[Trial, ...]) -> None:
    by_key = {table.key: table for table in tables(report)}
    for trial in trials:
        if trial.outcomes:
            rows = by_key[f"record_{trial.id}"].rows
            assert len(rows) == sum(len(o.reported) for o in trial.outcomes)
            assert all(cell for row in rows for cell in row)


def cards(report: Document) -> dict[str, Folded]:
    section = next(s for s in report.sections if s.key == "records")
    found = [block for block in section.blocks if isinstance(block, Folded)]
    return {_trial_of(card): card for card in found}


def _trial_of(card: Folded) -> str:
    head = card.blocks[0]
    assert isinstance(head, Paragraph)
    return next(part.key for part in head.line if isinstance(part, Cite))


def lines_of(folded: Folded) -> list[Line]:
    return [
        line
        for block in folded.blocks
        for line in (
            (block.line,) if isinstance(block, Paragraph) else block.items if isinstance(block, Bullets) else ()
        )
    ]


def test_every_card_shows_places_of_the_design_bias_and_all_sources(
    report: Document, trials: tuple[Trial, ...]
) -> None:
    found = cards(report)
    assert list(found) == [trial.id for trial in trials]
    for trial in trials:
        folded = found[trial.id].blocks[-1]
        assert isinstance(folded, Folded)
        lines = lines_of(folded)
        text = "\n".join(plain(line) for line in lines)
        links = {part.text for line in lines for part in line if isinstance(part, Link)}
        places = [f"{p.source}, {p.where}" if p.where != p.source else p.source for p in trial.design.places]
        assert all(f": {place}\n" in text for place in places), trial.id
        assert all(f"{one.domain[1:]}: {one.judgement} ({one.source})" in text for one in trial.risk_of_bias)
        assert links == set(trial.sources), f"{trial.id}: every source must be listed and open"
        assert "rests on the list of sources below as a whole" in text
        assert ("No published judgement is recorded" in text) is not bool(trial.risk_of_bias)


def test_a_source_that_no_table_knows_is_listed_without_a_link(tmp_path: Path, good_record: str) -> None:
    text = good_record.replace('url: "https://example.org/good2024"', "document: nowhere2020")
    (tmp_path / "good2024.yaml").write_text(text, encoding="utf-8")
    html = page.render(document(load(tmp_path, with_shipped=False)))
    assert "<li>paper, full text</li>" in html


def test_references_are_those_cited_and_can_be_opened(report: Document) -> None:
    assert [entry.key for entry in report.references] == list(cited(report.sections))
    assert all(entry.url.startswith("http") for entry in report.references)


def test_not_medical_advice_is_said_once_where_it_matters(html: str) -> None:
    assert html.count("not medical advice") == 1


def test_the_pdf_holds_the_same_words_and_is_the_same_twice(report: Document) -> None:
    first = pdf.render(report)
    assert first == pdf.render(report)
    text = " ".join(sheet.extract_text() for sheet in PdfReader(BytesIO(first)).pages)
    flat = re.sub(r"\s+", " ", text)
    for title in ("In short", "How it was done", "Conflicts and gaps", "References"):
        assert title in flat
    assert len(PdfReader(BytesIO(first)).pages) < 60


def test_files_are_written_and_figures_are_the_same_twice(
    tmp_path: Path, report: Document, trials: tuple[Trial, ...]
) -> None:
    stages: list[str] = []
    written = write(report, trials, tmp_path, with_pdf=True, progress=stages.append)
    assert [path.name for path in written] == ["index.html", "report.pdf"]
    assert stages == ["tables", "figures", "page", "PDF"]
    for picture in pictures(report):
        assert (tmp_path / "figures" / f"{picture.key}.svg").read_bytes() == picture.wide
        assert (tmp_path / "figures" / f"{picture.key}.png").read_bytes().startswith(b"\x89PNG")
    for table in tables(report):
        rows = list(csv.reader((tmp_path / "tables" / f"{table.key}.csv").read_text(encoding="utf-8").splitlines()))
        assert len(rows) >= len(table.rows) + 1
    again = {p.key: p.wide for p in pictures(document(trials))}
    assert again == {p.key: p.wide for p in pictures(report)}


def test_links_of_the_page_to_files_lead_to_files(
    tmp_path: Path, report: Document, trials: tuple[Trial, ...], html: str
) -> None:
    write(report, trials, tmp_path)
    local = [link for link in parsed(html).links if not link.startswith(("http", "#"))]
    assert local
    assert not [link for link in local if not (tmp_path / link).exists()]


def test_a_folder_that_cannot_be_written_is_refused(
    tmp_path: Path, report: Document, trials: tuple[Trial, ...]
) -> None:
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    with pytest.raises(InputError, match=r"the report cannot be written to .*taken .*choose another --output"):
        write(report, trials, tmp_path / "taken")


def test_a_report_of_one_own_trial_is_made(tmp_path: Path, good_record: str) -> None:
    (tmp_path / "good2024.yaml").write_text(good_record, encoding="utf-8")
    own = load(tmp_path, with_shipped=False)
    text = page.render(document(own))
    assert "Good 2024" in text


def test_nothing_to_pool_is_a_sentence(tmp_path: Path, good_record: str) -> None:
    (tmp_path / "good2024.yaml").write_text(good_record.replace("disorder: SAD", "disorder: BDD"), encoding="utf-8")
    with pytest.raises(InputError, match="no trial in scope reports anything that can be pooled"):
        document(load(tmp_path, with_shipped=False))


def test_text_of_records_cannot_break_the_page() -> None:
    line = ("<script>alert(1)</script> & ", Cite("x"))
    section = Section("s", "a < b", (Table("t", "<b>", ("h",), ((line,),)),))
    from dualtrace.report.document import Entry

    text = page.render(Document("t", "s", (section,), (Entry("x", "c & d", "https://example.org/?a=1&b=2"),), "c"))
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "<h2>a &lt; b</h2>" in text
