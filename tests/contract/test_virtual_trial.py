"""Virtual trials: what a user may rely on in records, tables, decisions, allotment and refusals."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dualtrace.cli.trial_files import record_yaml
from dualtrace.effects import Effect, between_arms, convert
from dualtrace.errors import InputError
from dualtrace.evidence.lint import lint
from dualtrace.evidence.load import instruments, load, read_trials
from dualtrace.evidence.record import Estimand
from dualtrace.simulation.draws import key_of
from dualtrace.simulation.engine import Engine
from dualtrace.simulation.from_trial import protocol_of
from dualtrace.simulation.load import parse_protocol
from dualtrace.simulation.mechanism import Mechanism, lookup_in
from dualtrace.simulation.plan import plan_of
from dualtrace.simulation.protocol import Spread
from dualtrace.simulation.scale import at_baseline, read, scale_of
from dualtrace.simulation.tables import replayed
from dualtrace.simulation.tasks import share_sums, tasks_of
from dualtrace.simulation.virtual_trial import VirtualTrial, run
from virtual_blocks import EARNED, PLACEBO, PRE, SMALL, text_of

if TYPE_CHECKING:
    from pathlib import Path

    from dualtrace.evidence.record import Outcome, Trial
    from dualtrace.runner.task import Task
    from dualtrace.simulation.protocol import Protocol

PATIENTS = 1337


@functools.cache
def trial() -> VirtualTrial:
    return run(parse_protocol(SMALL), patients=PATIENTS, seed=3)


def outcome(record: Trial, arm: str, estimand: Estimand, timepoint: str = "post") -> Outcome:
    """The one outcome of the primary scale (or of no scale) of that kind."""
    found = [
        one
        for one in record.outcomes
        if one.contrast is not None
        and one.contrast.treatment == (arm,)
        and one.estimand is estimand
        and one.timepoint == timepoint
        if one.instruments in ((), ("LSAS",))
    ]
    assert len(found) == 1
    return found[0]


def reported(record: Trial, arm: str, estimand: Estimand) -> Any:
    """Its one report."""
    (report,) = outcome(record, arm, estimand).reported
    return report


def patients() -> Any:
    return trial().patient_table


def sessions() -> Any:
    return trial().session_table


def decisions() -> Any:
    return trial().decision_table


def scores(arm: str, column: str) -> Any:
    """Observed scores of an arm's patients who are still there."""
    table = patients()
    values: Any = table[column][table["arm"] == arm]
    return values[np.isfinite(values)]


def test_the_record_is_a_trial_of_the_evidence_without_findings(tmp_path: Path) -> None:
    record = trial().record
    path = tmp_path / f"{record.id}.yaml"
    path.write_text(record_yaml(record), encoding="utf-8")
    found, problems = read_trials([path])
    assert problems == ()
    assert found[0].trial == record
    assert lint(found) == ()
    assert record.sources["simulated"].kind == "simulated"
    assert "seed 3" in (record.sources["simulated"].note or "")


@pytest.mark.parametrize("arm", ["earned", "scored"])
def test_the_record_says_what_the_table_of_patients_says(arm: str) -> None:
    for estimand in (Estimand.POST_DIFFERENCE, Estimand.CHANGE):
        report = reported(trial().record, arm, estimand)
        for side, name in ((report.treatment, arm), (report.reference, "placebo")):
            post = scores(name, "LSAS_post")
            table = patients()
            here = (table["arm"] == name) & np.isfinite(table["LSAS_post"].astype(float))
            change: Any = (table["LSAS_post"].astype(float) - table["LSAS_baseline"].astype(float))[here]
            values = post if estimand is Estimand.POST_DIFFERENCE else change
            assert side.n == values.size
            assert side.mean == pytest.approx(values.mean(), abs=1e-6)
            assert side.sd == pytest.approx(values.std(ddof=1), abs=1e-6)


def test_the_record_counts_what_the_table_of_patients_counts() -> None:
    table = patients()
    for estimand in (Estimand.RESPONSE, Estimand.REMISSION, Estimand.DROPOUT):
        report = reported(trial().record, "earned", estimand)
        for side, name in ((report.treatment, "earned"), (report.reference, "placebo")):
            mine = table["arm"] == name
            post, baseline = (table[f"LSAS_{visit}"][mine].astype(float) for visit in ("post", "baseline"))
            there = np.isfinite(post)
            rule = instruments()["LSAS"]
            if estimand is Estimand.DROPOUT:
                right, n = (~there).sum(), mine.sum()
            elif estimand is Estimand.REMISSION:
                assert rule.remission is not None
                right, n = (post[there] <= rule.remission.at_most).sum(), there.sum()
            else:
                assert rule.response is not None
                fall = rule.response.relative_fall or 0
                right, n = ((baseline - post)[there] >= fall * baseline[there]).sum(), there.sum()
            assert (side.n, side.events) == (n, right)


