"""Side by side: 1,000 patients, eight weekly doses, 2,017 hourly concentrations, one compartment with lag.

``python benchmarks/mechanism.py [--write docs/mechanism_benchmark.md]`` runs every engine that is installed,
one after the other in one process, on the same numbers: CPU seconds, ratios and errors. Slow engines run on
fewer patients and are scaled up; the table says so. Engines that are absent are listed as absent.
"""

from __future__ import annotations

import importlib.metadata
import itertools
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy.linalg

from dualtrace.mechanism.markdown import table

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENTS, HOURS, WEEK, DOSE = 1000, 2017, 168.0, 50.0
TIMES = np.arange(HOURS, dtype=float)
DOSE_TIMES = WEEK * np.arange(8)


class Row(NamedTuple):
    """One engine's line."""

    engine: str
    cpu_s: float
    first_s: float
    error: float
    patients: int


class Patients(NamedTuple):
    """Rates of the patients drawn: absorption, clearance, volume, lag."""

    ka: np.ndarray
    cl: np.ndarray
    v: np.ndarray
    lag: np.ndarray


def draw() -> Patients:
    """Log-normal patients: the default model's spread, but a moderate one of absorption."""
    noise = np.random.default_rng(1).standard_normal((4, PATIENTS))
    return Patients(
        6.61 * np.exp(0.5 * noise[0]),
        2.1 * np.exp(0.353 * noise[1]),
        29.5 * np.exp(0.174 * noise[2]),
        0.326 * np.exp(0.409 * noise[3]),
    )


def exact(p: Patients, k: int) -> np.ndarray:
    """Concentration of patient ``k`` by matrix exponentials, one step at a time."""
    matrix = np.array([[-p.ka[k], 0.0], [p.ka[k], -p.cl[k] / p.v[k]]])
    hour = scipy.linalg.expm(matrix)
    arrivals = DOSE_TIMES + p.lag[k]
    state, out = np.zeros(2), np.empty(HOURS)
    for i, now in enumerate(TIMES):
        if i:
            state = hour @ state
        for arrival in arrivals[(arrivals > now - 1) & (arrivals <= now)]:
            state = state + scipy.linalg.expm(matrix * (now - arrival)) @ np.array([DOSE, 0.0])
        out[i] = state[1] / p.v[k]
    return out


def timed(engine: str, run: Callable[[], Any], check: Callable[[Any], float], *, patients: int, repeats: int) -> Row:
    """CPU seconds per 1,000 patients (median of repeats after the first), first wall seconds, error."""
    start = time.perf_counter()
    result = run()
    first = time.perf_counter() - start
    spent = []
    for _ in range(repeats):
        began = time.process_time()
        run()
        spent.append(time.process_time() - began)
    scale = PATIENTS / patients
    return Row(engine, float(np.median(spent)) * scale, first, check(result), patients)


def error_of(p: Patients, curves: np.ndarray, checked: int = 10) -> float:
    """Largest difference from the matrix exponential over the peak; ``curves`` is patient by hour."""
    wanted = np.array([exact(p, k) for k in range(checked)])
    return float(np.max(np.abs(curves[:checked] - wanted) / wanted.max(axis=1, keepdims=True)))


def worst_slope(grid: Callable[..., Any], at: tuple[Any, ...], found: Any) -> float:
    """Largest difference of a Jacobian from central differences, over the largest slope."""
    worst = 0.0
    for k, slope in enumerate(found):
        moved = [[x * (1 + s * 1e-6) if i == k else x for i, x in enumerate(at)] for s in (1, -1)]
        numeric = np.asarray((grid(*moved[0]) - grid(*moved[1])) / (2e-6 * at[k]))
        worst = max(worst, float(np.max(np.abs(np.asarray(slope) - numeric)) / np.max(np.abs(numeric))))
    return worst


def on_numpy(p: Patients) -> Row:
    """Dualtrace without JAX: the same recursion over the grid on NumPy arrays."""
    from dualtrace.mechanism.linear import Doses, on_grid
    from dualtrace.mechanism.plasma import one_compartment

    parts: Any = DOSE_TIMES, np.full(8, DOSE)
    weekly = Doses(*parts)

    def run() -> Any:
        kinetics = one_compartment(clearance=p.cl, volume=p.v, absorption=p.ka, lag=p.lag)
        return on_grid(kinetics, weekly, step_h=1.0, count=HOURS)

    return timed("dualtrace, NumPy", run, lambda curves: error_of(p, curves.T), patients=PATIENTS, repeats=7)


