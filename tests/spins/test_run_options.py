"""measure_every, store_every, workers and the automatic burn-in of runs."""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
import signal
import threading

import networkx as nx
import numpy as np
import pytest

import spinnet as sn
from spinnet.errors import CheckpointError, InputError, StatisticsError
from spinnet.progress import ProgressBar
from spinnet.runs.directory import JobDirectory
from spinnet.spins.montecarlo import crew
from spinnet.spins.montecarlo.chains import KERNELS, make_chains
from spinnet.spins.montecarlo.engine import plan_run
from spinnet.spins.montecarlo.plan import Plan
from spinnet.spins.montecarlo.run_directory import RunDirectory, run_in_processes
from spinnet.spins.montecarlo.storage import packed_bits
from spinnet.spins.montecarlo.trajectory import BurnIn, thinned
from spinnet.spins.montecarlo.updates import UPDATES

pytestmark = pytest.mark.filterwarnings("error")


def total(spins):
    return spins.sum(axis=1)


def build(name):
    rng = np.random.default_rng(3)
    return {
        "curie-weiss": sn.CurieWeiss(12, J=1.1, h=0.1),
        "dense": sn.Ising(rng.normal(size=(12, 12)) / 3, rng.normal(size=12), constant=0.3),
        "sparse": sn.Ising.from_graph(nx.grid_2d_graph(4, 3), J=0.3, h=0.2),
        "two-layer": sn.Bipartite(rng.normal(size=(6, 5)), 0.1, -0.2, levels=(0, 1)),
        "marginal": sn.NetworkDual(rng.normal(size=(6, 5)), kind="marginal"),
    }[name]


def assert_same_bits(mine, yours):
    assert list(mine.series) == list(yours.series)
    for name, series in mine.series.items():
        assert series.tobytes() == yours.series[name].tobytes(), name
    assert mine.spins.tobytes() == yours.spins.tobytes()
    if mine.stored is None:
        assert yours.stored is None
    else:
        assert mine.stored.tobytes() == yours.stored.tobytes()
    np.testing.assert_array_equal(mine.n_burn_in, yours.n_burn_in)
    assert (mine.measure_every, mine.store_every) == (yours.measure_every, yours.store_every)


# --- measure_every ----------------------------------------------------------------------------


