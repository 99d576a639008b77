"""Contract of the shipped evidence: it loads, it is clean, every number says where it comes from."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import jsonschema
import pytest
import yaml

from dualtrace.evidence.lint import lint
from dualtrace.evidence.load import (
    TRIALS,
    instruments,
    published_poolings,
    read_trials,
    references,
    trial_files,
)
from dualtrace.evidence.record import Disorder, Trial
from dualtrace.evidence.schema import SCHEMA_FILE, trial_schema
from dualtrace.evidence.scope import CORE_DISORDERS, pooled_trials, scope
from dualtrace.evidence.show import describe

if TYPE_CHECKING:
    from pathlib import Path

FILES = sorted(TRIALS.glob("*.yaml"))
SCHEMA = jsonschema.Draft202012Validator(trial_schema())


def test_every_shipped_file_loads_and_no_check_objects() -> None:
    found, unreadable = read_trials(trial_files(None, with_shipped=True))
    assert not unreadable, "\n".join(map(str, unreadable))
    assert len(found) == len(FILES) >= 62
    findings = [p for p in lint(found) if p.severity != "note"]
    assert not findings, "\n".join(map(str, findings))


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_the_file_carries_its_id_and_fits_the_published_schema(path: Path) -> None:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert content["id"] == path.stem
    SCHEMA.validate(json.loads(json.dumps(content)))


def test_the_stored_schema_is_fresh() -> None:
    assert json.loads(SCHEMA_FILE.read_text(encoding="utf-8")) == trial_schema(), "run evidence.schema.write_schema()"


def test_a_record_survives_the_way_to_json_and_back(evidence: dict[str, Trial]) -> None:
    for trial in evidence.values():
        again = Trial.model_validate(json.loads(trial.model_dump_json(exclude_none=True)))
        assert again == trial


def test_every_report_can_be_opened(evidence: dict[str, Trial]) -> None:
    for trial in evidence.values():
        for outcome in trial.outcomes:
            for report in outcome.reported:
                source = trial.sources[report.source]
                assert (source.url or references()[source.document or ""].link).startswith("http"), trial.id
                assert report.where


def test_registry_only_records_are_kept_and_left_out(evidence: dict[str, Trial]) -> None:
    registry_only = [t for t in evidence.values() if t.status == "registry_only"]
    assert len(registry_only) >= 5
    assert {scope(t).reason for t in registry_only} == {"registry entry without results"}


def test_daily_dosing_without_exposure_is_kept_and_left_out(evidence: dict[str, Trial]) -> None:
    assert scope(evidence["herescolevy2002"]).reason == "the drug was not given around exposure sessions"


def test_pooled_trials_are_exposure_trials_of_the_five_disorders(evidence: dict[str, Trial]) -> None:
    pooled = pooled_trials(evidence.values())
    assert {t.disorder for t in pooled} == set(CORE_DISORDERS)
    assert all(t.design.exposure == "therapy" and t.status == "results" and t.outcomes for t in pooled)


def test_conflicts_between_sources_stay_visible(evidence: dict[str, Trial]) -> None:
    assert sum(len(t.conflicts) for t in evidence.values()) >= 40


def test_scales_with_a_range_have_a_source() -> None:
    for key, scale in instruments().items():
        if scale.minimum is not None:
            assert scale.source in references(), key
    assert {"LSAS", "PDSS", "PAS", "Y-BOCS", "CY-BOCS", "CAPS", "CPSS", "PCL", "SUDS", "CGI-S", "CGI-I", "MI"} <= set(
        instruments()
    )


def test_every_disorder_with_trials_has_an_order_of_scales(evidence: dict[str, Trial]) -> None:
    from dualtrace.effects.primary import scale_order

    assert {t.disorder.value for t in evidence.values()} <= set(scale_order()) == {d.value for d in Disorder}
    assert {scale for scales in scale_order().values() for scale in scales} <= set(instruments())


def test_trials_named_by_published_poolings_exist(evidence: dict[str, Trial]) -> None:
    named = {v.trial for p in published_poolings() for v in p.trials if v.trial is not None}
    assert named <= set(evidence), sorted(named - set(evidence))


def test_a_report_is_described_in_words_not_in_code(evidence: dict[str, Trial]) -> None:
    for trial in evidence.values():
        for outcome in trial.outcomes:
            for report in outcome.reported:
                words = describe(report).removesuffix(f"({report.note})")
                assert not re.search(r"[{}\[\]_]|'\w+':", words), f"{trial.id}, {outcome.id}: {words}"
    events, ratio = next(o for o in evidence["hofmann2006"].outcomes if o.id == "adverse_any").reported
    assert describe(events) == "events; treatment n 12, events 2; reference n 15, events 0"
    assert describe(ratio) == "ratio; metric RR; value 6.15; ci 0.32 to 117.21; not significant"