def ours(p: Patients) -> list[Row]:
    """dualtrace: recursion over the grid, its Jacobian, the closed form at eight session ends."""
    import jax
    import jax.numpy as jnp

    from dualtrace.mechanism.linear import Doses, concentration, on_grid
    from dualtrace.mechanism.plasma import one_compartment

    doses = Doses(jnp.asarray(DOSE_TIMES), jnp.full(8, DOSE))
    at = tuple(jnp.asarray(values) for values in p)
    ends = jnp.asarray(DOSE_TIMES + 2.5)
    one, nothing = jnp.ones(PATIENTS), jnp.zeros(PATIENTS)

    def grid(ka: Any, cl: Any, v: Any, lag: Any) -> Any:
        kinetics = one_compartment(clearance=cl, volume=v, absorption=ka, lag=lag)
        return on_grid(kinetics, doses, step_h=1.0, count=HOURS)

    def slopes(ka: Any, cl: Any, v: Any, lag: Any) -> Any:
        return [
            jax.jvp(partial(grid, lag=lag), (ka, cl, v), direction)[1]
            for direction in ((one, nothing, nothing), (nothing, one, nothing), (nothing, nothing, one))
        ]

    def sessions(ka: Any, cl: Any, v: Any, lag: Any) -> Any:
        kinetics = one_compartment(clearance=cl, volume=v, absorption=ka, lag=lag)
        return jax.vmap(lambda own: concentration(own, doses, ends))(kinetics)

    wait: Any = jax.block_until_ready

    def ready(run: Any) -> Any:
        return wait(run(*at))

    rows = [on_numpy(p)]
    jacobian = "dualtrace, grid + Jacobian in 3 parameters (error: differences)"
    for engine, function, check in (
        ("dualtrace, hourly grid", grid, lambda found: error_of(p, np.asarray(found).T)),
        (jacobian, slopes, lambda found: worst_slope(grid, at, found)),
        ("dualtrace, 8 session ends only", sessions, lambda _: float("nan")),
    ):
        run = jax.jit(function)
        rows.append(timed(engine, partial(ready, run), check, patients=PATIENTS, repeats=7))
    return rows


def pydiffsol(p: Patients) -> list[Row]:
    """pydiffsol: dose events in the model, tsit45, rtol 1e-6."""
    import pydiffsol as ds

    count = 1000
    # The lag shifts every dose alike, so the clock is shifted instead: all doses arrive at a whole week.
    later = ",".join(repr(float(t)) for t in DOSE_TIMES[1:])
    code = (
        f"in_i {{ ka = 1.0, CL = 3.0, V = 40.0 }} tdose_i {{ {later} }} "
        f"dose_i {{ {','.join(['50.0'] * 7)} }} "
        f"u_i {{ g = {DOSE}, c = 0.0 }} F_i {{ -ka*g, ka*g - CL/V*c }} stop_i {{ tdose_i - t }} "
        "reset_i { g + dose_i[N], c } out_i { c/V }"
    )
    ode = ds.Ode(code, ode_solver=ds.tsit45)
    ode.rtol, ode.atol = 1e-6, 1e-8

    def run() -> np.ndarray:
        curves = np.zeros((count, HOURS))
        for k in range(count):
            since = TIMES - p.lag[k]
            inside = since >= 0
            theta = np.array([p.ka[k], p.cl[k], p.v[k]])
            curves[k, inside] = np.asarray(ode.solve_dense(theta, since[inside]).ys)[0]
        return curves

    return [timed("pydiffsol tsit45, rtol 1e-6", run, lambda c: error_of(p, c), patients=count, repeats=1)]


