"""A user's agent from YAML: read, checked, followed through the chain; and scenarios of any agent."""

from pathlib import Path

import numpy as np
import pytest

from dualtrace.errors import InputError
from dualtrace.mechanism.agents import agent_chain, agent_kinetics, dserine, find_agent, read_agent
from dualtrace.mechanism.chain import Structure, Switches, consolidation_boost
from dualtrace.mechanism.dosing import bolus
from dualtrace.mechanism.linear import area_to_infinity
from dualtrace.mechanism.parameters import load_parameters
from dualtrace.mechanism.plasma import dose_arrays
from dualtrace.mechanism.scenario import Scenario, dose_timing_map, simulate

LOOKUP = load_parameters().number

AGENT = """
id: my_drug
label: My drug
source: a made-up example
molar_mass: 180 g/mol
dose_limit: 500 mg
kinetics: {clearance: 100 mL/min, volume: 40 L, absorption: 1.2 1/h, lag: 15 min}
brain: {kp: 0.3, ke0: 1 1/h}
receptor: {k: 3 uM, efficacy: [1, 1, 1, 1]}
spread: {clearance: 0.3}
"""
TWO = AGENT.replace("lag: 15 min", "lag: 15 min, exchange: 5 L/h, peripheral_volume: 20 L")


def boost(text: str) -> float:
    chain = agent_chain(read_agent(text, "agent.yaml"), 70.0, LOOKUP)
    return float(consolidation_boost(chain, dose_arrays(bolus(50.0, at_h=-1.0)), 1.5))


@pytest.mark.parametrize("text", [AGENT, TWO], ids=["one compartment", "two compartments"])
def test_contract_users_agent_is_followed(text: str) -> None:
    agent = read_agent(text, "agent.yaml")
    kinetics = agent_kinetics(agent, 70.0)
    assert agent.kinetics.lag == pytest.approx(0.25)
    assert float(area_to_infinity(kinetics, dose_arrays(bolus(60.0)))) == pytest.approx(60 / 6.0, rel=1e-12)
    assert boost(text) > 0.01


def test_contract_antagonist_and_blocker_give_a_negative_boost() -> None:
    assert boost(AGENT.replace("[1, 1, 1, 1]", "[0, 0, 0, 0]")) < -0.01
    assert boost(AGENT.replace("{k: 3 uM, efficacy: [1, 1, 1, 1]}", "{channel_ic50: 1 uM}")) < -0.01


def test_contract_per_kilogram_scales_with_weight() -> None:
    agent = dserine(LOOKUP)
    light, heavy = (agent_kinetics(agent, weight) for weight in (50.0, 100.0))
    assert float(light.scale / heavy.scale) == pytest.approx(2.0)
    assert float(light.poles[1]) == pytest.approx(float(heavy.poles[1]))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("100 mL/min", "5 kg", r"kinetics: clearance must be a quantity convertible to L/h; given '5 kg'"),
        ("100 mL/min", "-5", r"kinetics\.clearance: input should be greater than 0"),
        ("molar_mass: 180 g/mol", "", r"molar_mass: a required field is missing\. Add it"),
        ("lag: 15 min", "exchange: 3 L/h", r"give exchange and peripheral_volume together"),
        ("k: 3 uM, ", "", r"acts at the glycine site \(k\) or in the channel"),
        ("id: my_drug", "id: [", r"agent\.yaml:\d+: this is not valid YAML"),
        ("id: my_drug", "id: &a [*a]", r"agent\.yaml:2: a file must not use YAML anchors \(&\) and aliases"),
        ("id: my_drug", "id: " + "[" * 20_000, r"agent\.yaml:2: lists and mappings must be nested at most 50 deep"),
    ],
)
def test_contract_agent_that_cannot_be_used_is_refused(old: str, new: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        read_agent(AGENT.replace(old, new), "agent.yaml")


def test_contract_unknown_agent_is_refused() -> None:
    with pytest.raises(InputError, match=r"unknown agent 'aspirin'; known are d-cycloserine, d-serine"):
        find_agent("aspirin", LOOKUP)
    assert find_agent("d-cycloserine", LOOKUP) is None
    assert find_agent("d-serine", LOOKUP) == dserine(LOOKUP)


def test_contract_agent_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "agent.yaml"
    path.write_bytes(b"id: caf\xe9\n")
    with pytest.raises(InputError, match=r"agent\.yaml: the file is not UTF-8: byte 7 is 0xe9\. Save it as UTF-8"):
        find_agent(str(path), LOOKUP)


def test_contract_dose_above_the_agents_limit_is_refused() -> None:
    with pytest.raises(InputError, match=r"a dose must be between 0 and 500 mg; given 501 mg"):
        _ = Scenario(501.0, agent=read_agent(AGENT, "agent.yaml")).regimen


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"session_minutes": 0.0}, r"a session lasts above 0 and at most 600 minutes; given 0"),
        ({"minutes_before": 9999.0}, r"a dose lies within 1440 minutes of the session's start; given 9999"),
    ],
)
def test_contract_impossible_scenario_is_refused(change: dict[str, float], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Scenario(50.0, **change)  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario(50.0),
        Scenario(250.0, switches=Switches(structure=Structure.TRANSIT)),
        Scenario(2100.0, agent=dserine(LOOKUP)),
    ],
    ids=["default", "transit", "D-serine"],
)
def test_contract_scenario_gives_bands_around_the_typical_person(scenario: Scenario) -> None:
    times = np.linspace(-1.0, 6.0, 15)
    result = simulate(scenario, people=60, seed=3, time_h=times)
    again = simulate(scenario, people=60, seed=3, time_h=times)
    assert np.array_equal(result.people_boost, again.people_boost)
    low, middle, high = result.curve_band("brain_um")
    assert np.all((low <= middle) & (middle <= high))
    assert result.boost_band[0] <= result.typical_boost <= result.boost_band[2] + 1e-12
    with pytest.raises(InputError, match=r"the population needs 1 or more people; given 0"):
        simulate(scenario, people=0, seed=3, time_h=times)


def test_contract_dose_timing_map_holds_the_typical_persons_boost() -> None:
    scenario = Scenario(50.0)
    grid = dose_timing_map(np.array([0.0, 50.0, 100.0]), np.array([120.0, 60.0, -90.0]), scenario)
    assert grid.shape == (3, 3)
    assert np.all(np.abs(grid[0]) < 1e-12)
    typical = simulate(scenario, people=1, seed=1, time_h=np.zeros(1)).typical_boost
    assert grid[1, 1] == pytest.approx(typical, rel=1e-12)
