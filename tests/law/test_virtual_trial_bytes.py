"""How the engine cuts its work changes no byte: chunks, devices, shares; sums are the sums of the rows."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import pytest

from dualtrace.simulation.engine import BLOCK, Engine
from dualtrace.simulation.load import parse_protocol
from dualtrace.simulation.mechanism import Mechanism
from dualtrace.simulation.plan import plan_of
from dualtrace.simulation.tally import GAIN_EDGES, Tally, tally_shapes
from dualtrace.simulation.tasks import share_sums, sums_from, tasks_of
from virtual_blocks import SMALL

if TYPE_CHECKING:
    from numpy.typing import NDArray

MANY = 19 * BLOCK + 77
"""Twenty blocks, the last one short: several chunks of 3, one of 32 that is not full."""


def digest(tree: Any) -> str:
    """Hash of every byte of every array."""
    found = hashlib.sha256()
    for leaf in jax.tree.leaves(tree):
        array = np.asarray(leaf)
        found.update(f"{array.dtype} {array.shape}".encode() + array.tobytes())
    return found.hexdigest()


@functools.cache
def engine() -> Engine:
    return Engine(plan_of(parse_protocol(SMALL)), Mechanism(), threads=1)


@functools.cache
def sums() -> Tally:
    return engine().sums(MANY, 7)


@functools.cache
def rows() -> Any:
    return engine().rows(MANY, 7)


def main() -> None:
    """Hash of the sums with the devices this process has, for another process to compare."""
    sys.stdout.write(json.dumps([len(jax.local_devices()), digest(sums())]))


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("chunk", [1, 3, 32])
def test_sums_and_rows_have_the_same_bytes_for_every_chunk_and_number_of_threads(chunk: int, threads: int) -> None:
    other = replace(engine(), chunk=chunk, threads=threads)
    assert digest(other.sums(MANY, 7)) == digest(sums())
    assert digest(other.rows(MANY, 7)) == digest(rows())


@pytest.mark.slow
def test_sums_have_the_same_bytes_from_a_program_with_more_room() -> None:
    assert digest(replace(engine(), chunk=40).sums(MANY, 7)) == digest(sums())


@pytest.mark.parametrize("devices", [pytest.param(2, marks=pytest.mark.slow), 4])
def test_sums_have_the_same_bytes_on_every_number_of_devices(devices: int) -> None:
    flags = f"--xla_force_host_platform_device_count={devices}"
    places = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1]), *sys.path])
    found = subprocess.run(
        [sys.executable, "-c", "import test_virtual_trial_bytes as own; own.main()"],
        env={**os.environ, "XLA_FLAGS": flags, "PYTHONPATH": places},
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    assert json.loads(found.stdout) == [devices, digest(sums())]


def test_the_patients_of_a_small_population_are_the_first_of_a_large_one() -> None:
    few = engine().rows(BLOCK + 100, 7)
    first = jax.tree.map(lambda leaf: leaf[..., : BLOCK + 100], rows())
    assert digest(few) == digest(first)


def test_shares_add_up_to_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A share is 131,072 patients; here of four blocks, so that five of them make the population."""
    monkeypatch.setattr("dualtrace.simulation.engine.SHARE", 4 * BLOCK)
    parts = [engine().sums(MANY, 7, share=share) for share in range(5)]
    assert [int(part.people) for part in parts] == [4 * BLOCK] * 4 + [MANY - 16 * BLOCK]
    whole = Tally(*(functools.reduce(np.add, leaves) for leaves in zip(*parts, strict=True)))
    assert digest(whole) == digest(engine().sums(MANY, 7))
    for one, other in zip(whole, sums(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_tasks_of_a_run_give_the_bytes_of_a_run_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each task is a share by itself, worked out from plain values as a worker gets them."""
    monkeypatch.setattr("dualtrace.simulation.engine.SHARE", 8 * BLOCK)
    protocol = parse_protocol(SMALL)
    tasks = tasks_of(protocol, Mechanism(), patients=MANY, seed=7)
    assert len(tasks) == 3
    results = [share_sums(json.loads(json.dumps(task.plain()))["inputs"], task.seed) for task in tasks]
    assert digest(sums_from(protocol, results)) == digest(engine().sums(MANY, 7))


def test_another_seed_gives_other_bytes() -> None:
    assert digest(engine().sums(BLOCK, 8)) != digest(engine().sums(BLOCK, 7))


def test_sums_are_the_sums_of_the_rows() -> None:
    """Everything a trial could count, from the patients' rows by other means."""
    found, each, plan = sums(), rows(), engine().plan
    assert {name: leaf.shape for name, leaf in found._asdict().items()} == tally_shapes(plan)
    assert found.people == MANY
    for place in range(len(plan.arms)):
        mine = each.arm == place
        assert found.allotted[place] == mine.sum()
        scores, lived = each.observed[..., mine], {name: leaf[:, mine] for name, leaf in each.lived.items()}
        np.testing.assert_array_equal(found.seen[place], np.isfinite(scores).sum(axis=-1))
        np.testing.assert_allclose(found.total[place], np.nansum(scores, axis=-1), rtol=1e-12)
        np.testing.assert_allclose(found.square[place], np.nansum(scores**2, axis=-1), rtol=1e-12)
        change = scores[:, 0] - scores[0, 0]
        np.testing.assert_allclose(found.change[place][:, 0], np.nansum(change, axis=-1), rtol=1e-9, atol=1e-8)
        np.testing.assert_array_equal(found.attended[place], lived["attended"].sum(axis=-1))
        np.testing.assert_array_equal(found.dosed[place], (lived["dose_mg"] > 0).sum(axis=-1))
        np.testing.assert_array_equal(found.due[place], lived["due"].sum(axis=-1))
        there = lived["attended"] > 0
        np.testing.assert_allclose(found.boost[place], (lived["boost"] * there).sum(axis=-1), rtol=1e-9, atol=1e-9)
        for k, name in enumerate(("start", "peak", "end")):
            np.testing.assert_allclose(found.suds[place][:, k], (lived[name] * there).sum(axis=-1), rtol=1e-12)


def test_sums_of_twins_compare_every_patient_with_the_same_patient_in_the_reference_arm() -> None:
    found, each, plan = sums(), rows(), engine().plan
    gain = (each.twin[plan.reference] - each.twin) / plan.primary_sd  # lower is better on the LSAS
    np.testing.assert_allclose(found.true, each.twin.sum(axis=-1), rtol=1e-12)
    np.testing.assert_allclose(found.gain, gain.sum(axis=-1), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.gain_square, (gain**2).sum(axis=-1), rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(found.better, (gain >= 0.1).sum(axis=-1))
    np.testing.assert_array_equal(found.worse, (gain <= -0.1).sum(axis=-1))
    edges: NDArray[np.float64] = np.concatenate([[-np.inf], GAIN_EDGES, [np.inf]])
    for place in range(len(plan.arms)):
        counts, _ = np.histogram(gain[place, plan.last_of_treatment], edges)
        np.testing.assert_array_equal(found.gain_counts[place], counts)


def test_slopes_are_those_of_least_squares_for_every_patient() -> None:
    found, each, plan = sums(), rows(), engine().plan
    weeks = np.array([0.0, *(visit.weeks for visit in plan.visits)])[: plan.last_of_treatment + 1]
    for place in range(len(plan.arms)):
        scores = each.observed[: weeks.size, 0][:, each.arm == place]
        seen = np.isfinite(scores)
        several = seen.sum(axis=0) > 1
        slopes = np.array(
            [
                np.polyfit(weeks[here], one[here], 1)[0]
                for one, here in zip(scores.T, seen.T, strict=True)
                if here.sum() > 1
            ]
        )
        assert 0 < (~seen.all(axis=0) & several).sum() < several.sum()
        assert found.sloped[place] == slopes.size
        assert found.slope[place] == pytest.approx(slopes.sum(), rel=1e-9)
        assert found.slope_square[place] == pytest.approx((slopes**2).sum(), rel=1e-9)