@pytest.mark.parametrize("every", [2, 7, 100, 128, 129, 256, 257, 300, 700])
@pytest.mark.parametrize("name", ["curie-weiss", "sparse", "two-layer"])
def test_measurements_are_those_sweeps_of_the_run_that_measures_all(name, every):
    # the chains are the same bits; sums of energies in single precision are cut otherwise
    def chains():
        update = sn.BlockGibbs() if name == "two-layer" else sn.Metropolis(3)
        return make_chains(build(name), 0.6, update, 3, np.random.SeedSequence(1))

    full = [chains.advance(100) for chains in [chains()] for _ in range(7 * every // 100 + 1)]
    m, energy = (np.concatenate(part, axis=1)[:, : 7 * every] for part in zip(*full, strict=True))
    found_m, found_energy = thinned(chains(), 7, every)
    np.testing.assert_allclose(found_m, m[:, every - 1 :: every], atol=1e-14)
    np.testing.assert_allclose(found_energy, energy[:, every - 1 :: every], rtol=1e-6)


def test_the_kernels_do_exactly_the_sweeps_that_are_asked_for():
    class Counting:
        done, longest = 0, 0

        def advance(self, n, record=True):
            self.done += n
            self.longest = max(self.longest, n)
            return np.empty((2 * record, n)), np.empty((2 * record, n))

    for every, n in itertools.product([1, 2, 3, 127, 128, 129, 255, 256, 257, 1000], [1, 5, 40]):
        chains = Counting()
        m, energy = thinned(chains, n, every)
        assert m.shape == energy.shape == (2, n)
        assert chains.done == every * n
        assert chains.longest <= 256


@pytest.mark.statistical
def test_tau_is_in_measurements_and_the_means_stay(agrees, seed):
    model, beta = sn.CurieWeiss(256), 1.0
    run = sn.sample(model, beta, n_sweeps=3000, update=sn.HeatBath(), rng=seed, n_burn_in=200)
    wide = sn.sample(
        model, beta, n_sweeps=600, update=sn.HeatBath(), rng=seed, n_burn_in=200, measure_every=5
    )
    exact = sn.exact.curie_weiss(256, beta)
    agrees("m2", wide.estimate("m2"), exact.m2, replicas=64, precision=0.05)
    ratio = run.estimate("m2").tau / wide.estimate("m2").tau
    assert 4 < ratio < 5.5  # tau is about 10 sweeps
    assert wide.measure_every == 5
    assert wide.to_dict()["measure_every"] == 5


def test_burn_in_counts_sweeps_whatever_is_measured():
    common = {"n_replicas": 16, "rng": 1, "update": sn.HeatBath()}
    run = sn.sample(sn.CurieWeiss(32), 0.2, n_sweeps=30, n_burn_in=50, measure_every=10, **common)
    assert run.n_burn_in == 50
    auto = sn.sample(sn.CurieWeiss(32), 0.2, n_sweeps=100, measure_every=10, **common)
    assert auto.n_burn_in == 640  # the shortest phase: 64 measurements


def test_the_burn_in_counts_sweeps_on_its_way():
    chains = make_chains(sn.CurieWeiss(32), 0.2, sn.HeatBath(), 16, np.random.SeedSequence(1))
    for target, swept in (("auto", [320, 640]), (700, [256, 512, 700])):
        burn_in = BurnIn(target, [0.2], 10)
        for sweeps in swept:
            assert not burn_in.finished
            burn_in.step(chains, 256, 5000)
            assert burn_in.sweeps == sweeps
        assert burn_in.finished


# --- storage ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["curie-weiss", "dense", "sparse", "two-layer", "marginal"])
@pytest.mark.parametrize("observers", [None, [total]])
def test_stored_configurations_are_those_of_their_sweeps(name, observers):
    model = build(name)
    run = sn.sample(
        model,
        [0.4, 0.7],
        n_sweeps=310,
        n_replicas=3,
        n_burn_in=10,
        rng=7,
        store_every=31,
        measure_every=2,
        observers=observers,
    )
    for k in range(2):
        spins = run.configurations(k)
        assert spins.shape == (3, 10, model.n_spins)
        assert spins.dtype == np.int8
        assert set(np.unique(spins)) <= set(model.levels)
        np.testing.assert_allclose(spins.mean(axis=2), run.samples("m", k)[:, 30::31], atol=1e-14)
        if name != "marginal":
            energy = model.energy(spins.reshape(-1, model.n_spins)).reshape(3, 10)
            np.testing.assert_allclose(energy, run.samples("energy", k)[:, 30::31], rtol=1e-5)
        np.testing.assert_array_equal(spins[:, -1], run.spins[k])
        bits = run.packed_configurations(k)
        assert bits.shape == (3, 10, -(-model.n_spins // 8))
        up = np.unpackbits(bits, axis=-1, count=model.n_spins, bitorder="little")
        np.testing.assert_array_equal(up, spins == model.levels[1])


@pytest.mark.parametrize("name", ["curie-weiss", "dense", "two-layer"])
@pytest.mark.parametrize("options", [{}, {"tempering": True}])
def test_an_extended_run_that_stores_is_the_run_made_at_once(name, options, tmp_path):
    common = {"n_replicas": 3, "rng": 7, "n_burn_in": 20, "store_every": 100, "measure_every": 3}
    common |= options
    model, beta = build(name), [0.4, 0.7]
    for n in (100, 256, 300, 600):
        run = sn.sample(
            model, beta, n_sweeps=n, checkpoint=tmp_path / "a", checkpoint_interval=0, **common
        )
        assert run.configurations(1).shape[1] == n // 100
        assert_same_bits(run, sn.load_run(tmp_path / "a"))
        assert_same_bits(run, sn.sample(model, beta, n_sweeps=n, **common))
    with np.load(tmp_path / "a" / "result.npz") as arrays:
        assert arrays["stored"].tobytes() == run.stored.tobytes()


@pytest.mark.parametrize("kernel", sorted(KERNELS))
def test_every_kernel_packs_its_spins(kernel):
    models = [build(name) for name in ("curie-weiss", "dense", "sparse", "two-layer", "marginal")]
    models.append(sn.Ising.from_graph(nx.grid_2d_graph(5, 15)))
    models.append(sn.LowRank(np.random.default_rng(4).normal(size=(12, 1)) / 4))
    found = 0
    for model, update in itertools.product(models, [cls() for cls in UPDATES]):
        if KERNELS[kernel].refusal(model, update):
            continue
        found += 1
        chains = make_chains(model, 0.6, update, 70, np.random.SeedSequence(1), kernel)
        chains.advance(2)
        bits = chains.packed_spins()
        np.testing.assert_array_equal(bits, packed_bits(chains.spins, model.levels[1]))
        chains.place(chains.spins[::-1].copy())
        up = np.unpackbits(bits[::-1], axis=-1, count=model.n_spins, bitorder="little")
        np.testing.assert_array_equal(up, chains.spins == model.levels[1])
    assert found


def test_an_unfinished_run_gives_the_configurations_it_has(tmp_path):
    stop = iter(range(10**6))

    def raising(spins):
        if next(stop) == 400:
            signal.raise_signal(signal.SIGINT)
        return spins.sum(axis=1)

    model = sn.CurieWeiss(12)
    arguments = {"n_sweeps": 600, "n_replicas": 3, "rng": 7, "n_burn_in": 20, "store_every": 30}
    with pytest.raises(KeyboardInterrupt):
        sn.sample(model, 0.4, observers={"total": raising}, checkpoint=tmp_path / "a", **arguments)
    partial = sn.load_run(tmp_path / "a")
    assert partial.done == 512
    assert partial.configurations(0).shape == (3, 17, 12)
    run = sn.sample(model, 0.4, observers=[total], checkpoint=tmp_path / "a", **arguments)
    assert run.configurations(0).shape == (3, 20, 12)
    assert_same_bits(run, sn.sample(model, 0.4, observers=[total], **arguments))
    np.testing.assert_array_equal(partial.configurations(0), run.configurations(0)[:, :17])


@pytest.mark.parametrize("write", range(1, 10))
def test_a_full_disk_loses_no_configuration(tmp_path, monkeypatch, write):
    def go(folder=None):
        return sn.sample(
            sn.CurieWeiss(12),
            0.4,
            n_sweeps=600,
            n_replicas=3,
            rng=7,
            n_burn_in=20,
            store_every=50,
            checkpoint=folder,
            checkpoint_interval=0,
        )

    counter, sync = itertools.count(1), os.fsync

    def full(handle):
        if next(counter) >= write:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    with monkeypatch.context() as patch:
        patch.setattr("spinnet.files.os.fsync", full)
        with pytest.raises((CheckpointError, InputError), match="No space left on device"):
            go(tmp_path / "a")
    assert_same_bits(go(tmp_path / "a"), go())


def test_an_observer_without_a_number_ends_the_run_and_keeps_what_is_stored(tmp_path):
    calls = itertools.count(1)

    def broken(spins):
        return spins.sum(axis=1) * (np.nan if next(calls) == 300 else 1.0)

    common = {"n_sweeps": 600, "n_replicas": 3, "rng": 7, "n_burn_in": 20, "store_every": 50}
    where = {"checkpoint": tmp_path / "a", "checkpoint_interval": 0}
    with pytest.raises(InputError, match=r"observers\['total'\] must be finite"):
        sn.sample(sn.CurieWeiss(12), 0.4, observers={"total": broken}, **common, **where)
    assert sn.load_run(tmp_path / "a").configurations(0).shape == (3, 5, 12)
    run = sn.sample(sn.CurieWeiss(12), 0.4, observers=[total], **common, **where)
    assert_same_bits(run, sn.sample(sn.CurieWeiss(12), 0.4, observers=[total], **common))


def test_a_finished_run_is_read_where_nothing_can_be_written(tmp_path, monkeypatch):
    common = {"n_sweeps": 60, "n_replicas": 3, "rng": 7, "n_burn_in": 20, "store_every": 5}
    run = sn.sample(sn.CurieWeiss(12), 0.4, checkpoint=tmp_path / "a", **common)

    def refuse(*_args, **_kwargs):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("spinnet.files.tempfile.mkstemp", refuse)
    monkeypatch.setattr("spinnet.runs.locking._opened", refuse)
    again = sn.sample(sn.CurieWeiss(12), 0.4, checkpoint=tmp_path / "a", workers=2, **common)
    assert_same_bits(again, run)


def test_a_missing_or_foreign_array_of_configurations_is_refused(tmp_path):
    common = {"n_replicas": 3, "rng": 7, "n_burn_in": 20, "n_sweeps": 600}
    sn.sample(sn.CurieWeiss(12), 0.4, checkpoint=tmp_path / "plain", **common)
    sn.sample(sn.CurieWeiss(12), 0.4, checkpoint=tmp_path / "kept", store_every=50, **common)
    part = next((tmp_path / "plain").rglob("last-*.npz"))
    shutil.copy(part, tmp_path / "kept" / "beta-0000" / part.name)
    with pytest.raises(CheckpointError, match="belongs to another job"):
        sn.load_run(tmp_path / "kept")


def test_directories_know_what_they_measure_and_store(tmp_path):
    common = {"n_replicas": 3, "rng": 7, "n_burn_in": 20, "n_sweeps": 60}
    model = sn.CurieWeiss(12)
    sn.sample(model, 0.4, checkpoint=tmp_path / "plain", **common)
    job = json.loads((tmp_path / "plain" / "job.json").read_text())["job"]
    assert not {"measure_every", "store_every", "workers"} & set(job)  # as in older directories
    assert sn.load_run(tmp_path / "plain").measure_every == 1
    sn.sample(
        model, 0.4, checkpoint=tmp_path / "a", measure_every=2, store_every=5, workers=2, **common
    )
    job = JobDirectory.load(tmp_path / "a").job
    assert (job["measure_every"], job["store_every"]) == (2, 5)
    assert "workers" not in job
    for change in ({}, {"measure_every": 3, "store_every": 5}, {"measure_every": 2}):
        with pytest.raises(CheckpointError, match=r"made with (measure|store)_every="):
            sn.sample(model, 0.4, checkpoint=tmp_path / "a", **change, **common)


def test_directories_that_name_no_kernel_are_read(tmp_path, monkeypatch):
    full = Plan.job

    def old(self):
        return {key: value for key, value in full(self).items() if key != "kernel"}

    with monkeypatch.context() as patch:
        patch.setattr(Plan, "job", old)
        run = sn.sample(
            build("sparse"), 0.4, n_sweeps=60, n_replicas=3, rng=7, checkpoint=tmp_path / "a"
        )
    read = sn.load_run(tmp_path / "a")
    assert "kernel 'sequential', as the run was begun" in read.choice
    assert_same_bits(read, run)


def test_a_kernel_that_has_gone_is_named(tmp_path, monkeypatch):
    common = {"n_sweeps": 60, "n_replicas": 3, "rng": 7, "n_burn_in": 20}
    run = sn.sample(build("dense"), 0.4, checkpoint=tmp_path / "a", update=sn.HeatBath(), **common)
    full = JobDirectory.load

    def old(*args, **kwargs):
        directory = full(*args, **kwargs)
        directory.job.pop("kernel", None)
        return directory

    monkeypatch.setattr(JobDirectory, "load", old)
    assert_same_bits(sn.load_run(tmp_path / "a"), run)  # finished: no kernel is needed
    next((tmp_path / "a").rglob("last-*.npz")).unlink()
    with pytest.raises(CheckpointError, match=r"begun with kernel 'sequential' .* new directory"):
        sn.load_run(tmp_path / "a")


def test_merged_and_exported_runs_keep_their_configurations(tmp_path):
    xarray = pytest.importorskip("xarray")
    common = {"n_replicas": 8, "n_burn_in": 20, "n_sweeps": 60, "measure_every": 2}
    runs = [
        sn.sample(
            sn.CurieWeiss(12), [0.4, 0.6], rng=k, checkpoint=tmp_path / str(k), store_every=6,
            **common,
        )
        for k in range(2)
    ]  # fmt: skip
    merged = sn.merge_runs([tmp_path / "0", tmp_path / "1"], tmp_path / "both")
    for run in (merged, sn.load_run(tmp_path / "both")):
        assert (run.measure_every, run.store_every) == (2, 6)
        np.testing.assert_array_equal(run.stored[:, :8], runs[0].stored)
        np.testing.assert_array_equal(run.stored[:, 8:], runs[1].stored)
        assert run.overlap_distribution(1).n_replicas == 16
    sn.sample(sn.CurieWeiss(12), 0.4, rng=3, checkpoint=tmp_path / "3", **common)
    with pytest.raises(InputError, match="differ in store_every"):
        sn.merge_runs([tmp_path / "0", tmp_path / "3"], tmp_path / "more")
    with xarray.open_dataset(sn.export_netcdf(merged, tmp_path / "x.nc")) as data:
        assert data.stored.dims == ("beta", "replica", "configuration", "byte")
        np.testing.assert_array_equal(data.stored, merged.stored)
        assert data.configuration.values.tolist() == list(range(12, 121, 12))
        assert data.sweep.values[:3].tolist() == [2, 4, 6]
        assert "measurements, 2 sweeps apart" in data.mean_m2_tau.attrs["units"]


def test_runs_with_and_without_exchanges_are_not_merged(tmp_path):
    common = {"n_sweeps": 60, "n_replicas": 8, "n_burn_in": 20, "update": sn.HeatBath()}
    for k, tempering in enumerate([True, sn.Tempering(2), False, True]):
        where = tmp_path / str(k)
        sn.sample(sn.CurieWeiss(12), [0.4, 0.6], rng=k, tempering=tempering, checkpoint=where,
                  **common)  # fmt: skip
    for other in ("1", "2"):
        with pytest.raises(InputError, match="differ in tempering"):
            sn.merge_runs([tmp_path / "0", tmp_path / other], tmp_path / "bad")
        with pytest.raises(InputError, match="differ in tempering"):
            sn.merge_runs([tmp_path / other, tmp_path / "0"], tmp_path / "bad")
    merged = sn.merge_runs([tmp_path / "0", tmp_path / "3"], tmp_path / "good")
    assert merged.exchange.accepted.shape == (16, 1)
    with pytest.raises(InputError, match="differ in tempering"):
        sn.merge_runs([tmp_path / "good", tmp_path / "2"], tmp_path / "bad")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"measure_every": 0}, "measure_every must be an integer >= 1, got 0"),
        ({"measure_every": 1.5}, "measure_every must be an integer"),
        ({"store_every": -1}, "store_every must be an integer >= 0, got -1"),
        ({"store_every": True}, "store_every must be an integer"),
        ({"store_every": 6}, "store_every must be at most n_sweeps=5, or 0 to store none, got 6"),
        ({"workers": 0}, r"workers \(or None for all cores\) must be an integer >= 1, got 0"),
        ({"workers": "all"}, "workers .* must be an integer"),
        ({"observers": {"stored": total}}, "must not reuse the name 'stored'"),
    ],
)
def test_bad_options_are_refused(change, words):
    arguments = {"n_sweeps": 5, "n_replicas": 4, "rng": 1} | change
    with pytest.raises(InputError, match=words):
        sn.sample(sn.CurieWeiss(6), 0.5, **arguments)


