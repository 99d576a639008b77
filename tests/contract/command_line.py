"""The program as the shell would run it, in this process."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any, NamedTuple

from dualtrace.cli.main import main


class Result(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def run(*arguments: str) -> Result:
    """The program as the shell would run it, in this process."""
    out, err, code = StringIO(), StringIO(), 0
    before = sys.argv
    sys.argv = ["dualtrace", *arguments]
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    finally:
        sys.argv = before
    return Result(code, out.getvalue(), err.getvalue())


def ok(*arguments: str) -> str:
    result = run(*arguments)
    assert result.returncode == 0, result.stderr
    assert not result.stderr
    return result.stdout


def refused(*arguments: str) -> str:
    result = run(*arguments)
    assert result.returncode == 2, result.stdout
    assert "Traceback" not in result.stderr
    return result.stderr


def answer(*arguments: str) -> Any:
    """What the verb says as JSON."""
    return json.loads(ok(*arguments, "--json"))
