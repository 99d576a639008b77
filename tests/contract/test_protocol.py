"""Protocols: what is read, what it means, and what every refusal says, with file, line and field."""

from __future__ import annotations

import copy
import json
import re
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualtrace.errors import EvidenceError, InputError
from dualtrace.simulation.load import (
    EXAMPLES,
    example_protocols,
    find_protocol,
    parse_protocol,
    protocol_content,
    protocol_from,
    protocol_json,
    protocol_yaml,
    read_protocol,
)

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """\
id: good
title: a protocol for tests
disorder: SAD
patients: 60
arms:
  - id: dcs
    label: DCS
    agent: d-cycloserine
    dose_mg: 50
    give: after
    minutes: 0
    sessions: [2, 3]
    if: last_suds < 40
  - {id: placebo, label: placebo, agent: placebo}
therapy:
  every_days: 7
  sessions:
    - {minutes: 60, exposures: 0}
    - {count: 2, minutes: 60, exposures: 8, exposure_minutes: 5}
assessments:
  - {id: baseline, timepoint: baseline, instruments: [LSAS]}
  - {id: early, timepoint: mid, after_session: 1, instruments: [LSAS]}
  - {id: post, timepoint: post, days_after_last: 7, instruments: [LSAS, CGI-S]}
randomisation:
  ratio: {dcs: 2, placebo: 1}
  blocks: [3, 6]
"""


def test_contract_sessions_doses_and_assessments_have_days() -> None:
    protocol = parse_protocol(GOOD)
    assert [(one.day, one.exposures, one.exposure_minutes) for one in protocol.sessions] == [
        (0, 0, 0),
        (7, 8, 5),
        (14, 8, 5),
    ]
    assert [one.day(protocol.sessions) for one in protocol.assessments] == [0, 7, 21]
    assert protocol.ratio == (2, 1)
    assert protocol.primary == "LSAS"
    assert protocol.instruments == ("LSAS", "CGI-S")
    assert protocol.arm("dcs").dosed_sessions(protocol.sessions) == (2, 3)
    assert str(protocol.arm("dcs").parsed_rule) == "last_suds < 40"
    with pytest.raises(KeyError, match="nobody"):
        protocol.arm("nobody")


@pytest.mark.parametrize(("sessions", "dosed"), [("all", (1, 2, 3)), ("exposures", (2, 3)), ("2", (2,))])
def test_contract_dosed_sessions_in_words_or_numbers(sessions: str, dosed: tuple[int, ...]) -> None:
    protocol = parse_protocol(GOOD.replace("[2, 3]", sessions))
    assert protocol.arms[0].dosed_sessions(protocol.sessions) == dosed


def test_contract_blocks_may_have_days_of_their_own_and_exposures_that_fill_the_session() -> None:
    text = GOOD.replace("count: 2, minutes", "count: 2, day: 3, every_days: 2, minutes").replace(
        ", exposure_minutes: 5", ""
    )
    protocol = parse_protocol(text)
    assert [one.day for one in protocol.sessions] == [0, 3, 5]
    assert protocol.sessions[1].exposure_minutes == pytest.approx(60 / 8)


@pytest.mark.parametrize("array", [np.array, jnp.array])
def test_contract_a_dose_is_in_milligrams_by_weight_or_by_band(array: object) -> None:
    assert callable(array)
    weight = array([20.0, 45.0, 60.0, 250.0])
    doses = {
        "dose_mg: 50": [50, 50, 50, 50],
        "dose_mg_per_kg: 5": [100, 225, 300, 1000],
        "bands: [{below_kg: 45, dose_mg: 25}, {below_kg: 60, dose_mg: 35}, {dose_mg: 50}]": [25, 35, 50, 50],
    }
    for written, expected in doses.items():
        protocol = parse_protocol(GOOD.replace("dose_mg: 50", written))
        np.testing.assert_array_equal(protocol.arms[0].dose_for(weight), expected)
        np.testing.assert_array_equal(protocol.arms[1].dose_for(weight), np.zeros(4))


def test_contract_round_trips_keep_everything() -> None:
    for protocol in (*example_protocols().values(), parse_protocol(GOOD)):
        assert parse_protocol(protocol_yaml(protocol)) == protocol
        assert parse_protocol(protocol_json(protocol)) == protocol
        assert protocol_from(json.loads(protocol_json(protocol))) == protocol
        assert protocol_from(protocol_content(protocol)) == protocol


