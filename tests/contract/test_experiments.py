"""Contract: experiment files, the contrast language and the one-line notation say what is wrong, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dualtrace.errors import EvidenceError, InputError
from dualtrace.experiments.contrast import parse_contrast, parse_term
from dualtrace.experiments.lint import lint
from dualtrace.experiments.load import catalogue, experiment_files, load_experiment, load_experiments
from dualtrace.experiments.notation import parse_design
from dualtrace.experiments.procedure import procedure_of
from dualtrace.experiments.run import run
from dualtrace.experiments.score import Outcome, score
from dualtrace.mechanism.memory.registry import memory_model

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """\
id: mine
title: "An experiment of my own"
family: basic/renewal
paradigm: cued
species: rat
strength: core
split: held_out
citation: "Me 2026"
where: {text: "my notebook", place: results}
phases:
  - {name: acquisition, kind: acquisition, cs: X, us: 1, n: 5}
  - {name: extinction, kind: extinction, after_h: 24, context: B, cs: X, n: 20}
  - {name: test, kind: test, after_h: 24, cs: X, n: 2}
factors:
  place:
    ABA: {test.context: A}
    ABB: {test.context: B}
findings:
  - says: "fear renews"
    contrast: "fear[ABA@test] > fear[ABB@test]"
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_user_adds_an_experiment_as_one_file(tmp_path: Path) -> None:
    experiment = load_experiment(write(tmp_path, GOOD))
    assert lint([(tmp_path / "mine.yaml", experiment)]) == ()
    scored = score(run(memory_model("dual_trace"), [experiment]))
    assert [s.outcome for s in scored] == [Outcome.PASS]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: test,", "kind: exam,", r"mine.yaml:13: phases\[2\].kind: input should be 'onset'"),
        (
            "after_h: 24, context",
            "after_h: -24, context",
            r"mine.yaml:12: phases\[1\].after_h: input should be greater",
        ),
        ("fear[ABB@test]", "fear[AAB@test]", r"names the group 'AAB', which does not exist; groups: ABA, ABB"),
        ("fear[ABB@test]", "fear[ABB@exam]", r"names the phase 'exam', which does not exist; phases: acquisition"),
        ("test.context: B", "exam.context: B", r"factors.place.ABB sets 'exam.context', but there is no such phase"),
        ("test.context: B", "test.place: B", r"factors.place.ABB sets 'test.place', but there is no such phase"),
        (
            "test.context: B",
            "extinction.drug: {name: dcs, gain: high}",
            r"group ABB: drug.0: a drug needs exactly one time, before_h or after_h \(hours\); dcs has none",
        ),
        (
            "test.context: B",
            "extinction.drug: {name: dcs, gain: high, after_h: -1}",
            r"group ABB: drug.0.after_h: Input should be greater than or equal to 0",
        ),
        (
            "test.context: B",
            "extinction.drug: {name: dcs, after_h: 1}",
            r"dcs needs exactly one amount: gain \(low, medium, high\) or dose_mg",
        ),
        ("cs: X, us: 1", "cs: XX, us: 1", r"cs names each cue of the compound once; given 'XX'"),
        ("  place:", "  other: {ABA: {}}\n  place:", r"levels must have different names, .*; 'ABA' stands twice"),
        ("n: 20}", "n: 20}\n  - {name: test, kind: test}", r"phases must have different names; 'test' stands twice"),
        ("> fear[ABB", "? fear[ABB", r"a contrast compares two sides with <, >, <=, >= or ~; given"),
        ("fear[ABB@test]", "terror[ABB@test]", r"a quantity is one of fear, trials; given 'terror'"),
        ("split: held_out", "split: spare", r"mine.yaml:7: split: input should be 'training' or 'held_out'"),
        ('where: {text: "my notebook", place: results}\n', "", r"findings\[0\] does not say where it was read"),
        (
            "id: mine",
            "id: yours",
            r"mine.yaml:1: id: the file must be named after its id, yours.yaml; it is mine.yaml",
        ),
        (
            'contrast: "fear[ABA@test] > fear[ABB@test]"',
            "note: x",
            r"a finding needs a contrast, or not_simulated with the reason|there is no field of this name",
        ),
    ],
)
def test_a_bad_file_is_refused_with_file_and_field(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(EvidenceError, match=message) as refused:
        load_experiment(write(tmp_path, GOOD.replace(old, new)))
    assert "mine.yaml" in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "test.context: B",
            "extinction.drug: {name: aspirin, gain: high, after_h: 0}",
            r"a drug must be one of dcs, .*; given 'aspirin'",
        ),
        (
            "test.context: B",
            "extinction.drug: {name: mk801, dose_mg: 3, after_h: 0}",
            r"group ABB: only dcs can be given in mg; state a gain (low, medium, high) for mk801",
        ),
        (
            "test.context: B",
            "extinction.drug: {name: dcs, dose_mg: 50000, after_h: 0}",
            r"group ABB: a dose must be between 0 and 1000 mg; given 50000 mg",
        ),
        (
            "test.context: B",
            "extinction.drug: {name: dcs, dose_mg: 50, after_h: 500}",
            r"group ABB: a dose lies within 1440 minutes",
        ),
        ("n: 20}", "n: 900, sessions: 9, every_h: 24}", r"a group is shown at most 5,000 presentations; given 8,107"),
        ("test.context: B", "test.skip: true", r"group ABB has no presentation in phase 'test'"),
        ("> fear[ABB@test]", "> fear[ABA@test]", r"compares a quantity with itself"),
        (
            'contrast: "fear[ABA@test] > fear[ABB@test]"',
            'contrast: "fear[ABA@test] > fear[ABB@test]"\n    values: [{term: "fear[ABA@test]", mean: 69}]',
            r"has a mean of 69; fear lies between 0 and 1",
        ),
        ("split: held_out", "split: held_out\nregime: nowhere", r"there is no experiment 'nowhere'"),
    ],
)
def test_the_linter_says_what_looks_wrong_and_where(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new))
    problems = lint([(path, load_experiment(path))])
    found = "\n".join(map(str, problems))
    assert message.replace("\\", "").split(".*")[0] in found
    assert all(problem.line > 0 for problem in problems)


