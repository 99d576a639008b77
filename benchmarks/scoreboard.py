"""Time of the scoreboard: the whole board in a cold process, and a thousand prior draws of the dual trace.

python benchmarks/scoreboard.py [--draws 1000]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

import numpy as np

from dualtrace.experiments.board import board, prior_draws, prior_share
from dualtrace.experiments.load import catalogue
from dualtrace.experiments.run import run
from dualtrace.experiments.timeline import lay_out
from dualtrace.mechanism.memory.registry import memory_model, memory_models


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=1000)
    draws = parser.parse_args().draws
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", "from dualtrace.cli.main import main; main()", "experiments", "run", "--json"],
        check=True,
        capture_output=True,
    )
    print(f"whole board, cold process, {len(memory_models())} models: {time.perf_counter() - start:.1f} s")

    experiments = catalogue()
    for model in memory_models().values():
        start = time.perf_counter()
        board([model], experiments)
        print(f"  {model.name:<26} {time.perf_counter() - start:6.2f} s")

    start = time.perf_counter()
    prior_share(memory_model("dual_trace"), experiments, draws=draws, seed=1)
    batched = time.perf_counter() - start
    print(f"{draws:,} prior draws of dual_trace, batched: {batched:.1f} s")

    few = 5
    drawn, batches = prior_draws(memory_model("dual_trace"), few, 1), lay_out(experiments)
    start = time.perf_counter()
    for i in range(few):
        run(
            memory_model("dual_trace"),
            experiments,
            draws={k: v[i : i + 1] for k, v in drawn.items()},
            batches=batches,
        )
    looped = (time.perf_counter() - start) / few * draws
    print(f"the same one draw after another (from {few}): {looped:.0f} s, {looped / batched:.1f} times as long")
    shown = sum(int(np.sum(b.plain.event.context)) for b in batches)
    print(f"groups {sum(len(b.groups) for b in batches)}, presentations {shown:,}")


if __name__ == "__main__":
    main()