def test_configurations_that_the_memory_cannot_hold_are_refused_first(monkeypatch):
    monkeypatch.setattr("spinnet.spins.montecarlo.engine.machine_memory", lambda: 1e6)
    common = {"n_replicas": 8, "rng": 1, "n_burn_in": 0}
    words = r"would hold 0\.001.* GB \(store_every=1, .* raise store_every"
    with pytest.raises(InputError, match=words):
        sn.sample(sn.CurieWeiss(4000), 0.5, n_sweeps=300, store_every=1, **common)
    with pytest.raises(InputError, match=r"\(store_every=31, "):  # as given
        sn.sample(sn.CurieWeiss(60_000), 0.5, n_sweeps=300, store_every=31, **common)
    run = sn.sample(sn.CurieWeiss(4000), 0.5, n_sweeps=300, store_every=30, **common)
    monkeypatch.setattr("spinnet.memory.machine_memory", lambda: 1e5)
    with pytest.raises(InputError, match=r"10 configurations would take .* in pieces"):
        run.configurations(0)
    assert run.packed_configurations(0).nbytes == 8 * 10 * 500


# --- workers ----------------------------------------------------------------------------------


def threads_of_runs():
    """Threads of pools: other tests may have left threads of their own libraries."""
    return [t for t in threading.enumerate() if t.name.startswith("ThreadPoolExecutor")]


