"""Tasks that worker processes of the tests import; a script for MPI at the end."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

GRID = {"n": [1, 2, 3, 4], "scale": [0.5, 2.0]}


def noise(n: int, scale: float, rng: np.random.SeedSequence) -> dict[str, object]:
    """Numbers that need their own stream, a word, and an array."""
    draws = np.random.default_rng(rng).normal(scale=scale, size=n)
    return {"mean": float(draws.mean()), "word": "x" * n, "draws": draws, "big": bool(n > 2)}


def magnetisation(n: int, scale: float, rng: np.random.SeedSequence) -> float:
    """A Monte Carlo estimate."""
    import spinnet as sn

    run = sn.sample(sn.CurieWeiss(8 * n), scale, n_sweeps=60, n_replicas=8, n_burn_in=5, rng=rng)
    return float(run.estimate("abs_m").value)


def kill_once(n: int, folder: str) -> int:
    """Kill its own worker at n = 2, the first time."""
    time.sleep(0.05)
    flag = Path(folder) / f"died-{n}"
    if n == 2 and not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 10 * n


def kill_always(n: int) -> int:
    """Kill its own worker at n = 2, every time."""
    if n == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return 10 * n


def count_calls(n: int, folder: str, fail_at: int = -1) -> int:
    """Leave a trace of every call."""
    with (Path(folder) / f"calls-{n}").open("a") as stream:
        stream.write("x")
    if n == fail_at and not (Path(folder) / "repaired").exists():
        raise ValueError(f"no result\nat n = {n}")
    return n * n


def slow(n: int, folder: str) -> int:
    """Take a while, so that a test can kill the sweep in the middle."""
    count_calls(n, folder)
    time.sleep(0.25)
    return n * n


def threads(n: int) -> dict[str, str]:
    """Return the number of threads that the environment allows."""
    return {"blas": os.environ.get("OPENBLAS_NUM_THREADS", ""), "pid": str(os.getpid())}


def main() -> None:
    """Run a sweep as a script: on MPI, or in a process that is killed."""
    from spinnet.runs.sweeping import sweep

    kind, folder = sys.argv[1:]
    if kind == "mpi":
        from mpi4py.futures import MPIPoolExecutor

        with MPIPoolExecutor() as executor:
            result = sweep(noise, GRID, executor=executor, rng=11)
            Path(folder, "mpi.json").write_text(json.dumps(result.to_dict()))
        return
    executor = None if kind == "here" else kind
    n_workers = 2 if kind == "processes" else None
    grid = {"n": range(8), "folder": [folder]}
    sweep(slow, grid, executor=executor, n_workers=n_workers, directory=Path(folder, "store"))


if __name__ == "__main__":
    main()