def test_contract_the_shipped_examples_are_found_by_name_and_named_after_their_id(tmp_path: Path) -> None:
    found = example_protocols()
    assert {"sad_pre_vs_post_vs_tailored", "panic_two_dose", "ptsd_poor_exposure"} <= set(found)
    assert all(name == protocol.id for name, protocol in found.items())
    assert find_protocol("panic_two_dose") == found["panic_two_dose"]
    assert find_protocol(str(EXAMPLES / "panic_two_dose.yaml")) == found["panic_two_dose"]
    with pytest.raises(
        InputError, match=r"unknown protocol 'nothing'; shipped are panic_two_dose, .*give a YAML file"
    ):
        find_protocol("nothing")
    with pytest.raises(EvidenceError, match=r"absent.yaml: the file cannot be read"):
        read_protocol(tmp_path / "absent.yaml")


WRONG = [
    ("dose_mg: 50", "dose_mg: -5", r"9: arms[0].dose_mg: a dose must be above 0 mg (an arm without the drug"),
    ("dose_mg: 50", "dose_mg: 5000", r"9: arms[0].dose_mg: a dose of d-cycloserine is at most 1000 mg; given 5000"),
    ("dose_mg: 50", "dose_mg: .nan", r"9: arms[0].dose_mg: input should be a finite number. Given nan."),
    ("dose_mg: 50", "bands: [{dose_mg: 50}, {dose_mg: 25}]", r"9: arms[0].bands[0]: every band but the last needs"),
    (
        "dose_mg: 50",
        "bands: [{below_kg: 45, dose_mg: 1}, {below_kg: 40, dose_mg: 2}, {dose_mg: 3}]",
        r"9: arms[0].bands[1].below_kg: bands must rise; given 45 kg and then 40 kg",
    ),
    ("    dose_mg: 50\n", "", r"6: arms[0].dose_mg: the arm 'dcs' needs exactly one of dose_mg, dose_mg_per_kg and bands"),
    ("agent: placebo", "agent: placebo, dose_mg: 5", r"14: arms[1].dose_mg: placebo has no dose; the arm 'placebo' gives"),
    ("agent: d-cycloserine", "agent: dcz", r"8: arms[0].agent: unknown agent 'dcz'; known are d-cycloserine, d-serine"),
    ("minutes: 0\n", "minutes: -60\n", r"11: arms[0].minutes: minutes before or after a session must be 0 to 1440"),
    ("    minutes: 0\n", "", r"10: arms[0].give: the arm 'dcs' gives give without minutes; add it"),
    ("    give: after\n    minutes: 0\n", "", r"6: arms[0].give: the arm 'dcs' must say when: give (before or after)"),
    ("agent: placebo", "agent: placebo, if: session > 1", r"14: arms[1].if: the arm 'placebo' has a rule, so it needs"),
    ("[2, 3]", "[2, 9]", r"12: arms[0].sessions: there are 3 sessions; the arm 'dcs' is dosed at session 9"),
    ("[2, 3]", "[3, 2]", r"12: arms[0].sessions: sessions with a dose must be in order, each once; given [3, 2]"),
    ("[2, 3]", "[0]", r"12: arms[0].sessions: sessions with a dose are all, exposures, or numbers from 1; given [0]"),
    ("[2, 3]", "some", r"12: arms[0].sessions: sessions with a dose are all, exposures, or numbers from 1; given 'some'"),
    ("last_suds < 40", "suds < 40", r"13: arms[0].if: the rule 'suds < 40' holds, at character 1, an unknown name 'suds'"),
    ("  - {id: placebo", "  - {id: dcs", r"5: arms: every one of the arms is named once; repeated: dcs"),
    ("  - {id: placebo, label: placebo, agent: placebo}\n", "", r"5: arms: a trial compares at least two arms; given one"),
    ("patients: 60", "patients: 1", r"4: patients: there must be a patient for each of the 2 arms; given 1"),
    ("count: 2, minutes", "count: 2, day: 0, minutes", r"19: therapy.sessions[1].day: sessions must be in order of time"),
    ("{minutes: 60, exposures: 0}", "{day: 3, minutes: 60, exposures: 0}", r"18: therapy.sessions[0].day: the first ses"),
    ("  every_days: 7\n", "", r"18: therapy.sessions[1]: nothing says when session 2 takes place; give its day, or"),
    ("exposure_minutes: 5", "exposure_minutes: 8", r"19: therapy.sessions[1].exposure_minutes: 8 exposures of 8 min do not"),
    ("exposures: 0}", "exposures: 0, exposure_minutes: 3}", r"18: therapy.sessions[0].exposure_minutes: a session without"),
    ("count: 2", "count: 300", r"19: therapy.sessions[1].count: input should be less than or equal to 200. Given 300."),
    ("[LSAS, CGI-S]", "[LSAS, CGIS]", r"23: assessments[2].instruments[1]: an instrument is a key of instruments.yaml; given 'CGIS'; did you mean CGI-S"),
    ("[LSAS, CGI-S]", "[LSAS, LSAS]", r"23: assessments[2].instruments: every one of the instruments of post is named once"),
    ("after_session: 1, instruments: [LSAS]", "after_session: 3, instruments: [LSAS]", r"22: assessments[1].after_session: after_session must be below 3, the number of sessions; given 3"),
    ("after_session: 1", "weeks_after_last: 1", r"22: assessments[1].timepoint: an assessment between sessions is mid"),
    ("after_session: 1, ", "", r"22: assessments[1].timepoint: an assessment at mid needs exactly one of after_session"),
    ("timepoint: baseline", "timepoint: baseline, days_after_last: 3", r"21: assessments[0].timepoint: the baseline is taken before the first session; given days_after_last: 3"),
    ("timepoint: mid, after_session: 1", "timepoint: post, days_after_last: 30", r"23: assessments[2]: assessments must be in order of time; 'post' is on day 21, the one before on day 44"),
    ("timepoint: mid, after_session: 1", "timepoint: baseline", r"20: assessments: there must be exactly one assessment"),
    ("id: early", "id: post", r"20: assessments: every one of the assessments is named once; repeated: post"),
    ("baseline, instruments: [LSAS]", "baseline, instruments: [BAI]", r"20: assessments: the primary instrument, BAI, must be"),
    ("placebo: 1}", "pill: 1}", r"25: randomisation.ratio.pill: the ratio names the arm 'pill'; arms are dcs, placebo"),
    (", placebo: 1}", "}", r"25: randomisation.ratio: the ratio must name every arm; 'placebo' is missing"),
    ("[3, 6]", "[3, 4]", r"26: randomisation.blocks[1]: a block must be a multiple of 3, the sum of the ratio 2:1; given 4"),
    ("  blocks: [3, 6]\n", "  strata: severity\n", r"26: randomisation.strata: strata do nothing without blocks"),
    ("[3, 6]\n", "3\n  strata: [severity, severity]\n", r"27: randomisation.strata: each stratum is named once"),
    ("title:", "people: {baseline: {BAI: {mean: 3, sd: 2}}}\ntitle:", r"2: people.baseline.BAI: the instrument BAI is assessed nowhere; assessed are LSAS, CGI-S"),
    ("title:", "people: {dropout: 1}\ntitle:", r"2: people.dropout: input should be less than 1. Given 1."),
    ("title:", "color: red\ntitle:", r"2: color: there is no field of this name. Check the spelling."),
    ("disorder: SAD", "disorder: fear", r"3: disorder: input should be 'SAD', 'PD'"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "sentence"), WRONG, ids=[sentence[:40] for _, _, sentence in WRONG])