@pytest.fixture
def threads_from_the_start(monkeypatch):
    monkeypatch.setattr("spinnet.spins.montecarlo.trajectory.WORTH_THREADS", 0.0)
    monkeypatch.setattr(crew, "WORTH_THREADS", 0.0)


@pytest.mark.usefixtures("threads_from_the_start")
@pytest.mark.parametrize("name", ["curie-weiss", "dense", "sparse", "two-layer", "marginal"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        pytest.param({"tempering": True}, marks=pytest.mark.slow),
        pytest.param({"observers": [total]}, marks=pytest.mark.slow),
    ],
)
def test_threads_change_no_bit(name, options, tmp_path):
    common = {"n_sweeps": 300, "n_replicas": 5, "rng": 7, "store_every": 50, **options}
    if name in ("marginal", "two-layer", "dense") and "observers" in options:
        common["n_sweeps"] = 60
    model, beta = build(name), [0.3, 0.5, 0.7]
    one = sn.sample(model, beta, **common)
    for workers in (2, 3, 8):
        assert_same_bits(one, sn.sample(model, beta, workers=workers, **common))
    kept = sn.sample(model, beta, workers=2, checkpoint=tmp_path / "a", **common)
    assert_same_bits(one, kept)


@pytest.mark.usefixtures("threads_from_the_start")
def test_temperatures_run_side_by_side_and_observers_take_turns():
    def at_once(observers):
        plan = plan_run(
            build("curie-weiss"), [0.3, 0.5, 0.7], n_sweeps=10, workers=2, observers=observers
        )
        return crew._at_once(plan)

    assert at_once(None) == 2
    assert at_once([total]) == 1
    seen = set()
    plan = plan_run(build("curie-weiss"), [0.3, 0.5, 0.7, 0.9], n_sweeps=10, workers=2)
    meeting = threading.Barrier(2, timeout=20)

    def work(_k):
        meeting.wait()  # passes only if two are at work
        seen.add(threading.current_thread().name)

    crew.Crew(plan).do(work, range(4))
    assert len(seen) == 2


