"""Jobs: TOML files of a spin system and of what to do with it.

A job holds the table [model] and, for each command that is to use it, a table of settings:
[sample] for ``spinnet run`` and [solve] for ``spinnet solve``.  Every table of a job is checked,
whichever command reads it.  Paths count from the folder of the job.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spinnet.cli.tables import Table, needed_table, read_tables

if TYPE_CHECKING:
    from spinnet.spins.models import SpinModel

SAMPLE_KEYS = (
    *("beta", "n_sweeps", "n_replicas", "n_burn_in", "update", "heat_bath_every"),
    *("tempering", "exchange_every", "measure_every", "store_every", "workers", "seed"),
)
SOLVE_KEYS = ("beta", "method", "diagonal", "n_starts", "rtol", "max_steps", "one_loop", "seed")

HELP = """\
a job is a TOML file with a spin system and what to do with it:

  [model]   type = "curie-weiss"   with n_spins, J, h
            type = "ising"         with file (couplings, .npy or .npz), h
            type = "bipartite"     with file (weights), bias_a, bias_b, levels, scale
            type = "low-rank"      with file (factors, one row a spin), h
            type = "hopfield"      with file (patterns, one row each), h
            type = "network-dual"  with layer, weights, activation, kind, fields, norm
  [sample]  beta, n_sweeps, n_replicas, n_burn_in, update, heat_bath_every, tempering,
            exchange_every, measure_every, store_every, workers, seed
  [solve]   beta, method, diagonal, n_starts, rtol, max_steps, one_loop, seed

Paths in it count from its own folder.  The keys are the arguments of the Python functions.
"""


@dataclass(frozen=True)
class Job:
    """A parsed job.

    Attributes
    ----------
    path : Path
    model : SpinModel
    settings : Table
        The table of the command.
    files : dict of str to Path
        The files that the model was read from.
    """

    path: Path
    model: SpinModel
    settings: Table
    files: dict[str, Path | None]


def read_job(path: Path, purpose: str, *, optional: tuple[str, ...] = ()) -> Job:
    """Read a job for the command whose settings are in the table `purpose`.

    Its key "beta" must be there unless `optional` names it.

    Raises
    ------
    InputError
        Naming the file, the table and the key.
    """
    tables = read_tables(path, ("model", "sample", "solve"))
    settings = needed_table(tables, path, purpose)
    for name, keys in (("sample", SAMPLE_KEYS), ("solve", SOLVE_KEYS)):
        if name in tables:
            tables[name].check_keys(keys)
    if "beta" not in optional:
        settings.need("beta")
    model = needed_table(tables, path, "model")
    built = _model(model)
    files: dict[str, Path | None] = {
        f"[model] {key}": model.path(key) for key in ("file", "weights") if key in model.values
    }
    return Job(path, built, settings, files)


def _model(table: Table) -> SpinModel:
    kind = table.choice("type", tuple(_MODELS))
    keys, build = _MODELS[kind]
    table.check_keys(("type", *keys), f"type = {kind!r}")
    with table.naming_errors():
        return build(table)


def _given(table: Table, *keys: str) -> dict[str, Any]:
    return {key: table.values[key] for key in keys if key in table.values}


def _curie_weiss(table: Table) -> SpinModel:
    from spinnet.spins.models import CurieWeiss

    return CurieWeiss(table.need("n_spins"), **_given(table, "J", "h"))


def _ising(table: Table) -> SpinModel:
    from spinnet.cli.arrays import load_matrix
    from spinnet.spins.models import Ising

    return Ising(load_matrix(table.path("file")), **_given(table, "h"))


def _bipartite(table: Table) -> SpinModel:
    from spinnet.cli.arrays import load_matrix
    from spinnet.spins.models import Bipartite

    options = _given(table, "bias_a", "bias_b", "scale", "levels")
    if isinstance(options.get("levels"), list):
        options["levels"] = tuple(options["levels"])
    return Bipartite(load_matrix(table.path("file")), **options)


def _low_rank(table: Table) -> SpinModel:
    from spinnet.cli.arrays import load_matrix
    from spinnet.spins.models import LowRank

    return LowRank(load_matrix(table.path("file")), **_given(table, "h"))


def _hopfield(table: Table) -> SpinModel:
    from spinnet.cli.arrays import load_matrix
    from spinnet.spins.models import Hopfield

    return Hopfield(load_matrix(table.path("file")), **_given(table, "h"))


def _network_dual(table: Table) -> SpinModel:
    from spinnet.cli.arrays import load_layer
    from spinnet.spins.models import NetworkDual

    weights = table.path("weights") if "weights" in table.values else None
    activation = table.text("activation") if "activation" in table.values else None
    layer = load_layer(weights, table.text("layer"), activation)
    return NetworkDual(layer.weights, layer.bias, **_given(table, "kind", "fields", "norm"))


_MODELS: dict[str, tuple[tuple[str, ...], Callable[[Table], SpinModel]]] = {
    "curie-weiss": (("n_spins", "J", "h"), _curie_weiss),
    "ising": (("file", "h"), _ising),
    "bipartite": (("file", "bias_a", "bias_b", "levels", "scale"), _bipartite),
    "low-rank": (("file", "h"), _low_rank),
    "hopfield": (("file", "h"), _hopfield),
    "network-dual": (
        ("layer", "weights", "activation", "kind", "fields", "norm"),
        _network_dual,
    ),
}
