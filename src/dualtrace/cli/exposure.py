"""What ``dualtrace simulate exposure`` does with its options: scenario, table on the terminal, files."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from dualtrace.cli.options import changes_from
from dualtrace.errors import InputError
from dualtrace.mechanism.agents import find_agent
from dualtrace.mechanism.chain import Structure, Switches
from dualtrace.mechanism.consolidation import Kernel
from dualtrace.mechanism.dosing import Meal, bolus
from dualtrace.mechanism.parameters import load_parameters
from dualtrace.mechanism.population import band
from dualtrace.mechanism.receptor import Antidepressant
from dualtrace.mechanism.scenario import LEVELS, Result, Scenario, chain_of, simulate
from dualtrace.mechanism.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from dualtrace.mechanism.parameters import ParameterTable

_LINKS = {
    "plasma_mg_per_l": "plasma mg/L",
    "brain_um": "brain uM",
    "occupancy": "occupancy",
    "gain": "gain G",
}
_STEP_H = 0.05
_EARLIEST_H = -2.0
_BEFORE_MINUTES = 60.0


def run_exposure(given: Mapping[str, Any]) -> None:
    """Simulate, print the table, write the files asked for."""
    scenario = scenario_from(given)
    hours = float(given["hours"])
    if not scenario.session_end_h < hours <= 24 * 14:
        raise InputError(f"--hours must lie after the session's end and within 336; given {hours:g}")
    start = min(_EARLIEST_H, scenario.regimen.times_h[0])
    times = np.arange(np.floor(start), hours + _STEP_H / 2, _STEP_H)
    table = load_parameters().with_values(changes_from(given["changes"]))
    result = simulate(scenario, people=int(given["people"]), seed=int(given["seed"]), time_h=times, table=table)
    Console(width=110).print(_table(scenario, result))
    if given["out"] is not None:
        _write_curves(given["out"], result)
    if given["figure"] is not None:
        from dualtrace.report.figures.mechanism import exposure_figure

        exposure_figure(scenario, result).savefig(given["figure"])
    if given["sbml"] is not None:
        given["sbml"].write_text(_sbml(scenario, table), encoding="utf-8")


def _sbml(scenario: Scenario, table: ParameterTable) -> str:
    """SBML of the typical person; its clock starts when the dose is swallowed."""
    from dualtrace.mechanism.plasma import TYPICAL
    from dualtrace.mechanism.sbml import write_sbml

    if scenario.agent is not None:
        raise InputError("SBML is written for D-cycloserine; leave --agent out")
    shifted = bolus(scenario.dose_mg, meal=scenario.meal)
    return write_sbml(chain_of(scenario, table.number, TYPICAL), shifted, table.number)


def scenario_from(given: Mapping[str, Any]) -> Scenario:
    """Build the scenario the options describe.

    Raises
    ------
    InputError
        Both --before and --after were given, or an antagonist is not NAME=uM.
    """
    session = float(given["session"])
    if given["before"] is not None and given["after"] is not None:
        raise InputError("give --before or --after, not both")
    before = _BEFORE_MINUTES if given["before"] is None else float(given["before"])
    if given["after"] is not None:
        before = -session - float(given["after"])
    switches = Switches(
        structure=Structure(given["model"]),
        arousal=given["arousal"],
        antidepressant=Antidepressant(given["antidepressant"]),
        kernel=Kernel(given["kernel"]),
        antagonists_um=dict(_antagonist(text) for text in given["antagonists"]),
    )
    subject = Subject(
        weight_kg=given["weight"],
        crcl_mL_min=given["crcl"],
        tb_patient=bool(given["tb_patient"]),
        age_years=given["age"],
    )
    agent = find_agent(given["agent"], load_parameters().number)
    return Scenario(given["dose_mg"], before, session, Meal(given["meal"]), subject, switches, agent)


def _antagonist(text: str) -> tuple[str, float]:
    name, _, amount = text.partition("=")
    try:
        return name, float(amount)
    except ValueError:
        raise InputError(f"--antagonist takes NAME=uM, as in mk801=0.02; given {text!r}") from None


def _table(scenario: Scenario, result: Result) -> Table:
    low, _, high = (f"{level:.0%}" for level in LEVELS)
    table = Table(
        title=f"{scenario.dose_mg:g} mg, {scenario.meal}, swallowed at {-scenario.minutes_before:g} min; "
        f"session from 0 to {scenario.session_minutes:g} min",
        caption=f"typical person; in brackets {low} to {high} of {result.people_boost.size} people",
    )
    table.add_column("hour")
    for label in _LINKS.values():
        table.add_column(label, justify="right")
    for hour in _hours_shown(scenario, result):
        row = int(np.argmin(np.abs(result.time_h - hour)))
        table.add_row(f"{result.time_h[row]:.2f}", *(_cell(result, link, row) for link in _LINKS))
    low_m, _, high_m = result.boost_band
    table.add_section()
    table.add_row("M", "", "", "", f"{result.typical_boost:.3f} ({low_m:.3f}-{high_m:.3f})")
    return table


def _hours_shown(scenario: Scenario, result: Result) -> Iterable[float]:
    end = scenario.session_end_h
    return sorted({0.0, end, end + 1, end + 2, end + 4} | {float(result.time_h[-1])})


def _cell(result: Result, link: str, row: int) -> str:
    low, _, high = band(np.asarray(getattr(result.people, link))[:, row], LEVELS)
    return f"{float(getattr(result.typical, link)[row]):.3g} ({low:.3g}-{high:.3g})"


def _write_curves(path: Path, result: Result) -> None:
    header, columns = ["time_h"], [result.time_h]
    for link in _LINKS:
        header += [link, *(f"{link}_p{round(100 * level)}" for level in LEVELS)]
        columns += [np.asarray(getattr(result.typical, link)), *result.curve_band(link)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows([f"{value:.8g}" for value in row] for row in zip(*columns, strict=True))