def test_small_systems_keep_to_one_thread():
    plan = plan_run(sn.CurieWeiss(4), [0.3, 0.5], n_sweeps=1000, n_replicas=2, workers=8)
    assert crew._at_once(plan) == 1
    trajectory = plan.trajectory(0)
    trajectory.burn(1000)
    assert trajectory.chains.workers == 1
    large = plan_run(sn.CurieWeiss(4000), 0.5, n_sweeps=1000, n_replicas=64, workers=2,
                     n_burn_in=1, update=sn.HeatBath())  # fmt: skip
    trajectory = large.trajectory(0)
    trajectory.burn(1000)
    assert trajectory.chains.workers == 2


def test_the_last_temperatures_get_all_threads():
    plan = plan_run(sn.CurieWeiss(4000), [0.5] * 3, n_sweeps=1000, n_replicas=64, workers=4,
                    update=sn.HeatBath())  # fmt: skip
    team = crew.Crew(plan)
    shares = []
    team._left = 3
    for left in (3, 2, 1):
        team._left = left
        shares.append(team.share())
    assert shares == [1, 2, 4]


def test_large_couplings_are_not_copied_for_every_thread(monkeypatch):
    model = sn.Ising(np.random.default_rng(1).normal(size=(300, 300)))
    plan = plan_run(model, [0.3, 0.5], n_sweeps=100, workers=2, update=sn.HeatBath())
    assert crew._at_once(plan) == 2
    monkeypatch.setattr(crew, "machine_memory", lambda: 5 * 8 * 300**2)
    assert crew._at_once(plan) == 1


