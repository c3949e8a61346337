"""Monte Carlo: ``sample`` with its updates, runs in directories, and exact independent samples."""

from spinnet.spins.montecarlo.annealing import log_partition
from spinnet.spins.montecarlo.engine import sample
from spinnet.spins.montecarlo.exchange import Exchange, Tempering
from spinnet.spins.montecarlo.iid import iid_curie_weiss, iid_curie_weiss_spins
from spinnet.spins.montecarlo.merging import merge_runs
from spinnet.spins.montecarlo.netcdf import export_netcdf, to_xarray
from spinnet.spins.montecarlo.run import Run
from spinnet.spins.montecarlo.run_directory import load_run
from spinnet.spins.montecarlo.tempering import Ladder, place_temperatures
from spinnet.spins.montecarlo.transition import transition_matrix
from spinnet.spins.montecarlo.updates import (
    AuxiliaryField,
    BlockGibbs,
    HeatBath,
    Independent,
    Metropolis,
    SwendsenWang,
    Wolff,
)

__all__ = [
    "AuxiliaryField",
    "BlockGibbs",
    "Exchange",
    "HeatBath",
    "Independent",
    "Ladder",
    "Metropolis",
    "Run",
    "SwendsenWang",
    "Tempering",
    "Wolff",
    "export_netcdf",
    "iid_curie_weiss",
    "iid_curie_weiss_spins",
    "load_run",
    "log_partition",
    "merge_runs",
    "place_temperatures",
    "sample",
    "to_xarray",
    "transition_matrix",
]
