"""The chapter on robustness: its numbers are those of the library, and few trials give sentences, not numbers."""

from __future__ import annotations

import pytest

from dualtrace.evidence.load import load
from dualtrace.pooling import bayesian, partial
from dualtrace.pooling.robustness import partial_leave_out
from dualtrace.pooling.small_study.trim_and_fill import trim_and_fill
from dualtrace.pooling.synthesis import columns
from dualtrace.report.analysis import HEADLINE, MIXED, Analysis, analyse
from dualtrace.report.bias import METHODS, Finding, Numbers, finding
from dualtrace.report.document import Bullets, Document, Section, pictures, plain, tables
from dualtrace.report.robustness import robustness
from dualtrace.report.sections.robustness import TOO_FEW, robustness_chapter, spread
from dualtrace.report.words import estimate


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyse(load())


@pytest.fixture(scope="module")
def chapter(analysis: Analysis) -> tuple[Section, ...]:
    return robustness_chapter(analysis)


@pytest.fixture(scope="module")
def document(chapter: tuple[Section, ...]) -> Document:
    return Document("t", "s", chapter, (), "c")


def test_contract_the_chapter_has_its_parts(document: Document) -> None:
    assert [section.key for section in document.sections] == [
        "robustness",
        "robustness-single",
        "robustness-years",
        "robustness-unpublished",
        "robustness-priors",
    ]
    assert [picture.key for picture in pictures(document)] == ["leave_out", "cumulative", "funnel", "posterior"]
    assert [table.key for table in tables(document)] == ["influence", "bias_methods", "prior_sensitivity"]


def test_contract_methods_print_what_the_library_computes(analysis: Analysis, document: Document) -> None:
    table = next(table for table in tables(document) if table.key == "bias_methods")
    assert len(table.rows) == len(METHODS)
    for question, column in ((HEADLINE, 1), (MIXED, 2)):
        numbers = Numbers.of(analysis.syntheses[question].overall.effects)
        assert f"k = {numbers.k}" in table.headers[column]
        for method, row in zip(METHODS, table.rows, strict=True):
            assert plain(row[column]) == str(finding(method, numbers))
        fit = trim_and_fill(numbers.y, numbers.v, test="knha").fit
        filled = next(row for row in table.rows if plain(row[0]).startswith("Trim and fill"))
        assert plain(filled[column]).startswith(
            estimate(float(fit.beta[0]), float(fit.ci_lb[0]), float(fit.ci_ub[0]))
        )


def test_contract_every_estimate_has_an_interval_and_every_method_says_what_it_assumes(document: Document) -> None:
    table = next(table for table in tables(document) if table.key == "bias_methods")
    for row in table.rows:
        for cell in row[1:3]:
            text = plain(cell)
            assert " to " in text or "not apply" in text or "no estimate" in text or "not determined" in text
        assert all(plain(cell).endswith(".") for cell in row[3:])


def test_contract_leaving_out_and_priors_print_what_the_library_computes(
    analysis: Analysis, document: Document
) -> None:
    effects = analysis.syntheses[HEADLINE].overall.effects
    y, v, low, high = columns(effects)
    labels = [effect.label for effect in effects]
    fits = partial_leave_out.leave_one_out(y, v, lo=low, hi=high, slab=labels)
    bullets = next(block for block in document.sections[0].blocks if isinstance(block, Bullets))
    assert plain(bullets.items[0]).endswith(spread(fits, "any one trial"))
    kept = [label != "Scheeringa 2014" for label in labels]
    one = partial.fit(y[kept], v[kept], lo=low[kept], hi=high[kept])
    text = estimate(float(one.beta[0]), float(one.ci_lb[0]), float(one.ci_ub[0]))
    assert f"{text} (without Scheeringa 2014)" in plain(bullets.items[0])
    posterior = bayesian.fit(y, v, lo=low, hi=high, tau_prior=bayesian.half_normal(0.5))
    summary = posterior.mu_summary
    table = next(table for table in tables(document) if table.key == "prior_sensitivity")
    assert plain(table.rows[0][1]) == estimate(summary.median, summary.ci_lb, summary.ci_ub)


def test_contract_few_trials_give_sentences(analysis: Analysis) -> None:
    grouped = analysis.syntheses[HEADLINE]
    few = next(s for s in grouped.by_disorder.values() if s.n_exact < 3)
    for method in METHODS:
        assert str(finding(method, Numbers.of(few.effects))) == "needs at least 3 trials with numbers"
    assert str(Finding(adjusted=(0.0, -5.0, 5.0))) == "not determined (interval wider than 6)"
    empty = Analysis(analysis.trials, analysis.pooled, {}, (), ())
    (section,) = robustness_chapter(empty)
    assert plain(section.blocks[0].line) == TOO_FEW  # type: ignore[union-attr]  # a paragraph
    found = robustness(few)
    assert found is None or found.exact is None