def test_the_effect_of_the_record_is_hedges_g_of_the_table() -> None:
    one, other = scores("earned", "LSAS_post"), scores("placebo", "LSAS_post")
    freedom = one.size + other.size - 2
    pooled = np.sqrt(((one.size - 1) * one.var(ddof=1) + (other.size - 1) * other.var(ddof=1)) / freedom)
    g = (one.mean() - other.mean()) / pooled * (1 - 3 / (4 * freedom - 1))
    found = convert(trial().record, outcome(trial().record, "earned", Estimand.POST_DIFFERENCE))
    assert isinstance(found, Effect)
    assert found.yi == pytest.approx(-g, abs=1e-4)  # less is better on the LSAS
    selected = between_arms([trial().record])
    assert selected.left_out == ()
    (both,) = selected.effects
    assert both.treatment == ("earned", "scored")
    assert both.yi is not None
    assert abs(both.yi) < 0.5


def test_a_patient_who_has_left_is_missing_at_later_visits_and_sessions() -> None:
    table, lived = patients(), sessions()
    attended = table["sessions"]
    assert 10 < (attended < 3).sum() < PATIENTS / 2
    gone_by_post = ~np.isfinite(table["LSAS_post"].astype(float))
    assert gone_by_post[attended < 3].all()
    np.testing.assert_array_equal(gone_by_post, ~np.isfinite(table["LSAS_month"].astype(float)))
    assert np.isfinite(table["LSAS_baseline"].astype(float)).all()
    np.testing.assert_array_equal(np.bincount(lived["patient"], minlength=PATIENTS), attended)
    capsules = np.bincount(lived["patient"], lived["dose_mg"] > 0, minlength=PATIENTS)
    np.testing.assert_array_equal(capsules, table["capsules"])
    assert table["capsules"][table["arm"] == "placebo"].max() == 0
    np.testing.assert_array_equal(lived["arm"], table["arm"][lived["patient"]])
    starts = lived["start"][1:][np.diff(lived["patient"]) == 0]
    np.testing.assert_array_equal(lived["next_start"][:-1][np.diff(lived["patient"]) == 0], starts)
    assert np.isnan(lived["next_start"][:-1][np.diff(lived["patient"]) > 0].astype(float)).all()


def test_decisions_replay_and_know_what_the_tables_show() -> None:
    decided, plan = decisions(), trial().plan
    assert set(decided["arm"]) == {"earned", "scored"}
    np.testing.assert_array_equal(replayed(plan, decided), decided["given"] > 0)
    assert 0.02 < (decided["given"] > 0).mean() < 0.98
    assert set(decided["dose_mg"]) == {0.0, 50.0}
    assert (decided["dose_mg"][decided["given"] == 0] == 0).all()
    table, lived = patients(), sessions()
    end = {(p, s): value for p, s, value in zip(*(lived[c] for c in ("patient", "session", "end")), strict=True)}
    for row in range(len(decided["patient"])):
        patient, session = decided["patient"][row], decided["session"][row]
        if decided["arm"][row] == "earned":
            assert decided["known_last_suds"][row] == end[patient, session]
        else:
            assert decided["moment"][row] == "before"
            assert decided["known_last_suds"][row] == end[patient, session - 1]
            assert decided["known_baseline"][row] == pytest.approx(table["LSAS_baseline"][patient], rel=1e-12)
            assert decided["known_score"][row] == pytest.approx(table["LSAS_mid"][patient], rel=1e-12)


def test_the_true_score_of_the_own_arm_is_the_observed_one_without_its_error() -> None:
    table = patients()
    own: Any = np.choose(
        np.select([table["arm"] == name for name in ("earned", "scored", "placebo")], [0, 1, 2]),
        [table[f"true_post_{name}"] for name in ("earned", "scored", "placebo")],
    )
    error = table["LSAS_post"].astype(float) - own
    assert abs(np.nanmean(error)) < 4 * np.nanstd(error) / np.sqrt(PATIENTS) + 0.5  # cut at the ends of the scale
    assert 0.5 < np.nanstd(error) < 0.5 * np.nanstd(own)


