"""Clinical defaults: every value has a source, those said to come from the records do, and what they fill is listed."""

from __future__ import annotations

from statistics import median_low
from typing import TYPE_CHECKING

import numpy as np
import pytest

from dualtrace.errors import EvidenceError, InputError
from dualtrace.evidence.load import instruments, references
from dualtrace.evidence.record import Disorder
from dualtrace.simulation import defaults as module
from dualtrace.simulation.defaults import (
    VALUES,
    Block,
    clinical_defaults,
    every_default,
    with_people,
)
from dualtrace.simulation.load import example_protocols, parse_protocol, protocol_yaml
from dualtrace.simulation.outcome import remitted, responded
from dualtrace.source_map import read_yaml

if TYPE_CHECKING:
    from pathlib import Path

    from dualtrace.evidence.record import Trial


def reported(trial: Trial, name: str) -> float | None:
    sessions = trial.design.sessions
    drug = next((arm for arm in trial.design.arms if arm.agent == "d-cycloserine"), None)
    before = drug.timing if drug is not None and drug.timing is not None and drug.timing.given == "before" else None
    found: dict[str, float | None] = {
        "sessions": sessions.total,
        "introduction": None
        if sessions.total is None or sessions.augmented is None
        else sessions.total - sessions.augmented,
        "minutes": None if sessions.minutes is None else sessions.minutes.middle,
        "every_days": None if sessions.interval_days is None else sessions.interval_days.middle,
        "dose_mg": None if drug is None or drug.dose_mg is None else drug.dose_mg.middle,
        "minutes_before": None if before is None or before.minutes is None else before.minutes.middle,
    }
    return found[name]


def test_contract_values_said_to_come_from_the_records_do(evidence: dict[str, Trial]) -> None:
    table = {key: Block.model_validate(block) for key, block in read_yaml(module.FILE).content.items()}
    checked = 0
    for disorder, block in table.items():
        for where, one in every_default(block):
            if one.source != "records":
                continue
            name = str(where[-1])
            trials = [t for t in evidence.values() if t.disorder.value == disorder and t.design.exposure == "therapy"]
            wanted = "pediatric" if where[0] == "pediatric" else "adult"
            values = [x for t in trials if t.population == wanted and (x := reported(t, name)) is not None]
            values = values or [x for t in trials if (x := reported(t, name)) is not None]
            assert one.value == pytest.approx(median_low(values)), (disorder, where)
            checked += 1
    assert checked > 40


def test_contract_every_disorder_has_a_complete_default_with_a_source_that_opens(evidence: dict[str, Trial]) -> None:
    for disorder in Disorder:
        for population in ("adult", "pediatric"):
            usual = clinical_defaults(disorder, population)
            for name in VALUES:
                one = usual.find(name)
                assert one.source in {*references(), *evidence, "records", "assumption"}
                assert one.why
            assert usual.instruments
            for key in usual.instruments:
                score = usual.baseline(key)
                scale = instruments()[key]
                assert score.sd.value > 0
                assert scale.minimum is not None
                assert scale.maximum is not None
                assert scale.minimum < score.mean.value < scale.maximum
            assert usual.number("introduction") < max(usual.number("sessions"), 1)


def test_contract_children_are_lighter_and_take_the_scales_for_children() -> None:
    child, adult = (clinical_defaults(Disorder.OCD, who) for who in ("pediatric", "adult"))
    assert child.number("weight_mean") < adult.number("weight_mean")
    assert (child.instruments[0], adult.instruments[0]) == ("CY-BOCS", "Y-BOCS")
    assert child.number("sessions") == adult.number("sessions")


def test_contract_a_scale_without_defaults_takes_its_range_and_without_range_is_refused() -> None:
    usual = clinical_defaults(Disorder.SAD)
    score = usual.baseline("PAS")
    assert (score.mean.value, score.sd.value) == pytest.approx((0.6 * 52, 0.12 * 52))
    assert score.mean.source == "assumption"
    with pytest.raises(InputError, match=r"nothing is known of SNAQ2 before treatment; give people.baseline.SNAQ2"):
        usual.baseline("SNAQ2")
    with pytest.raises(InputError, match=r"a clinical default is one of sessions, .*; given 'colour'"):
        usual.find("colour")


def test_contract_people_left_open_are_filled_and_listed_and_given_people_are_kept() -> None:
    for protocol in example_protocols().values():
        full = with_people(protocol)
        people = full.people
        assert people.dropout is not None
        assert people.antidepressants is not None
        assert people.age_years is not None
        assert people.weight_kg is not None
        assert set(people.baseline) == set(full.instruments)
        listed = {one.field for one in full.assumed}
        assert {"people.dropout", "people.weight_kg.mean", f"people.baseline.{full.primary}.sd"} <= listed
        assert ("people.antidepressants" in listed) == (protocol.people.antidepressants is None)
        assert with_people(full) == full
        assert parse_protocol(protocol_yaml(full)) == full


def test_contract_a_default_with_an_unknown_source_or_no_range_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = module.FILE.read_text(encoding="utf-8")
    path = tmp_path / "clinical_defaults.yaml"
    monkeypatch.setattr(module, "FILE", path)
    for old, new, sentence in (
        ("source: nagoya2007}", "source: nowhere}", r"SAD.baseline.LSAS.mean: the source 'nowhere' is no reference and no"),
        ("value: 5, low: 2, high: 12", "value: 5, high: 12", r"sessions: an assumption needs low and high"),
        ("value: 5, low: 2, high: 12", "value: 1, low: 2, high: 12", r"must lie between low and high; given 1, 2 and 12"),
        ("\nBDD:", "\nBBD:", r"BBD: a block is named after a disorder or general"),
        ("  dropout: {value: 0.15, low: 0.05, high: 0.3, source: assumption}\n", "", r"general: dropout is missing"),
    ):  # fmt: skip
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        module._table.cache_clear()
        with pytest.raises(EvidenceError, match=sentence):
            clinical_defaults(Disorder.SAD)
    module._table.cache_clear()


def test_contract_response_and_remission_follow_the_rules_of_the_instruments(evidence: dict[str, Trial]) -> None:
    for key, scale in instruments().items():
        for rule in (scale.response, scale.remission, scale.retest):
            assert rule is None or rule.source in {*references(), *evidence, "assumption"}, key
    np.testing.assert_array_equal(
        responded("Y-BOCS", np.array([20, 20, np.nan, 20]), np.array([13, 13.1, 5, np.nan])), [1, 0, np.nan, np.nan]
    )
    np.testing.assert_array_equal(responded("CAPS", 80, np.array([70, 71])), [1, 0])
    np.testing.assert_array_equal(responded("CGI-I", np.nan, np.array([2, 3])), [1, 0])
    np.testing.assert_array_equal(remitted("LSAS", np.array([30, 31, np.nan])), [1, 0, np.nan])
    with pytest.raises(
        InputError, match=r"CAPS has no remission rule in instruments.yaml; instruments with one: LSAS"
    ):
        remitted("CAPS", 3)
    with pytest.raises(InputError, match=r"an instrument is a key of instruments.yaml; given 'HDRS'"):
        responded("HDRS", 3, 1)