def test_contract_a_wrong_protocol_is_refused_with_file_line_and_field(
    old: str, new: str, sentence: str, tmp_path: Path
) -> None:
    assert old in GOOD
    path = tmp_path / "trial.yaml"
    path.write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(EvidenceError, match=re.escape(f"trial.yaml:{sentence}")):
        read_protocol(path)


def test_contract_doses_at_exposures_need_exposures() -> None:
    text = GOOD.replace("[2, 3]", "exposures").replace("exposures: 8, exposure_minutes: 5", "exposures: 0")
    with pytest.raises(
        EvidenceError, match=r"^protocol:12: arms\[0\].sessions: no session has exposures, so exposures"
    ):
        parse_protocol(text)


def test_contract_wrong_values_given_in_python_name_the_field() -> None:
    content = protocol_content(parse_protocol(GOOD))
    content["patients"] = 1
    with pytest.raises(InputError, match=r"^my design: patients: there must be a patient for each of the 2 arms"):
        protocol_from(content, "my design")


def _paths(content: Any, here: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The way to every field, containers included."""
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [here, *(path for key, value in inner for path in _paths(value, (*here, key)))]


def _spoil(content: Any, path: tuple[str | int, ...], value: Any) -> None:
    """Set one field, if it is still there after earlier changes."""
    try:
        for part in path[:-1]:
            content = content[part]
        content[path[-1]] = value
    except (TypeError, KeyError, IndexError):
        return


SPOILT = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.lists(st.integers(), max_size=3), st.just({})
)  # fmt: skip
WHOLE = protocol_content(find_protocol("ptsd_poor_exposure"))
PATHS = _paths(WHOLE)[1:]


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PATHS), SPOILT), min_size=1, max_size=3))
def test_contract_no_spoilt_field_breaks_the_reader(changes: list[tuple[tuple[str | int, ...], Any]]) -> None:
    content: Any = copy.deepcopy(WHOLE)
    for path, value in changes:
        _spoil(content, path, value)
    try:
        protocol = protocol_from(content)
    except EvidenceError:
        return
    assert parse_protocol(protocol_yaml(protocol)) == protocol
    assert str(protocol)
