"""Repository: the page on virtual trials says what the program says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from dualtrace.cli.simulate import simulate
from dualtrace.mechanism.parameters import load_parameters

PAGE = (Path(__file__).parents[2] / "docs" / "virtual_trials.md").read_text(encoding="utf-8")


def test_constants_of_the_page_are_those_of_the_clinic() -> None:
    table = dict(re.findall(r"^\| `(clinic\.[a-z_]+)` \|.*\| (.+?) \|$", PAGE, re.MULTILINE))
    clinic = {name: one.meaning for name, one in load_parameters().parameters.items() if name.startswith("clinic.")}
    assert table == clinic


def test_options_of_the_page_are_those_of_the_command() -> None:
    known = {option for parameter in simulate.commands["trial"].params for option in parameter.opts}
    (shown,) = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    words = {word for line in shown.splitlines() for word in shlex.split(line) if word.startswith("--")}
    told = set(re.findall(r"--[a-z]+", PAGE))
    assert words <= told <= known
    assert {option for option in known if option.startswith("--")} - told == set()
