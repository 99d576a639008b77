"""Protocols of published records: for every record, nothing reported is overridden and every gap is listed."""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING

import jsonschema
import pytest
import yaml

from dualtrace.errors import InputError
from dualtrace.evidence.load import load, read_trial
from dualtrace.evidence.record import Timepoint
from dualtrace.simulation.from_trial import protocol_of
from dualtrace.simulation.load import (
    EXAMPLES,
    example_protocols,
    find_protocol,
    parse_protocol,
    protocol_content,
    protocol_yaml,
)
from dualtrace.simulation.schema import SCHEMA_FILE, protocol_schema
from dualtrace.simulation.show import show_protocol
from dualtrace.simulation.trial_arms import rule_in_words
from dualtrace.simulation.trial_sessions import PROSE

if TYPE_CHECKING:
    from pathlib import Path

    from dualtrace.evidence.record import Trial
    from dualtrace.simulation.protocol import Protocol

TRIALS = {trial.id: trial for trial in load()}
THERAPY = [trial for trial in TRIALS.values() if trial.design.exposure == "therapy"]
PROTOCOLS = {trial.id: protocol_of(trial) for trial in THERAPY}
by_trial = pytest.mark.parametrize("trial", THERAPY, ids=lambda trial: trial.id)


def fields(protocol: Protocol) -> set[str]:
    return {one.field for one in protocol.assumed}


def test_contract_every_record_gives_a_protocol_or_a_sentence() -> None:
    assert len(THERAPY) > 50
    for trial in TRIALS.values():
        if trial.design.exposure != "therapy":
            what = (
                "is a laboratory assay" if trial.design.exposure == "laboratory" else "gave the drug without exposure"
            )
            with pytest.raises(InputError, match=f"of drug and therapy; {trial.id} {what}"):
                protocol_of(trial)


@by_trial
def test_contract_the_protocol_is_valid_and_reads_back_from_its_file(trial: Trial) -> None:
    protocol = PROTOCOLS[trial.id]
    assert parse_protocol(protocol_yaml(protocol)) == protocol
    assert protocol.id == trial.id
    assert protocol.population == (trial.population or "adult")
    assert show_protocol(protocol) == str(protocol)
    assert set(protocol.people.baseline) == set(protocol.instruments)


@by_trial
def test_contract_reported_sessions_are_kept_and_others_are_listed(trial: Trial) -> None:
    protocol, told = PROTOCOLS[trial.id], trial.design.sessions
    sessions, listed = protocol.sessions, fields(PROTOCOLS[trial.id])
    dosed = protocol.arms[0].dosed_sessions(sessions)
    joined = PROSE[trial.id].joined if trial.id in PROSE else 1
    assert told.total in (None, joined * len(sessions))
    assert told.augmented in (None, len(dosed))
    assert told.total is not None or "therapy.sessions" in listed
    for reported, field, values in (
        (told.minutes, "therapy.sessions.minutes", {one.minutes / joined for one in sessions}),
        (told.interval_days, "therapy.every_days", {b.day - a.day for a, b in itertools.pairwise(sessions)}),
    ):  # fmt: skip
        exact = reported is not None and reported.is_exact
        if exact and reported is not None:
            assert all(value == pytest.approx(reported.low) for value in values)
        assert exact or not values or field in listed or trial.id in PROSE
    assert all(sessions[number - 1].exposures > 0 for number in dosed)
    assert {"therapy.sessions.exposures", "therapy.sessions.exposure_minutes"} <= listed


@by_trial
def test_contract_reported_arms_are_kept_and_others_are_listed(trial: Trial) -> None:
    protocol, listed = PROTOCOLS[trial.id], fields(PROTOCOLS[trial.id])
    for arm in trial.design.arms:
        here = f"arms.{arm.id}"
        if arm.id not in {one.id for one in protocol.arms}:
            assert here in listed
            continue
        made = protocol.arm(arm.id)
        assert made.label == arm.label
        if made.is_placebo:
            assert arm.is_placebo or f"{here}.agent" in listed
            continue
        if arm.dose_mg_per_kg is not None:
            assert made.dose_mg_per_kg == arm.dose_mg_per_kg
        elif arm.dose_mg is not None and arm.dose_mg.is_exact:
            assert made.dose_mg == arm.dose_mg.low
        else:
            assert {f"{here}.dose_mg", f"{here}.bands"} & listed
        timing = arm.timing
        assert f"{here}.give" in listed if timing is None else made.give == timing.given
        if timing is not None and timing.minutes is not None and timing.minutes.is_exact:
            assert made.minutes == timing.minutes.low
        else:
            assert f"{here}.minutes" in listed
        assert (arm.contingency is not None) == (f"{here}.if" in listed)


@by_trial
def test_contract_reported_sizes_are_kept_and_others_are_listed(trial: Trial) -> None:
    protocol, listed = PROTOCOLS[trial.id], fields(PROTOCOLS[trial.id])
    told = {arm.id: arm.n_randomized or arm.n_analyzed for arm in trial.design.arms}
    sizes = [told[arm.id] for arm in protocol.arms]
    if all(sizes):
        assert protocol.patients == sum(size or 0 for size in sizes)
        assert [protocol.patients * share / sum(protocol.ratio) for share in protocol.ratio] == pytest.approx(sizes)
    else:
        assert "randomisation.ratio" in listed
        known = trial.design.n_randomized or trial.design.n_analyzed
        assert protocol.patients == known if known else "patients" in listed
    assert "randomisation.blocks" in listed
    if trial.design.antidepressants == "excluded":
        assert protocol.people.antidepressants == 0
        assert "people.antidepressants" not in listed
    else:
        assert "people.antidepressants" in listed
    if trial.design.antidepressants == "allowed":
        assert (protocol.people.antidepressants or 0) > 0
    assert {"people.dropout", "people.age_years.mean", "people.weight_kg.sd"} <= listed