@pytest.mark.usefixtures("threads_from_the_start")
def test_an_error_in_one_thread_ends_the_run(tmp_path):
    model = sn.CurieWeiss(400, h=0.01)  # two wells of different depth: cold replicas stay
    arguments = {"n_sweeps": 1000, "n_replicas": 8, "rng": 7, "update": sn.HeatBath(), "workers": 2}
    for where in ({}, {"checkpoint": tmp_path / "a"}):
        with pytest.raises(StatisticsError, match=r"not mixed at beta=1\.3"):
            sn.sample(model, [0.5, 1.3, 0.6, 0.7], **arguments, **where)
    assert not threads_of_runs()


@pytest.mark.usefixtures("threads_from_the_start")
@pytest.mark.parametrize("keep", [True, False])
def test_ctrl_c_stops_all_threads(tmp_path, keep):
    where = {"checkpoint": tmp_path / "a"} if keep else {}
    arguments = {"n_sweeps": 20_000, "n_replicas": 8, "rng": 7, "n_burn_in": 0}
    arguments["update"] = sn.HeatBath()
    timer = threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        sn.sample(sn.CurieWeiss(500), [0.3] * 40, workers=3, **arguments, **where)
    timer.join()
    assert not threads_of_runs()
    if keep:
        done = sn.load_run(tmp_path / "a").done
        assert 0 < done.sum() < done.size * 20_000


