#!/bin/sh
# Installs dualtrace with its test tools into .venv-test and runs linter, type checker and tests.
# Needs Python 3.11 or newer and a package registry; nothing else.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
venv=.venv-test
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
"$venv/bin/ruff" check .
"$venv/bin/ruff" format --check .
"$venv/bin/mypy"
"$venv/bin/python" -m pytest -n auto "$@"