def diffrax(p: Patients) -> list[Row]:
    """Diffrax: Tsit5 over each week, vmapped, float64, rtol 1e-6."""
    import diffrax as dfx
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)  # type: ignore[no-untyped-call]  # jax leaves it unannotated
    controller = dfx.PIDController(rtol=1e-6, atol=1e-8)

    def rates(_: Any, y: Any, args: Any) -> Any:
        ka, ke = args
        return jnp.stack([-ka * y[0], ka * y[0] - ke * y[1]])

    def patient(ka: Any, cl: Any, v: Any, lag: Any) -> Any:
        def week(y: Any, dose: Any) -> Any:
            begun = y.at[0].add(dose)
            at = jnp.append(jnp.maximum(jnp.arange(1, 169) - lag, 0.0), WEEK)
            done = dfx.diffeqsolve(
                dfx.ODETerm(rates), dfx.Tsit5(), 0.0, WEEK, None, begun, (ka, cl / v),
                saveat=dfx.SaveAt(ts=at), stepsize_controller=controller, max_steps=4096,
            )  # fmt: skip
            return done.ys[-1], done.ys[:-1, 1] / v

        _, curve = jax.lax.scan(week, jnp.zeros(2), jnp.asarray([DOSE] * 8 + [0.0] * 4))
        return jnp.concatenate([jnp.zeros(1), curve.ravel()])

    run = jax.jit(jax.vmap(patient))
    at = tuple(jnp.asarray(values) for values in p)
    check = partial(error_of, p)
    return [
        timed("diffrax Tsit5, vmap, rtol 1e-6", lambda: np.asarray(run(*at)), check, patients=PATIENTS, repeats=1)
    ]


def our_sbml() -> str:
    """Our own export of the reference adult under the regimen."""
    from dualtrace.mechanism.chain import build
    from dualtrace.mechanism.dosing import Meal, bolus, repeat
    from dualtrace.mechanism.parameters import load_parameters
    from dualtrace.mechanism.plasma import covariates
    from dualtrace.mechanism.sbml import write_sbml
    from dualtrace.mechanism.subject import reference_subject

    lookup = load_parameters().number
    regimen = repeat(bolus(DOSE), every_h=WEEK, times=8)
    chain = build(covariates(reference_subject(), lookup), [Meal.FASTED], lookup)
    return write_sbml(chain, regimen, lookup)


def roadrunner(p: Patients) -> list[Row]:
    """LibRoadRunner on our own SBML export (no events), plasma only, 20 patients."""
    import roadrunner as rr

    engine = rr.RoadRunner(our_sbml())
    engine.integrator.relative_tolerance, engine.integrator.absolute_tolerance = 1e-6, 1e-8
    engine.timeCourseSelections = ["plasma"]
    count = 10

    def run() -> np.ndarray:
        curves = np.empty((count, HOURS))
        for k in range(count):
            engine.resetToOrigin()
            engine["CL"], engine["V"], engine["lag"] = p.cl[k], p.v[k], p.lag[k]
            for dose in range(1, 9):
                engine[f"ka_{dose}"] = p.ka[k]
            curves[k] = np.asarray(engine.simulate(0, HOURS - 1, HOURS))[:, 0]
        return curves

    name = "libRoadRunner, our SBML (plasma explicit, brain integrated), rtol 1e-6"
    return [timed(name, run, partial(error_of, p), patients=count, repeats=1)]


def scipy_lsoda(p: Patients) -> list[Row]:
    """SciPy solve_ivp with LSODA, dose by dose, 10 patients."""
    from scipy.integrate import solve_ivp

    solve: Any = solve_ivp

    count = 10

    def one(k: int) -> np.ndarray:
        ka, ke = p.ka[k], p.cl[k] / p.v[k]
        state, out = np.zeros(2), np.zeros(HOURS)
        edges = [*(DOSE_TIMES + p.lag[k]), TIMES[-1]]
        for begin, end in itertools.pairwise(edges):
            state = state + np.array([DOSE, 0.0])
            inside = (begin <= TIMES) & (end >= TIMES)
            at = np.unique(np.append(TIMES[inside], end))
            done = solve(
                lambda _, y, ka=ka, ke=ke: [-ka * y[0], ka * y[0] - ke * y[1]],
                (begin, end), state, method="LSODA", t_eval=at, rtol=1e-6, atol=1e-8,
            )  # fmt: skip
            out[inside], state = done.y[1, : inside.sum()], done.y[:, -1]
        return np.asarray(out / p.v[k])

    def run() -> np.ndarray:
        return np.array([one(k) for k in range(count)])

    return [timed("SciPy solve_ivp LSODA, rtol 1e-6", run, partial(error_of, p), patients=count, repeats=1)]