def test_processes_have_threads_where_temperatures_are_few(tmp_path, monkeypatch):
    model = sn.CurieWeiss(12)
    plan = plan_run(model, [0.3], n_sweeps=300, n_replicas=5, rng=7, store_every=10)
    run = RunDirectory.open(tmp_path / "a", plan)
    seen = []

    def on_processes(n, work, jobs):
        seen.append((n, work.args[2]))
        return [(k, work(k)) for k in jobs]

    monkeypatch.setattr("spinnet.runs.workers.on_processes", on_processes)
    run_in_processes(run, 4, interval=0, bar=ProgressBar())
    assert seen == [(4, 4)]
    at_once = sn.sample(model, [0.3], n_sweeps=300, n_replicas=5, rng=7, store_every=10)
    assert_same_bits(run.collect(), at_once)


# --- automatic burn-in ------------------------------------------------------------------------


@pytest.mark.statistical
@pytest.mark.slow
def test_chains_that_mix_fast_are_not_refused():
    # at 64 replicas and 1000 sweeps at least, four phases (64 to 512 sweeps) must fail in turn,
    # each by chance in 2 of 5000 cases (drift of |m| or of the energy beyond 4 standard errors):
    # a refusal among 400 runs, 200 of each kind, would be far beyond the 1 % that is allowed
    refused = {"warm": 0, "field": 0}
    longer = 0
    for seed in range(200):
        for name, model, beta in (
            ("warm", sn.CurieWeiss(32), 0.6),
            ("field", sn.CurieWeiss(32, h=0.3), 1.1),
        ):
            try:
                run = sn.sample(model, beta, n_sweeps=100, rng=seed, update=sn.HeatBath())
                longer += int(run.n_burn_in > 192)
            except StatisticsError:
                refused[name] += 1
    assert max(refused.values()) == 0
    assert longer < 40


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("model", "beta", "n_replicas"),
    [
        (sn.CurieWeiss(300, h=0.01), 1.4, 64),
        (sn.Ising.from_graph(nx.grid_2d_graph(24, 24, periodic=True), J=1.0), 3.0, 32),
        (sn.Ising(np.random.default_rng(8).normal(size=(96, 96)) / 96**0.5 * 2**0.5), 4.0, 32),
    ],
    ids=["wells", "cold ferromagnet", "glass"],
)
def test_chains_that_do_not_mix_are_refused(model, beta, n_replicas, seed):
    # stripes and walls of a quenched ferromagnet, and valleys of a glass, outlive 1000 sweeps
    for shift in range(3):
        with pytest.raises(StatisticsError, match=r"have not mixed .*(R-hat|drifts)"):
            sn.sample(
                model, beta, n_sweeps=500, n_replicas=n_replicas, rng=seed + shift,
                update=sn.Metropolis(),
            )  # fmt: skip


def test_independent_draws_need_no_burn_in():
    from spinnet.spins.montecarlo.trajectory import Trajectory

    class Fresh:
        update, sweep_seconds = sn.Independent(), 1e-6

    assert Trajectory(Fresh(), [1.0], "auto", {}).burn_in.finished
    assert not Trajectory(Fresh(), [1.0], 10, {}).burn_in.finished
