"""A run as a labelled data set, in memory (xarray) and as a NetCDF file."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from spinnet.errors import InputError, MissingDependencyError
from spinnet.files import check_writable, sync_folder
from spinnet.spins.montecarlo.exchange import Exchange
from spinnet.spins.montecarlo.run import Run
from spinnet.spins.montecarlo.storage import STORED
from spinnet.spins.statistics import Estimate

_WORDS = {
    "m": "magnetisation per spin after each sweep",
    "energy": "total energy after each sweep",
}
_UNITS = dict.fromkeys(("m", "magnetization", "abs_m", "m2", "m4"), "per spin")
_UNITS |= {"energy": "total", "energy2": "total squared"}  # k_B = 1, and J has no unit
_DERIVED = {
    "binder": ("Binder cumulant 1 - <m^4>/(3 <m^2>^2)", "1"),
    "susceptibility": ("susceptibility beta N (<m^2> - <m>^2)", "per spin"),
    "susceptibility_abs": ("susceptibility beta N (<m^2> - <|m|>^2)", "per spin"),
    "specific_heat": ("specific heat beta^2 (<E^2> - <E>^2)/N", "per spin"),
}
_BETA = {"long_name": "inverse temperature 1/T, k_B = 1", "units": "1/energy"}
_PARTS = {
    "error": "one standard error",
    "tau": "integrated autocorrelation time",
    "n_eff": "effective number of independent values",
    "rhat": "split R-hat of the replicas",
}


def to_xarray(run: Run) -> Any:
    """Return a run as an ``xarray.Dataset``.

    Dimensions are beta (flattened if it was a grid), replica, sweep (of measurement, counted from
    the end of the burn-in) and spin.  The series have their names ("m", "energy", observers), the
    last configurations are "spins", those stored on the way are "stored" (bits, with the
    dimensions configuration and byte; "configuration" is the sweep of each), and
    each estimate is ``mean_NAME`` (or its own name, as "binder") with ``..._error``,
    ``..._tau``, ``..._n_eff`` and ``..._rhat``.

    Raises
    ------
    MissingDependencyError
        Without xarray and h5netcdf.
    """
    xarray = _needed("xarray")
    n_beta, n, n_sweeps = run.beta.size, run.n_replicas, run.n_sweeps
    over_sweeps = ("beta", "replica", "sweep")
    variables: dict[str, Any] = {
        name: (
            over_sweeps,
            values.reshape(n_beta, n, n_sweeps),
            {"long_name": _long_name(name), "units": _units(name)},
        )
        for name, values in run.series.items()
    }
    spins = run.spins.reshape(n_beta, n, -1)
    words = {"long_name": "configurations after the last sweep", "units": "1"}
    variables["spins"] = (("beta", "replica", "spin"), spins, words)
    variables |= _stored(run)
    for name, long_name in (("n_burn_in", "burn-in"), ("done", "measurements")):
        words = {"long_name": long_name, "units": "sweeps" if name == "n_burn_in" else "1"}
        variables[name] = (("beta",), getattr(run, name).ravel(), words)
    for name, estimate in _estimates(run).items():
        variables |= _estimate_variables(name, estimate, run.measure_every)
    if run.exchange is not None:
        variables |= _exchange_variables(run.exchange)
    coordinates = {
        "beta": ("beta", run.beta.ravel(), _BETA),
        "replica": ("replica", np.arange(n), {"long_name": "independent chain", "units": "1"}),
        "sweep": (
            "sweep",
            run.measure_every * np.arange(1, n_sweeps + 1),
            {"long_name": "measured sweep", "units": "sweeps"},
        ),
        "spin": ("spin", np.arange(spins.shape[2]), {"long_name": "spin", "units": "1"}),
    }
    if run.stored is not None:
        every = run.measure_every * run.store_every
        words = {"long_name": "sweep of a stored configuration", "units": "sweeps"}
        at = every * np.arange(1, run.stored.shape[-2] + 1)
        coordinates["configuration"] = ("configuration", at, words)
    return xarray.Dataset(variables, coords=coordinates, attrs=_attributes(run))


def export_netcdf(run: Run, path: str | Path) -> Path:
    """Write a run as a NetCDF-4 file, which ``xarray.open_dataset`` and others read.

    The contents are those of :func:`to_xarray`.  The file appears whole or not at all.

    Raises
    ------
    MissingDependencyError
        Without xarray and h5netcdf.
    InputError
        If the file cannot be written, or is larger than what is free on its disk.

    Examples
    --------
    >>> import tempfile
    >>> import xarray
    >>> import spinnet as sn
    >>> place = tempfile.TemporaryDirectory()
    >>> run = sn.sample(sn.CurieWeiss(8), 0.5, n_sweeps=64, n_replicas=4, rng=1)
    >>> with xarray.open_dataset(sn.export_netcdf(run, f"{place.name}/run.nc")) as data:
    ...     dict(data.m.sizes)
    {'beta': 1, 'replica': 4, 'sweep': 64}
    >>> place.cleanup()
    """
    _needed("h5netcdf")
    target = check_writable(path)
    data = to_xarray(run)
    _check_room(target, data.nbytes)
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        os.close(handle)
        try:
            data.to_netcdf(name, engine="h5netcdf")
            _replace_durably(Path(name), target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        reason = error.strerror or str(error).partition("\n")[0]
        raise InputError(f"cannot write {str(target)!r}: {reason}") from error
    return target


def _stored(run: Run) -> dict[str, Any]:
    """Return the stored configurations as a variable by its name, if there are any."""
    if run.stored is None:
        return {}
    low, high = run.model.levels
    words = {
        "long_name": "stored configurations, one bit a spin, the first spin lowest in the first "
        f"byte: 1 is {high}, 0 is {low}",
        "n_spins": run.model.n_spins,
        "units": "1",
    }
    bits = run.stored.reshape(run.beta.size, *run.stored.shape[-3:])
    return {STORED: (("beta", "replica", "configuration", "byte"), bits, words)}


def _check_room(target: Path, n_bytes: int) -> None:
    """Refuse what the disk cannot hold: HDF5 may crash where it runs full."""
    free = shutil.disk_usage(target.parent).free
    if free < n_bytes:
        raise InputError(
            f"cannot write {str(target)!r}: it takes {n_bytes / 1e9:.4g} GB, and "
            f"{free / 1e9:.4g} GB are free there"
        )


def _replace_durably(source: Path, target: Path) -> None:
    umask = os.umask(0)
    os.umask(umask)
    source.chmod(0o666 & ~umask)
    with source.open("rb") as stream:
        os.fsync(stream.fileno())
    source.replace(target)
    sync_folder(target.parent)


def _needed(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingDependencyError(
            f"NetCDF files need {name}: pip install 'spinnet[xarray]'"
        ) from error


def _long_name(name: str) -> str:
    return _WORDS.get(name, f"observer {name} after each sweep")


def _units(name: str) -> str:
    """Return what a series or a mean counts: m and its powers are per spin, energy is total."""
    return _UNITS.get(name, "as observed")


def _estimates(run: Run) -> dict[str, Estimate]:
    means = {f"mean_{name}": run.estimate(name) for name in run.names}
    return means | {name: getattr(run, name) for name in _DERIVED}


def _estimate_variables(name: str, estimate: Estimate, every: int) -> dict[str, Any]:
    series = name.removeprefix("mean_")
    long_name, units = _DERIVED.get(name, (f"mean of {series} over sweeps", _units(series)))
    notes = {"note": estimate.note} if estimate.note else {}
    notes |= {"long_name": long_name, "units": units}
    result: dict[str, Any] = {name: (("beta",), np.ravel(estimate.value), notes)}
    for part, meaning in _PARTS.items():
        steps = "sweeps" if every == 1 else f"measurements, {every} sweeps apart"
        own = {"error": units, "tau": steps}.get(part, "1")
        words = {"long_name": f"{meaning} of {name}", "units": own}
        result[f"{name}_{part}"] = (("beta",), np.ravel(getattr(estimate, part)), words)
    return result


def _exchange_variables(exchange: Exchange) -> dict[str, Any]:
    """Return the rates between neighbouring temperatures, and the round trips."""
    rate = {"long_name": "acceptance of exchanges of beta k and k + 1", "units": "1"}
    error = {"long_name": "one standard error of exchange_acceptance", "units": "1"}
    trips = {"long_name": "round trips from end to end of the temperatures", "units": "1"}
    return {
        "exchange_acceptance": (("pair",), exchange.acceptance, rate),
        "exchange_acceptance_error": (("pair",), exchange.acceptance_error, error),
        "exchange_round_trips": (("replica",), exchange.round_trips, trips),
    }


def _attributes(run: Run) -> dict[str, Any]:
    return {
        "title": f"Monte Carlo of {run.model!r}",
        "source": f"spinnet {run.version}",
        "model": json.dumps(run.model.to_dict()),
        "update": repr(run.update),
        "n_sweeps": run.n_sweeps,
        "measure_every": run.measure_every,
        "store_every": run.store_every,
        "n_replicas": run.n_replicas,
        "beta_shape": json.dumps(list(run.beta.shape)),
        "seed": json.dumps(dict(run.seed)),
        "version": run.version,
        "energies": "total, each pair once",
    }