def copasi(p: Patients) -> list[Row]:
    """COPASI through basico on our own SBML export, 5 patients."""
    import basico

    basico.load_model_from_string(our_sbml())
    count = 5

    def run() -> np.ndarray:
        curves = np.empty((count, HOURS))
        for k in range(count):
            own = {"CL": p.cl[k], "V": p.v[k], "lag": p.lag[k], **{f"ka_{j}": p.ka[k] for j in range(1, 9)}}
            for name, value in own.items():
                basico.set_parameters(name, exact=True, initial_value=float(value))
            shown = basico.run_time_course(start_time=0, duration=HOURS - 1, intervals=HOURS - 1)
            curves[k] = shown["Values[plasma]"].to_numpy()
        return curves

    name = "COPASI (basico), our SBML (plasma explicit, brain integrated)"
    return [timed(name, run, partial(error_of, p, checked=count), patients=count, repeats=1)]


def cold_seconds(library: str) -> float:
    """Median wall seconds of fresh processes that import and fill the grid once, on NumPy or on JAX arrays."""
    code = (
        f"import {library} as xp; from dualtrace.mechanism.linear import Doses, on_grid; "
        "from dualtrace.mechanism.plasma import one_compartment; x = xp.ones(1000); "
        "k = one_compartment(clearance=2.1*x, volume=29.5*x, absorption=6.6*x, lag=.3*x); "
        "on_grid(k, Doses(168.0*xp.arange(8), 50.0*xp.ones(8)), step_h=1.0, count=2017).sum()"
    )
    spent = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        spent.append(time.perf_counter() - start)
    return float(np.median(spent))


def version(package: str) -> str:
    """Installed version of a package, or a dash."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


HEAD = ("engine", "CPU s per 1,000", "ratio", "first use s", "error", "patients run")


def cells(row: Row, base: float) -> tuple[str, ...]:
    """Return one row of the table as text."""
    error = "" if np.isnan(row.error) else f"{row.error:.1e}"
    ratio = f"{row.cpu_s / base:.3g}"
    return row.engine, f"{row.cpu_s:.4g}", ratio, f"{row.first_s:.2f}", error, str(row.patients)


def report(rows: list[Row], absent: list[str], cold: dict[str, float]) -> str:
    """Write the table as Markdown."""
    base = rows[1].cpu_s
    lines = [
        "# Speed of the plasma model beside other engines",
        "",
        f"Generated by `python benchmarks/mechanism.py --write FILE`. {PATIENTS:,} patients, 8 weekly doses,",
        f"{HOURS:,} hourly points, one run, one process, CPU seconds. Error: largest difference from the",
        "matrix exponential over the patient's peak, ten patients. Read the ratios; the machine was shared.",
        "",
        *table(HEAD, [cells(row, base) for row in rows]),
    ]
    started = ", ".join(f"{seconds:.2f} s on {name} arrays" for name, seconds in cold.items())
    lines += ["", f"Cold start (new process, import, first grid; JAX compiles too), wall: {started}."]
    lines += [f"Not run: {line}." for line in absent]
    names = ("jax", "numpy", "scipy", "pydiffsol", "diffrax", "libroadrunner", "copasi-basico")
    lines += ["", "Versions: " + ", ".join(f"{name} {version(name)}" for name in names) + "."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run every engine that is installed, print, and write where asked."""
    patients = draw()
    rows, absent = ours(patients), []
    for engine in (pydiffsol, diffrax, roadrunner, scipy_lsoda, copasi):
        try:
            rows += engine(patients)
        except Exception as error:
            absent.append(f"{engine.__name__} ({type(error).__name__}: {str(error)[:120]})")
    text = report(rows, absent, {name: cold_seconds(name) for name in ("numpy", "jax.numpy")})
    print(text)
    if "--write" in sys.argv:
        Path(sys.argv[sys.argv.index("--write") + 1]).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
