"""Event tables: NONMEM's meaning, round trip, and refusals in one sentence."""

import pytest

from dualtrace.errors import InputError, TableError
from dualtrace.mechanism.dosing import Meal, Regimen, bolus, combine, repeat
from dualtrace.mechanism.events import Schedule, read_events, write_events

TABLE = """ID,TIME,AMT,EVID,CMT,II,ADDL,MEAL,DV
1,0,50,1,1,168,2,high_fat,.
1,1.5,.,2,.,.,.,.,.
1,2,.,0,.,.,.,.,3.1
2,0,.,0,.,.,.,.,0
2,4,100,1,.,.,.,.,.
"""


def test_contract_rows_mean_what_nonmem_says() -> None:
    first, second = read_events(TABLE)["1"], read_events(TABLE)["2"]
    assert first.regimen.times_h == (0.0, 168.0, 336.0)
    assert first.regimen.meals == (Meal.HIGH_FAT,) * 3
    assert first.regimen.decisions_h == (1.5,)
    assert first.observations_h == (2.0,)
    assert second.regimen == bolus(100.0, at_h=4.0)


def test_contract_table_survives_the_round_trip() -> None:
    schedules = {
        "a": Schedule(combine(repeat(bolus(50.0, at_h=-1.0), every_h=0.1, times=4), Regimen((), (3.0,))), (0.5,)),
        "b": Schedule(combine(bolus(50.0), bolus(100.0, at_h=24.0, meal=Meal.LIGHT), bolus(50.0, at_h=48.0))),
        "c": Schedule(Regimen(())),
    }
    text = write_events(schedules)
    back = read_events(text)
    assert {name: back[name] for name in ("a", "b")} == {name: schedules[name] for name in ("a", "b")}
    assert write_events({name: back[name] for name in ("a", "b")}) + "" == text
    assert read_events(write_events(read_events(TABLE))) == read_events(TABLE)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("1,0,50,1,2,,,,", r"line 2: doses enter the depot \(CMT 1\); given CMT 2"),
        ("1,0,50,4,1,,,,", r"line 2: EVID must be 0, 1 or 2; given 4"),
        ("1,0,50,1,1,0,3,,", r"line 2: ADDL must be a count with II above 0; given 3, II 0"),
        ("1,0,fifty,1,1,,,,", r"line 2: AMT must be a number; given 'fifty'"),
        ("1,0,50,1,1,,,steak,", r"line 2: MEAL must be one of fasted, light, .*; given 'steak'"),
        ("1,,50,1,1,,,,", r"line 2: TIME must not fall within an ID; given nan"),
    ],
)
def test_contract_rows_that_cannot_be_simulated_are_refused(row: str, sentence: str) -> None:
    with pytest.raises(TableError, match=sentence):
        read_events("ID,TIME,AMT,EVID,CMT,II,ADDL,MEAL,DV\n" + row + "\n")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("ID,TIME,AMT,RATE\n1,0,50,100\n", r"line 2: infusions \(RATE = 100\) are not simulated"),
        ("ID,TIME,AMT,SS\n1,0,50,1\n", r"line 2: steady-state shortcuts \(SS = 1\) are not simulated"),
        ("ID,TIME,AMT\n1,4,50\n1,2,50\n", r"line 3: TIME must not fall within an ID; given 2 after 4"),
        ("ID,AMT\n1,50\n", r"needs the column TIME; given ID, AMT"),
        ("", r"needs the column ID; given nothing"),
        (
            "ID,TIME,AMT,Amt\n1,0,50,100\n",
            r"event table .*: every column must have a name of its own; 'AMT' stands more",
        ),
        ("ID,TIME,AMT\n\n\n1,0,fifty\n", r"line 4: AMT must be a number; given 'fifty'"),
    ],
)
def test_contract_tables_that_cannot_be_simulated_are_refused(text: str, sentence: str) -> None:
    with pytest.raises(TableError, match=sentence):
        read_events(text)


def test_contract_absurd_dose_in_a_table_is_refused() -> None:
    with pytest.raises(InputError, match=r"a dose must be between 0 and 1000 mg; given -50 mg"):
        read_events("ID,TIME,AMT,EVID\n1,0,-50,1\n")


def test_contract_doses_at_one_time_are_refused() -> None:
    with pytest.raises(InputError, match=r"dose times must rise from row to row; given 0 h then 0 h"):
        read_events("ID,TIME,AMT\n1,0,50\n1,0,50\n")