@by_trial
def test_contract_reported_time_points_are_kept_and_others_are_listed(trial: Trial) -> None:
    protocol, listed = PROTOCOLS[trial.id], fields(PROTOCOLS[trial.id])
    last = protocol.sessions[-1].day
    post = next(one for one in protocol.assessments if one.timepoint is Timepoint.POST)
    made = {one.weeks_after_last for one in protocol.assessments if one.timepoint is Timepoint.FOLLOWUP}
    left_out = {one.value for one in protocol.assumed if one.field == "assessments.followup"}
    for week in trial.design.followups_weeks:
        stands_for_post = post.day(protocol.sessions) - last == pytest.approx(7 * week)
        assert week in made or stands_for_post or f"without week {week:g}" in left_out
    assert {"assessments.post", "assessments.post.weeks_after_last"} & listed
    for key in trial.design.registered_primary:
        if key in protocol.instruments:
            assert protocol.primary in trial.design.registered_primary
    reported = {key for one in trial.outcomes for key in one.instruments}
    if not set(protocol.instruments) & (reported | set(trial.design.registered_primary)):
        assert "assessments.instruments" in listed


def test_contract_known_records_read_as_they_were_run() -> None:
    smits = PROTOCOLS["smits2020"]
    assert smits.arm("dcs_tailored").rule == "last_suds < 40"
    assert smits.arm("dcs_post").dosed_sessions(smits.sessions) == (2, 3, 4, 5)
    assert PROTOCOLS["hofmann2013"].arm("dcs").dosed_sessions(PROTOCOLS["hofmann2013"].sessions) == (3, 4, 5, 6, 7)
    assert PROTOCOLS["hofmeijer_sevink2017"].arms[0].sessions == (1, 2, 3, 4, 5, 6)
    assert [(b.below_kg, b.dose_mg) for b in PROTOCOLS["storch2010"].arm("dcs").bands] == [(46, 25), (None, 50)]
    assert [one.exposures > 0 for one in PROTOCOLS["kvale2020"].sessions] == [False, True, True, False]
    assert [arm.id for arm in PROTOCOLS["rothbaum2014"].arms] == ["dcs", "placebo"]
    farrell = PROTOCOLS["farrell2022"].people.baseline["CY-BOCS"]
    assert farrell.mean == pytest.approx((49 * 27.2 + 51 * 27.4) / 100)
    assert farrell.sd == pytest.approx(((48 * 4.2**2 + 50 * 3.9**2) / 98) ** 0.5)
    assert PROTOCOLS["sheerin2014"].arm("dcs").rule is None
    assert any("not modelled: DCS after the session only" in one.why for one in PROTOCOLS["sheerin2014"].assumed)


def test_contract_readings_of_prose_fit_their_records() -> None:
    for key, reading in PROSE.items():
        told = TRIALS[key].design.sessions
        assert len(reading.dosed) == told.augmented
        assert max(reading.exposures) <= (told.total or 0)


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        ("DCS after the session if fear at its end is below 40 SUDS, otherwise placebo", "last_suds < 40"),
        ("only when distress was at most 30", "last_suds <= 30"),
        ("given if fear fell by at least 50 % within the session", "suds_drop >= 0.5 * peak_suds"),
        ("given if SUDS fell by 20 points", "suds_drop >= 20"),
        ("given only after an exposure judged successful; at most three", None),
        ("only if a rule on distress ratings of the session said that enough had been learnt", None),
        ("patients with fear below 40 % of the maximum", None),
    ],
)
def test_contract_rules_in_words_are_read_where_they_are_plain(words: str, rule: str | None) -> None:
    assert rule_in_words(words) == rule


def test_contract_a_users_record_gives_a_protocol(good_record: str, tmp_path: Path) -> None:
    path = tmp_path / "good2024.yaml"
    path.write_text(good_record, encoding="utf-8")
    protocol = protocol_of(read_trial(path).trial)
    assert protocol.arm("dcs").dosed_sessions(protocol.sessions) == (2, 3, 4, 5)
    assert (protocol.patients, protocol.ratio, protocol.primary) == (40, (1, 1), "LSAS")
    path.write_text(good_record.replace("agent: placebo", "agent: ketamine"), encoding="utf-8")
    with pytest.raises(
        InputError, match=r"at least two arms with placebo or an agent of the mechanism; good2024 has 1"
    ):
        protocol_of(read_trial(path).trial)


def test_contract_a_protocol_in_words_names_arms_rules_and_assumptions() -> None:
    text = str(find_protocol("sad_pre_vs_post_vs_tailored"))
    for line in (
        r"  dcs_tailored  50 mg d-cycloserine  right after    2-5       last_suds < 40",
        r"  2-5       7, 14, 21, 28  105      10 of 6 min",
        r"  before_4    mid         day 21   after session 3  LSAS, SPD-S",
        r"  1:1:1:1, in blocks of 4 or 8",
        r"  therapy.sessions\[0\].minutes: 105 \(the middle of the reported 90 to 120\) \[smits2020\]",
    ):
        assert re.search(f"^{line}$", text, re.MULTILINE), line


def test_contract_the_stored_schema_is_current_and_fits_every_protocol() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == json.dumps(protocol_schema(), indent=2) + "\n"
    validator = jsonschema.Draft202012Validator(protocol_schema())
    for path in EXAMPLES.glob("*.yaml"):
        validator.validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    for protocol in (*PROTOCOLS.values(), *example_protocols().values()):
        validator.validate(protocol_content(protocol))
