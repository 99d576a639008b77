"""How long a user waits: whole commands, median of several runs, against bare interpreters; prints a table.

python benchmarks/start_up.py [--runs 5]
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time

PROGRAM = "from dualtrace.cli.main import main; main()"
GOALS = {"dualtrace --help": 0.3, "dualtrace pool": 2.0, "dualtrace simulate exposure": 1.5, "dualtrace report": 15.0}


def commands(folder: str) -> dict[str, list[str]]:
    """Return the commands by name; the first two are what they are compared with."""
    ours = [sys.executable, "-c", PROGRAM]
    return {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import numpy, scipy.special, pydantic": [sys.executable, "-c", "import numpy, scipy.special, pydantic"],
        "dualtrace --help": [*ours, "--help"],
        "dualtrace trials list": [*ours, "trials", "list"],
        "dualtrace pool": [*ours, "pool"],
        "import jax": [sys.executable, "-c", "import jax"],
        "dualtrace simulate exposure": [*ours, "simulate", "exposure", "--dose", "50", "--before", "60"],
        "dualtrace report": [*ours, "report", "--output", folder],
        "dualtrace report --pdf": [*ours, "report", "--pdf", "--output", folder],
    }


def measure(command: list[str], runs: int) -> tuple[float, float]:
    """Return median wall and CPU seconds after one warm-up."""
    walls, cpus = [], []
    for i in range(runs + 1):
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        if i:
            walls.append(wall)
            cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(walls), statistics.median(cpus)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=5)
    runs: int = parser.parse_args().runs
    print("| command | wall s | CPU s | CPU against a bare interpreter | goal, wall s |")
    print("|---|---|---|---|---|")
    bare = None
    with tempfile.TemporaryDirectory() as folder:
        for name, command in commands(folder).items():
            wall, cpu = measure(command, runs)
            bare = bare or cpu
            goal = GOALS.get(name)
            print(f"| {name} | {wall:.2f} | {cpu:.2f} | {cpu / bare:.0f}× | {'' if goal is None else f'{goal:g}'} |")


if __name__ == "__main__":
    main()