def test_strata_are_balanced_by_what_the_patients_are() -> None:
    table = patients()
    severe = table["severity"] > 0
    for stratum in (severe, ~severe):
        counts = [(table["arm"][stratum] == arm).sum() for arm in ("earned", "scored", "placebo")]
        assert max(counts) - min(counts) <= 2


KNOWN = [name for name, one in instruments().items() if one.minimum is not None and one.maximum is not None]


@pytest.mark.parametrize("name", KNOWN)
def test_scores_at_baseline_have_the_mean_and_sd_that_the_protocol_gives(name: str) -> None:
    """Where the ends of the scale are far away; the SD is that of true score and error together."""
    instrument = instruments()[name]
    low, high = float(instrument.minimum or 0), float(instrument.maximum or 0)
    spread = Spread(mean=(low + high) / 2, sd=(high - low) / 12)
    scale, lookup = scale_of(name, instrument, spread), lookup_in(Mechanism().values(), np.float64)
    rng: Any = np.random.default_rng(1)
    severity, noise = rng.standard_normal((2, 200_000))
    true = at_baseline(scale, severity, lookup)
    seen = np.asarray(read(scale, true, noise, lookup))
    assert seen.mean() == pytest.approx(spread.mean, abs=4 * spread.sd / np.sqrt(seen.size))
    assert seen.std() == pytest.approx(spread.sd, rel=0.01)
    side = 1 if instrument.better == "lower" else -1
    assert np.corrcoef(side * severity, true)[0, 1] > 0.99


def test_another_agent_in_the_same_file_is_another_plan(tmp_path: Path) -> None:
    """Programs are kept by what was planned: a file that has changed must not meet the old one."""
    path = tmp_path / "agent.yaml"
    words = (
        "{{id: my_drug, label: My drug, source: test, molar_mass: 102 g/mol, dose_limit: 500 mg, "
        "kinetics: {{clearance: 5 L/h, volume: 40 L, absorption: 1.2 1/h, lag: 0.25 h}}, "
        "brain: {{kp: 0.3, ke0: 1 1/h}}, receptor: {{k: {k} uM, efficacy: [1, 1, 1, 1]}}}}"
    )
    protocol: Protocol | None = None
    identities: list[str] = []
    tasks: list[Task] = []
    for k in (3, 3, 300):
        path.write_text(words.format(k=k), encoding="utf-8")
        protocol = protocol or parse_protocol(text_of([PRE.replace("d-cycloserine", f"'{path}'"), PLACEBO]))
        identities.append(plan_of(protocol).identity)
        tasks += tasks_of(protocol, Mechanism(), patients=100, seed=1)
    assert identities[0] == identities[1] != identities[2]
    assert tasks[0].key == tasks[1].key != tasks[2].key
    with pytest.raises(InputError, match=r"agent\.yaml\) is not what it was when the run began; begin the run anew"):
        share_sums(tasks[0].inputs, 1)


def test_sessions_of_any_lengths_share_a_course() -> None:
    """A capsule may start to be absorbed before the end of a long session and after that of a short one."""
    sessions = "{minutes: 20, exposures: 2}, {minutes: 60, exposures: 4}, {minutes: 120, exposures: 6}"
    for give in ("give: before, minutes: 60", "give: before, minutes: 0", "give: after, minutes: 30"):
        arm = PRE.replace("give: before, minutes: 60", give)
        plan = plan_of(parse_protocol(text_of([arm, PLACEBO], sessions=sessions)))
        assert plan.sessions == 3
        supply = _supply_of(plan)
        assert set(np.asarray(supply.rows()["window"]).tolist()) == {0, 1, 2}


def _supply_of(plan: Any) -> Any:
    from dualtrace.simulation import block
    from dualtrace.simulation.draws import uniforms
    from dualtrace.simulation.patients import count_of, patients_of

    lookup = lookup_in(Mechanism().values(), np.float64)
    ids: Any = np.arange(4, dtype=np.uint32)
    key: Any = key_of(1)
    patients = patients_of(plan, lookup, uniforms(key, ids, count_of(plan), np.float64))
    return block.supply_of(plan, plan.arms[0], Mechanism(), patients, lookup)


def test_a_placebo_arm_may_come_first_and_there_need_be_none() -> None:
    assert plan_of(parse_protocol(text_of([PLACEBO, PRE]))).reference == 0
    assert plan_of(parse_protocol(text_of([EARNED, PRE, PLACEBO]))).reference == 2
    assert plan_of(parse_protocol(text_of([EARNED, PRE]))).reference == 0


BLOCKS = text_of([PRE, PLACEBO], more="randomisation: {blocks: 4}")
FREE = text_of([PRE, PLACEBO])


