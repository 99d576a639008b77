"""Contract: a bad record gives one sentence with file, line, field, what was given and what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from dualtrace.errors import EvidenceError, InputError
from dualtrace.evidence.lint import lint
from dualtrace.evidence.load import load, read_trial, read_trials, trial_files
from dualtrace.source_map import read_yaml

if TYPE_CHECKING:
    from pathlib import Path


def test_the_good_record_loads_without_findings(tmp_path: Path, good_record: str) -> None:
    path = tmp_path / "good2024.yaml"
    path.write_text(good_record, encoding="utf-8")
    assert lint([read_trial(path)]) == ()


SPOILED = [
    ("year: 2024", "yeer: 2024", r"bad\.yaml:4: yeer: there is no field of this name\. Check the spelling"),
    ("citation: Good A, 2024, a made-up trial for tests\n", "", r"citation: a required field is missing\. Add it"),
    ("disorder: SAD", "disorder: sadness", r"bad\.yaml:6: disorder: input should be 'SAD', 'PD'.*Given 'sadness'"),
    ("mean: 40, sd: 12", "mean: 40, sd: -12", r"treatment\.sd: input should be greater than 0\. Given -12"),
    ("n: 20, events: 9", "n: 20, events: 29", r"events \(29\) must not exceed n \(20\)"),
    ("n: 20, events: 9", "n: 20, percent: 109", r"percent: input should be less than or equal to 100\. Given 109"),
    ("mean: 40, sd: 12", "mean: 40, ci: [41, 47]", r"the interval must hold the mean; given mean 40, ci 41 to 47"),
    ("mean: 40, sd: 12", "mean: .nan, sd: 12", r"mean: input should be a finite number\. Given nan"),
    ("dose_mg: 50", "dose_mg: -5", r"a dose must be 0 mg or more; given -5 mg"),
    ("dose_mg: 50", "dose_mg: fifty", r"dose_mg: .*Given 'fifty'"),
    ("minutes: 60", "minutes: -60", r"minutes must be 0 or more \(use given: before/after\); given -60"),
    ("augmented: 4", "augmented: 9", r"augmented sessions \(9\) must not exceed sessions \(5\)"),
    ("n_randomized: 40", "n_randomized: 30", r"arms hold 40 randomised, more than the trial's 30"),
    ("source: paper, where: table 2", "source: papper, where: table 2", r"names the source 'papper'; sources holds paper"),
    ("source: paper, where: table 2", "where: table 2", r"source: a required field is missing"),
    ("treatment: [dcs], reference: [placebo]}\n    reported:\n      - {kind: means", "treatment: [dsc], reference: [placebo]}\n    reported:\n      - {kind: means", r"compares the arm 'dsc'; arms are \['dcs', 'placebo'\]"),
    ("kind: means", "kind: meens", r"input tag 'meens' found using 'kind' does not match any of the expected tags"),
    ("id: remission_post", "id: lsas_post", r"every outcome id must be unique; repeated: lsas_post"),
    ("  paper: {kind: full_text, url: \"https://example.org/good2024\"}", "  paper: {kind: full_text}", r"a source needs a url or a document"),
    ("https://example.org/good2024", "javascript:alert(1)", r"url: string should match pattern.*Given 'javascript:alert\(1\)'"),
    ("year: 2024\n", "year: 2024\nyear: 2025\n", r"bad\.yaml:5: year: the key stands twice\. Keep one of them"),
]  # fmt: skip


@pytest.mark.parametrize(("good", "bad", "message"), SPOILED, ids=[s[1][:30] for s in SPOILED])
def test_a_spoiled_record_says_where_and_what(
    tmp_path: Path, good_record: str, good: str, bad: str, message: str
) -> None:
    assert good in good_record
    path = tmp_path / "bad.yaml"
    path.write_text(good_record.replace(good, bad, 1), encoding="utf-8")
    with pytest.raises(EvidenceError, match=message) as caught:
        read_trial(path)
    assert all(p.path == path and p.line > 0 for p in caught.value.problems)


LAUGHS = "a0: &a0 [ha, ha]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id: &a [*a]\n", r"bad\.yaml:1: a file must not use YAML anchors \(&\) and aliases \(\*\); given &a\. Write"),
        ("id: *b\n", r"bad\.yaml:1: a file must not use .* given \*b\. Write the value out"),
        (LAUGHS, r"bad\.yaml:1: a file must not use .* given &a0"),
        ("id: x\nlabel: " + "[" * 20_000, r"bad\.yaml:2: .* at most 50 deep; here begins level 51\. Close the brackets"),
        ("{a: " * 20_000, r"bad\.yaml:1: .* at most 50 deep"),
        ("- " * 20_000 + "x", r"bad\.yaml:1: .* at most 50 deep"),
        ("[" * 51 + "]" * 51, r"bad\.yaml:1: .* at most 50 deep"),
        ("? [a, b]\n: c\n", r"bad\.yaml:1: a field name must be a word; given a list or a mapping"),
        ("id: !!float ''\n", r"bad\.yaml:1: id: '' cannot be read \(it does not fit tag:yaml\.org,2002:float\)"),
        ("id: !!python/object:os.system x\n", r"bad\.yaml:1: id: 'x' cannot be read \(could not determine a constructor"),
        ("id: 0x" + "F" * 9000, r"at most 100 characters, not 9,002\)\. Correct it, or quote it"),
        ("id: 1" + ":1" * 400_000, r"at most 100 characters, not 800,001\)"),
    ],
    ids=["recursive", "alias", "laughs", "lists", "mappings", "dashes", "51", "key", "float", "tag", "hex", "sexagesimal"],
)  # fmt: skip
def test_a_file_made_to_do_harm_is_refused_at_once(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(EvidenceError, match=message) as caught:
        read_trial(path)
    assert len(str(caught.value)) < 500


def test_depth_that_is_allowed_is_read(tmp_path: Path) -> None:
    path = tmp_path / "deep.yaml"
    path.write_text("[" * 50 + "]" * 50, encoding="utf-8")
    assert str(read_yaml(path).content) == "[" * 50 + "]" * 50


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"id: x\nlabel: caf\xe9\n", "the file is not UTF-8: byte 16 is 0xe9. Save it as UTF-8"),
        (b"id: x\nlabel: [a, b\n", "not valid YAML .* the file may be cut off"),
        (b'id: x\nlabel: "cut off he', "not valid YAML .* the file may be cut off"),
        (b"- just\n- a list\n", "valid dictionary"),
        (b"id: x\nyear: 2024-13-99\n", "'2024-13-99' cannot be read"),
        (b"#" * 1_000_001, "the file has 1,000,001 bytes; a record has at most 1,000,000"),
    ],
    ids=["empty", "latin1", "truncated list", "truncated string", "list", "bad date", "huge"],
)
def test_a_file_that_is_no_record_says_so(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    with pytest.raises(EvidenceError, match=message):
        read_trial(path)


def test_every_problem_of_a_file_is_reported_not_only_the_first(tmp_path: Path, good_record: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(
        good_record.replace("year: 2024", "yeer: 2024").replace("sd: 12", "sd: -12").replace("sd: 14", "sd: -14"),
        encoding="utf-8",
    )
    with pytest.raises(EvidenceError, match="yeer") as caught:
        read_trial(path)
    assert len(caught.value.problems) == 3


def test_an_id_that_is_taken_is_refused_and_the_first_kept(tmp_path: Path, good_record: str) -> None:
    for name in ("one.yaml", "two.yaml"):
        (tmp_path / name).write_text(good_record, encoding="utf-8")
    found, problems = read_trials(sorted(tmp_path.iterdir()))
    assert len(found) == 1
    assert re.search(r"two\.yaml:1: id: the id 'good2024' is taken by .*one\.yaml", str(problems[0]))


def test_good_files_beside_a_bad_one_are_still_read(tmp_path: Path, good_record: str) -> None:
    (tmp_path / "good.yaml").write_text(good_record, encoding="utf-8")
    (tmp_path / "worse.yaml").write_text("id: [", encoding="utf-8")
    found, problems = read_trials(sorted(tmp_path.iterdir()))
    assert [one.trial.id for one in found] == ["good2024"]
    assert len(problems) == 1


def test_a_missing_or_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a folder of trial files must exist; given .*nowhere"):
        trial_files(tmp_path / "nowhere", with_shipped=True)
    with pytest.raises(InputError, match=r"holds no \.yaml file; write one file per trial"):
        trial_files(tmp_path, with_shipped=True)


def test_a_user_folder_is_added_or_used_alone(tmp_path: Path, good_record: str) -> None:
    (tmp_path / "good2024.yaml").write_text(good_record, encoding="utf-8")
    assert [t.id for t in load(tmp_path, with_shipped=False)] == ["good2024"]
    together = [t.id for t in load(tmp_path)]
    assert "good2024" in together
    assert "hofmann2013" in together


FINDINGS = [
    ("instruments: [LSAS]", "instruments: [LSASS]", "instruments_exist", r"the scale 'LSASS' is not in the table"),
    ("url: \"https://example.org/good2024\"", "document: nowhere2020", "documents_exist", r"no entry 'nowhere2020'"),
    ("year: 2024", "year: 2024\nregistries: [NCT123]", "registries_well_formed", r"'NCT123' is no registry number"),
    ("dose_mg: 50", "dose_mg: 50000", "doses_plausible", r"50000 mg is above 1000 mg\. Check the unit"),
    ("agent: placebo,", "agent: placebo, dose_mg: 50,", "doses_plausible", r"a placebo arm holds no drug; given 50 mg"),
    ("given: before, minutes: 60", "given: daily", "timing_fits_design", r"daily dosing in a trial of augmented sessions"),
    ("dose_mg: 50,", "dose_mg: 50, n_doses: 8,", "timing_fits_design", r"8 doses but 5 sessions"),
    ("minutes: 60", "minutes: 6000", "timing_fits_design", r"6000 minutes is more than a day"),
    ("n_randomized: 40", "n_randomized: 44", "arms_add_up", r"arms hold 40 randomised, the trial 44"),
    ("n: 20, events: 9", "n: 25, events: 9", "counts_fit_arms", r"n = 25 but 20 were randomised"),
    ("n: 20, events: 9", "n: 20, percent: 47", "percentages_fit_counts", r"47 % of 20 is 9\.40 people"),
    ("mean: 40, sd: 12", "mean: 400, sd: 12", "scores_fit_scale", r"400 lies outside .*range 0 to 144"),
    ("mean: 40, sd: 12", "mean: 40, sd: 150", "scores_fit_scale", r"an SD of 150 exceeds the range"),
    ("where: table 2,", "where: table 2, favours: reference,", "side_fits_numbers", r"the numbers favour the treatment, the record says reference"),
]  # fmt: skip


@pytest.mark.parametrize(("good", "bad", "check", "message"), FINDINGS, ids=[f"{f[2]}-{f[1][:20]}" for f in FINDINGS])
def test_a_check_finds_what_it_is_named_for(
    tmp_path: Path, good_record: str, good: str, bad: str, check: str, message: str
) -> None:
    assert good in good_record
    path = tmp_path / "odd.yaml"
    path.write_text(good_record.replace(good, bad, 1), encoding="utf-8")
    findings = [p for p in lint([read_trial(path)]) if p.severity != "note"]
    assert {p.check for p in findings} == {check}
    assert re.search(message, str(findings[0])), str(findings[0])


REPORTS = [
    ("{kind: test, statistic: F, value: 2.2, df: [3, 32], p: 0.043, favours: treatment", "p_fits_test", "gives p = 0.107"),
    ("{kind: test, statistic: t, value: 2.5, df: [38], p: 0.5, favours: treatment", "p_fits_test", "gives p = 0.0169"),
    ("{kind: test, statistic: z, value: 1.0, p: '<0.05', favours: treatment", "p_fits_test", "gives p = 0.317"),
    ("{kind: difference, value: 1.0, ci: [-8, 2]", "intervals_centred", "1 is not in the middle of -8 to 2"),
    ("{kind: difference, value: -3, ci: [-6, -0.1], p: 0.4", "p_fits_interval", "p = 0.4 but the interval excludes 0"),
    ("{kind: regression, b: 0.1, ci: [-0.9, 1.1], p: 0.01", "p_fits_interval", "p = 0.01 but the interval holds 0"),
    ("{kind: smd, value: 7.1, favours: treatment", "effects_plausible", "d = 7.1 is larger than 3"),
]  # fmt: skip


@pytest.mark.parametrize(("report", "check", "message"), REPORTS, ids=[r[1] + r[2][-5:] for r in REPORTS])
def test_a_check_of_statistics_finds_what_it_is_named_for(
    tmp_path: Path, good_record: str, report: str, check: str, message: str
) -> None:
    lines = good_record.splitlines()
    place = next(i for i, line in enumerate(lines) if "kind: means" in line)
    lines[place] = f"      - {report}, source: paper, where: p 1, obtained: read}}"
    path = tmp_path / "odd.yaml"
    path.write_text("\n".join(lines), encoding="utf-8")
    findings = [p for p in lint([read_trial(path)]) if p.severity != "note"]
    assert [p.check for p in findings] == [check]
    assert message in str(findings[0])
    assert findings[0].line == place + 1


def test_a_recorded_conflict_turns_the_finding_into_a_note(tmp_path: Path, good_record: str) -> None:
    text = good_record.replace("n: 20, events: 9", "n: 20, percent: 47", 1).replace(
        "sources:\n",
        "conflicts:\n  - {about: remission, outcome: remission_post, claims: [{value: 47 %, source: paper}, {value: 9 of 20, source: paper}]}\nsources:\n",
    )
    path = tmp_path / "odd.yaml"
    path.write_text(text, encoding="utf-8")
    assert {(p.check, p.severity) for p in lint([read_trial(path)])} == {("percentages_fit_counts", "note")}
