"""Virtual trials: patient-courses per second beside NumPy, Numba and libRoadRunner, cost by size, workers, trials.

    python benchmarks/simulation.py [--quick] [--huge] [--write docs/simulation_benchmark_run.md]

A course is one patient followed through one arm: twelve sessions of twenty exposures, with the kinetics of the drug
in the arm that has it. Everything is measured in fresh processes of one run, peers included; before anything is timed
they must agree on the mean score after treatment. Compare ratios: times depend on the machine and what else it does.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.mechanism.markdown import table
from simulation_peers.constants import NUMBERS, TRIAL, constants, plan

if TYPE_CHECKING:
    from collections.abc import Callable

AGREE, TOLERANCE = 20_000, {"float64": 1e-6, "float32": 0.01}
"""Patients on whom all must agree, and by how many points of the scale (0 to 144) their means may differ."""

ARMS, TRIAL_SIZE = 2, 200

SBML = (
    "libRoadRunner, kinetics and receptor of the arm with the drug alone (no learning, no instruments): {rate:,.0f} "
    "courses per CPU second, gain within {error:.1e} of ours. dualtrace follows {faster:,.0f} whole courses in that "
    "time (float64)."
)


def timed(run: Callable[[], Any], courses: int, repeats: int) -> dict[str, float]:
    """Courses per wall second and per CPU second of this process and its threads, the best of some repeats."""
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return {"wall": courses / min(walls), "cpu": courses / min(cpus)}


def ours(patients: int, precision: Any, threads: int, repeats: int) -> dict[str, Any]:
    """Our engine: first sums of one block with everything that comes before, then warm."""
    from dualtrace.simulation.engine import Engine
    from dualtrace.simulation.mechanism import Mechanism

    engine = Engine(plan(), Mechanism(), precision, threads=threads)
    engine.sums(1, 1)
    found: dict[str, Any] = {"first": time.perf_counter() - BEGAN}
    if repeats:
        found |= timed(lambda: engine.sums(patients, 1), ARMS * patients, repeats)
    return found


def in_numpy(patients: int, dtype: str) -> dict[str, Any]:
    """NumPy, vectorised over patients."""
    from simulation_peers import in_numpy as peer

    return timed(lambda: peer.drawn(constants(), patients, np.dtype(dtype)), ARMS * patients, 2)


def in_numba(patients: int, threads: int) -> dict[str, Any]:
    """Numba, compiled first."""
    from simulation_peers import in_numba as peer

    peer.set_threads(threads)
    peer.drawn(constants(), 10)
    return {"first": time.perf_counter() - BEGAN} | timed(
        lambda: peer.drawn(constants(), patients), ARMS * patients, 3
    )


def in_sbml() -> dict[str, Any]:
    """LibRoadRunner: kinetics and receptor of one patient of the arm with the drug; its error is the agreement."""
    from simulation_peers.in_sbml import Kinetics

    kinetics = Kinetics()
    return {"error": kinetics.error()} | timed(kinetics.run, 1, 5)


def agree(with_numba: bool) -> dict[str, Any]:
    """Mean score after treatment of each arm by every means that computes a whole course."""
    from dualtrace.simulation.draws import key_of, uniforms
    from dualtrace.simulation.engine import Engine
    from dualtrace.simulation.mechanism import Mechanism
    from simulation_peers import in_numpy

    ids: Any = np.arange(AGREE, dtype=np.uint32)
    key: Any = key_of(1)
    numbers = np.asarray(uniforms(key, ids, NUMBERS, np.float64))
    found: dict[str, Any] = {
        "NumPy float64": in_numpy.means(constants(), numbers).tolist(),
        "NumPy float32": in_numpy.means(constants(), numbers.astype(np.float32)).tolist(),
    }
    for precision in TOLERANCE:
        sums = Engine(plan(), Mechanism(), precision).sums(AGREE, 1)  # type: ignore[arg-type]
        found[f"dualtrace {precision}"] = (np.asarray(sums.total)[:, 1, 0] / np.asarray(sums.seen)[:, 1, 0]).tolist()
    if with_numba:
        from simulation_peers import in_numba

        found["Numba float64"] = in_numba.means(constants(), numbers).tolist()
    return found


def trials(count: int, precision: Any) -> dict[str, Any]:
    """Whole trials of 200 patients with their analysis, per second."""
    from dualtrace.simulation.engine import Engine
    from dualtrace.simulation.mechanism import Mechanism
    from dualtrace.simulation.replicates import trials_of

    engine = Engine(plan(), Mechanism(), precision)
    trials_of(engine, 5, TRIAL_SIZE).ancova()
    return timed(lambda: trials_of(engine, count, TRIAL_SIZE).ancova(), count, 2)


def dask(workers: int, shares: int) -> dict[str, Any]:
    """Wall seconds of shares of a virtual trial on a Dask cluster of this machine, start and all."""
    from dualtrace.runner.execute import run_tasks
    from dualtrace.runner.store import Store
    from dualtrace.runner.workers import Workers
    from dualtrace.simulation.engine import SHARE
    from dualtrace.simulation.load import parse_protocol
    from dualtrace.simulation.mechanism import Mechanism
    from dualtrace.simulation.tasks import tasks_of

    tasks = tasks_of(parse_protocol(TRIAL), Mechanism(), patients=shares * SHARE, seed=1, precision="float32")
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        run_tasks(tasks, Store.open(Path(folder) / "store"), workers=Workers(workers, cluster="local"))
        return {"seconds": time.perf_counter() - start}


MEASURES: dict[str, Callable[..., dict[str, Any]]] = {
    one.__name__: one for one in (ours, in_numpy, in_numba, in_sbml, agree, trials, dask)
}
BEGAN = time.perf_counter()


def fresh(measure: str, *, cache: str | None = None, **inputs: Any) -> dict[str, Any]:
    """Measure in a process of its own, which also says its peak memory; ``cache`` is a folder, or empty for none."""
    environment = os.environ | ({} if cache is None else {"DUALTRACE_CACHE": cache})
    command = [sys.executable, __file__, "--measure", json.dumps([measure, inputs])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{measure} {inputs} failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(measure, inputs, found, file=sys.stderr, flush=True)
    return found


def require_agreement(found: dict[str, list[float]]) -> str:
    """Stop unless all means agree with ours in double precision; otherwise say by how much they differ."""
    right, worst = np.array(found["dualtrace float64"]), {"float64": 0.0, "float32": 0.0}
    for name, means in found.items():
        precision = name.split()[-1]
        worst[precision] = max(worst[precision], float(np.max(np.abs(np.array(means) - right))))
        if worst[precision] > TOLERANCE[precision]:
            raise SystemExit(f"{name} gives {means}, dualtrace {right.tolist()}: nothing is timed")
    return (
        f"Mean score after treatment of {AGREE:,} patients: {right[0]:.6f} and {right[1]:.6f}. All means within "
        f"{worst['float64']:.1e} (float64) and {worst['float32']:.1e} (float32) points of these."
    )


def courses(quick: bool, peers: list[str]) -> list[str]:
    """Table of patient-courses per second."""
    patients, rows = (2**16 if quick else 2**19), []
    for precision in ("float64", "float32"):
        for threads in (1, 2):
            found = fresh("ours", patients=patients, precision=precision, threads=threads, repeats=3)
            rows.append((f"dualtrace {precision}, {threads} thread{'s' * (threads > 1)}", found))
    rows += [(f"NumPy {kind}", fresh("in_numpy", patients=20_000, dtype=kind)) for kind in ("float64", "float32")]
    if "numba" in peers:
        for threads in (1, 2):
            found = fresh("in_numba", patients=60_000, threads=threads)
            rows.append((f"Numba float64, {threads} thread{'s' * (threads > 1)}", found))
    base = {row[0]: row[1] for row in rows}
    two = {kind: base[f"dualtrace {kind}, 2 threads"] for kind in ("float64", "float32")}
    cells = [
        (
            name,
            f"{found['wall']:,.0f}",
            f"{found['cpu']:,.0f}",
            *(f"{two[kind][by] / found[by]:.2f}" for kind in two for by in ("wall", "cpu")),
        )
        for name, found in rows
    ]
    head = (
        "engine",
        "courses/s, wall",
        "courses/s, CPU",
        "float64 wall",
        "float64 CPU",
        "float32 wall",
        "float32 CPU",
    )
    lines = [*table(head, cells), "", "Last four columns: dualtrace with 2 threads over this engine."]
    if "roadrunner" in peers:
        found = fresh("in_sbml")
        faster = two["float64"]["cpu"] / found["cpu"]
        lines += ["", SBML.format(rate=found["cpu"], error=found["error"], faster=faster)]
    return lines


def starts() -> list[str]:
    """Table of cold starts."""
    inputs: dict[str, Any] = {"patients": 1, "precision": "float32", "threads": 1, "repeats": 0}
    with tempfile.TemporaryDirectory() as empty:
        cold = {
            "no cache kept": fresh("ours", cache="", **inputs),
            "first use of an empty cache": fresh("ours", cache=empty, **inputs),
            "second start": fresh("ours", **inputs),
        }
    return [*table(("fresh process to first sums", "s, wall"), [(k, f"{v['first']:.1f}") for k, v in cold.items()])]


def sizes(quick: bool, huge: bool) -> list[str]:
    """Table of cost and memory by number of patients."""
    rows = []
    for power in range(3, 6 if quick else (9 if huge else 8)):
        found = fresh("ours", patients=10**power, precision="float32", threads=2, repeats=1)
        spent = ARMS * 10**power / found["cpu"]
        rows.append((f"{10**power:,}", f"{spent:.3g}", f"{1e6 * spent / 10**power:.2f}", f"{found['rss']:.0f}"))
    return table(("patients, two arms, float32", "CPU s", "µs a patient", "peak memory, MiB"), rows)


def workers(quick: bool) -> str:
    """What a second Dask worker brings, from the time that more shares take, so that starting does not count."""
    few, many = (2, 6) if quick else (2, 18)
    spent = {n: [fresh("dask", workers=n, shares=shares)["seconds"] for shares in (few, many)] for n in (1, 2)}
    one, two = (spent[n][1] - spent[n][0] for n in (1, 2))
    return (
        f"Dask, {many - few} more shares of 131,072 patients: {one:.1f} s with one worker, {two:.1f} s with two: "
        f"{one / two:.2f} times as fast."
    )


def report(options: argparse.Namespace) -> str:
    """Measure everything and write it down; programs are compiled once for the run but where that is measured."""
    peers = [name for name in ("numba", "roadrunner") if find_spec(name) is not None]
    with tempfile.TemporaryDirectory() as cache:
        os.environ |= {"DUALTRACE_CACHE": cache, "NUMBA_CACHE_DIR": cache}
        means = fresh("agree", with_numba="numba" in peers)
        agreed = require_agreement({name: found for name, found in means.items() if name != "rss"})
        parts = [courses(options.quick, peers), starts(), sizes(options.quick, options.huge)]
        count = 200 if options.quick else 1000
        found = {kind: fresh("trials", count=count, precision=kind) for kind in TOLERANCE}
        workers_line = workers(options.quick) if find_spec("distributed") is not None else ""
    rates = ", ".join(
        f"{one['wall']:.0f} a second in {kind} ({one['cpu']:.0f} a CPU second)" for kind, one in found.items()
    )
    lines = [
        "# One run of the simulation benchmark",
        "",
        "Written by `python benchmarks/simulation.py --write FILE`; what is counted and what bounds it stands in",
        "[simulation_benchmark.md](simulation_benchmark.md).",
        "",
        agreed,
    ]
    for part in parts:
        lines += ["", *part]
    lines += ["", f"Trials of {TRIAL_SIZE} patients, two arms, with analysis of covariance: {rates}.", ""]
    lines += [workers_line, ""] if workers_line else []
    absent = [name for name in ("numba", "roadrunner") if name not in peers]
    lines += [f"Not installed: {', '.join(absent)}.", ""] if absent else []
    names = ["jax", "numpy", "numba", "libroadrunner"]
    versions = [
        f"{name} {importlib.metadata.version(name)}" for name in names if name.removeprefix("lib") not in absent
    ]
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    lines += [f"Versions: {', '.join(versions)}. {os.cpu_count()} cores; load at the end {load}.", ""]
    return "\n".join(lines)


def main() -> None:
    """Print the report; as a child, one measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="smaller sizes, about two minutes")
    parser.add_argument("--huge", action="store_true", help="up to a hundred million patients")
    parser.add_argument("--write", type=Path)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure, inputs = json.loads(options.measure)
        found = MEASURES[measure](**inputs)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(found | {"rss": peak}))
        return
    text = report(options)
    print(text)
    if options.write is not None:
        options.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
