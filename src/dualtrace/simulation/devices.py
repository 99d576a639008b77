"""JAX as this machine can use it best: how many cores there are, compiled programs kept between runs."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any, cast

CACHE = "DUALTRACE_CACHE"
"""Environment variable: folder of compiled programs; empty for none."""


def cores() -> int:
    """Count the cores that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)  # Linux alone has it
    return len(allowed(0)) if allowed else os.cpu_count() or 1


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
