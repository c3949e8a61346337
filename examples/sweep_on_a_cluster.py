"""Where the susceptibility peaks at each size: one sweep, on whatever workers there are."""

# %% [markdown]
# # A sweep that runs anywhere and survives
#
# The Curie-Weiss model is sampled at several sizes and temperatures, one task for each.  The
# same script runs here, on the processes of one machine, on dask.distributed, on MPI, or as one
# part of a job array: the numbers are the same bits.  The folder keeps each finished row, so
# that a killed job is simply submitted again.  `examples/slurm/` has a job for each.

# %%
from __future__ import annotations

import argparse
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import spinnet as sn


# %%
def susceptibility(
    n_spins: int, temperature: float, n_sweeps: int, rng: np.random.SeedSequence
) -> dict[str, float]:
    """Return chi of |m| per spin with its error."""
    run = sn.sample(
        sn.CurieWeiss(n_spins), 1 / temperature, n_sweeps=n_sweeps, n_burn_in=300, rng=rng
    )
    chi = run.susceptibility_abs
    return {"chi": float(chi.value), "chi_error": float(chi.error)}


def workers(name: str, scheduler_file: str | None) -> AbstractContextManager[Executor | str | None]:
    if name == "dask":
        from dask.distributed import Client

        client = Client(scheduler_file=scheduler_file)
        print(f"dask workers: {len(client.scheduler_info(n_workers=-1)['workers'])}")
        return client.get_executor()
    if name == "mpi":  # started by `mpiexec -n N python -m mpi4py.futures THIS`
        from mpi4py.futures import MPIPoolExecutor

        return MPIPoolExecutor()
    return nullcontext("processes" if name == "processes" else None)


# %%
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller sizes and fewer sweeps")
    parser.add_argument(
        "--executor", choices=("here", "processes", "dask", "mpi"), default="processes"
    )
    parser.add_argument("--scheduler-file", help="of the dask scheduler to join")
    parser.add_argument("--part", nargs=2, type=int, metavar=("K", "N"), help="rows K, K+N, ...")
    parser.add_argument("--directory", default="susceptibility-sweep")
    parser.add_argument("--output", default="sweep_on_a_cluster.png")
    options = parser.parse_args()

    grid = {
        "n_spins": [64, 128] if options.quick else [64, 256, 1024, 4096],
        "temperature": np.linspace(0.6, 1.3, 6 if options.quick else 15).round(3),
        "n_sweeps": [300 if options.quick else 4000],
    }
    part = tuple(options.part) if options.part else None
    with workers(options.executor, options.scheduler_file) as executor:
        result = sn.sweep(
            susceptibility,
            grid,
            executor=executor,
            directory=options.directory,
            part=part,
            rng=7,
            progress=True,
        )
    print(result.summary())
    if not result.complete:
        return

    result.to_csv(f"{options.directory}.csv")
    columns = {name: result.column(name) for name in ("n_spins", "temperature", "chi", "chi_error")}
    fig, ax = plt.subplots(layout="constrained")
    for n in grid["n_spins"]:
        rows = columns["n_spins"] == n
        t, chi, error = (columns[name][rows] for name in ("temperature", "chi", "chi_error"))
        ax.errorbar(t, chi, error, fmt="o-", label=f"$N = {n}$")
    ax.axvline(1.0, color="grey", lw=0.8)
    ax.set(
        xlabel=r"temperature $T/J$",
        ylabel=r"$\chi_{|m|}\,J$ per spin",
        title="Curie-Weiss model, Monte Carlo",
    )
    ax.legend()
    fig.savefig(options.output)
    print(f"figure: {options.output}; table: {options.directory}.csv")


if __name__ == "__main__":
    main()