@pytest.mark.parametrize(
    ("text", "asked", "says"),
    [
        (FREE, {"patients": 0}, r"there must be 1 to 4,294,967,296 patients; given 0"),
        (FREE, {"patients": -3}, r"there must be 1 to 4,294,967,296 patients; given -3"),
        (FREE, {"patients": 2**33}, r"given 8,589,934,592"),
        (FREE, {"seed": -1}, r"a seed must be a whole number from 0 to 2\^64 - 1; given -1"),
        (FREE, {"seed": 2**64}, r"a seed must be a whole number from 0 to 2\^64 - 1; given 18446744073709551616"),
        (FREE, {"precision": "float16"}, r"the precision must be float32 or float64; given 'float16'"),
        (
            BLOCKS,
            {"patients": 1_000_001},
            r"at most 1,000,000 patients are allotted in blocks; given 1,000,001: leave",
        ),
        (
            text_of([PRE, PLACEBO], every_days=0.25),
            {},
            r"session 2 starts 5.0 h after the one before; sessions must be 12 h or more apart: join them",
        ),
        (text_of([PRE, PLACEBO]), {"mechanism": "no_such_model"}, r"a memory model must be one of dual_trace"),
    ],
)
def test_what_cannot_be_run_is_refused_in_words(text: str, asked: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        run(parse_protocol(text), **({"mechanism": Mechanism(asked["mechanism"])} if "mechanism" in asked else asked))


def test_engines_refuse_chunks_threads_and_shares_that_are_none() -> None:
    plan = plan_of(parse_protocol(FREE))
    with pytest.raises(InputError, match="a chunk is 1 or more blocks; given 0"):
        Engine(plan, Mechanism(), chunk=0)
    with pytest.raises(InputError, match="there must be 1 or more threads; given 0"):
        Engine(plan, Mechanism(), threads=0)
    with pytest.raises(InputError, match="shares of 131,073 patients are 0 to 1; given 2"):
        Engine(plan, Mechanism()).sums(131_073, 1, share=2)
    with pytest.raises(InputError, match=r"transit\.stages is fixed at 4"):
        Mechanism(changes={"transit.stages": 3})


def test_tables_are_kept_of_a_million_patients_at_most() -> None:
    large = replace(trial(), patients=1_000_001)
    with pytest.raises(
        InputError, match="tables are kept of at most 1,000,000 patients; given 1,000,001: ask for sums"
    ):
        large.patient_table  # noqa: B018


def test_a_record_needs_patients_in_every_arm() -> None:
    empty = trial().sums._replace(allotted=np.array([3, 0, 2]))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="a patient in every arm; of 1337 patients none was allotted to scored"):
        replace(trial(), sums=empty).record  # noqa: B018


@functools.cache
def planned() -> dict[str, Protocol]:
    """Every record that gave the drug around sessions of therapy, as a protocol."""
    found = {}
    for one in load():
        try:
            found[one.id] = protocol_of(one)
        except InputError:
            continue
    return found


def test_every_protocol_of_a_published_record_can_be_planned() -> None:
    for protocol in planned().values():
        plan = plan_of(protocol)
        assert plan.arms[plan.reference].source.is_placebo
        assert any(arm.dosed.any() for arm in plan.arms)
    assert len(planned()) > 50


def test_sessions_of_one_day_are_taken_as_one() -> None:
    """Three sessions of 45 minutes a day for five days, one dose a day (Sharp 2017)."""
    plan = plan_of(planned()["sharp2017"])
    assert (plan.sessions, set(plan.gap_h[1:])) == (5, {24 - 135 / 60})
    assert all(arm.dosed.all() for arm in plan.arms)
    assert planned()["sharp2017"].therapy.sessions[0].minutes == 135


QUICK = "farrell2018"
"""One session, children dosed by weight."""


def simulated(name: str, protocol: Protocol) -> None:
    found = run(protocol, patients=256)
    assert int(found.sums.people) == 256, name
    assert len(found.record.outcomes) >= len(found.plan.visits), name
    for leaf in (found.sums.total, found.sums.true, found.sums.gain, found.sums.boost, found.sums.suds):
        assert np.isfinite(np.asarray(leaf)).all(), name


def test_a_protocol_of_a_published_record_can_be_simulated() -> None:
    simulated(QUICK, planned()[QUICK])


@pytest.mark.slow
def test_every_protocol_of_a_published_record_can_be_simulated() -> None:
    for name, protocol in planned().items():
        if name != QUICK:
            simulated(name, protocol)