def test_the_linter_names_what_has_no_default(tmp_path: Path) -> None:
    text = GOOD.replace("paradigm: cued", "paradigm: clinical").replace("kind: extinction", "kind: preexposure")
    path = write(tmp_path, text.replace(" n: 20", " every_min: 2"))
    problems = lint([(path, load_experiment(path))])
    assert (
        "phase 'acquisition' must state every_min: there is no default for acquisition in a clinical paradigm"
        in str(problems[0])
    )


def test_the_shipped_catalogue_is_clean_and_whole() -> None:
    files = experiment_files(None)
    experiments = catalogue()
    assert len(experiments) == len(files) == 90
    assert lint(list(zip(files, experiments, strict=True))) == ()
    assert {e.split for e in experiments} == {"training", "held_out"}


def test_every_experiment_says_where_its_findings_were_read() -> None:
    for experiment in catalogue():
        for finding in experiment.findings:
            where = finding.where or experiment.where
            assert where is not None
            assert where.text
            assert where.place, experiment.id


def test_a_folder_without_experiments_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no .yaml file; one experiment is one file"):
        load_experiments(tmp_path)
    with pytest.raises(InputError, match=r"there is no file or folder .*nowhere"):
        load_experiments(tmp_path / "nowhere")


def test_the_notation_compiles_to_the_same_rows_as_phases(tmp_path: Path) -> None:
    line = "acquisition=A: 5X+ | extinction=B: 20X- @24h {dcs high before 0.5h} | test=A: 2X- @24h"
    head, _, tail = GOOD.partition("phases:")
    findings = tail[tail.index("findings:") :]
    noted = head + f'design:\n  ABA: "{line}"\n  ABB: "{line.replace("test=A", "test=B")}"\n' + findings
    whole = load_experiment(
        write(
            tmp_path,
            GOOD.replace(
                "ABA: {test.context: A}",
                "ABA: {test.context: A, extinction.drug: {name: dcs, gain: high, before_h: 0.5}}",
            ).replace(
                "ABB: {test.context: B}",
                "ABB: {test.context: B, extinction.drug: {name: dcs, gain: high, before_h: 0.5}}",
            ),
        )
    )
    short = load_experiment(write(tmp_path, noted))
    for levels in (("ABA",), ("ABB",)):
        assert procedure_of(whole, levels).rows == procedure_of(short, levels).rows


def test_the_notation_of_the_field_reads_as_users_know_it() -> None:
    first, second, third = parse_design("A: 10CS+ | B: 20CS- @24h | A: 1CS-")
    assert (first.kind, first.context, first.n, first.us) == ("acquisition", "A", 10, 1.0)
    assert (second.kind, second.context, second.n, second.us, second.after_h) == ("extinction", "B", 20, 0.0, 24.0)
    assert (third.name, third.context, third.n) == ("test", "A", 1)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("10CS+ | A: 1CS-", r"a phase reads like 'A: 10CS\+ @24h'; given '10CS\+'"),
        ("A: 10CS | A: 1CS-", r"'10CS' in 'A: 10CS' needs \+ \(reinforced\) or - \(not reinforced\)"),
        ("A: ten+ | A: 1CS-", r"'ten\+' in 'A: ten\+' is not of the form 10CS\+, 20CS-, 2US or 30min"),
        ("A: 10CS+ | B: @24h", r"a phase presents something"),
        ("A: 5000CS+ | B: 1CS-", r"'A: 5000CS\+ \| B: 1CS-': n: .* less than or equal to 1000; given 5000"),
        ("A: 5CS+ | B: 1CS- @-3h", r"after_h: .* greater than or equal to 0; given -3"),
        ("A: 10CS+ {dcs high} | A: 1CS-", r"a drug reads like \{dcs high before 0.5h\}"),
    ],
)
def test_the_notation_says_what_it_cannot_read(line: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_design(line)


def test_contrasts_read_sums_numbers_and_selectors() -> None:
    contrast = parse_contrast("fear[a@x.last4] - 2*fear[b,c@y] + 0.1 < 0.3 ~ fear[@t.first]")
    left = contrast.sides[0]
    assert [(t.phase, t.end, t.count, t.factor) for t in left.terms] == [("x", "last", 4, 1.0), ("y", "", 1, -2.0)]
    assert left.terms[1].levels == {"b", "c"}
    assert left.constant == pytest.approx(0.1)
    assert [relation.value for relation in contrast.relations] == ["<", "~"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fear[a@x]", r"a contrast compares two sides"),
        ("fear[a@x] < ", r"cannot be read at ''"),
        ("fear[a] < fear[b@x]", r"a quantity reads like fear\[levels@phase\]"),
        ("fear[a@x] 3 < 1", r"cannot be read at '3'"),
        ("fear[a@x.middle] < 1", r"a quantity reads like"),
    ],
)
def test_contrasts_say_what_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_contrast(text)


def test_a_single_quantity_is_one_quantity() -> None:
    with pytest.raises(InputError, match=r"one quantity is needed"):
        parse_term("fear[a@x] - fear[b@x]")
