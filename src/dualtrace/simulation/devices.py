"""JAX as this machine can use it best: every core a device, compiled programs kept between runs."""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path
from typing import Any, cast

_FLAG = "--xla_force_host_platform_device_count"
CACHE = "DUALTRACE_CACHE"
"""Environment variable: folder of compiled programs; empty for none."""


def use_cores(count: int | None = None) -> None:
    """Let JAX see ``count`` cores (all that this process may use) as devices.

    It has an effect only before JAX is imported; where JAX is there already, or the flag is set, nothing changes.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if "jax" in sys.modules or _FLAG in flags:
        return
    cores = count or len(os.sched_getaffinity(0))
    os.environ["XLA_FLAGS"] = f"{flags} {_FLAG}={cores}".strip()


def cache_folder() -> Path | None:
    """Folder of compiled programs: ``DUALTRACE_CACHE``, else the user's cache folder; ``None``: keep none."""
    given = os.environ.get(CACHE)
    if given is not None:
        return Path(given) / "compiled" if given else None
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "dualtrace" / "compiled"


@functools.cache
def prepare_jax() -> None:
    """Keep compiled programs, small ones too; a folder that cannot be written is no reason to stop."""
    import jax

    folder, config = cache_folder(), cast("Any", jax.config)
    if folder is None or config.jax_compilation_cache_dir is not None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    config.update("jax_compilation_cache_dir", str(folder))
    config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    config.update("jax_persistent_cache_min_entry_size_bytes", -1)
