"""A run in a directory: killed, interrupted, extended or shared, it is the run made at once."""

from __future__ import annotations

import dataclasses
import errno
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from scipy.special import expit

import spinnet as sn
from spinnet import files
from spinnet.errors import CheckpointError, InputError, SpinnetWarning, StatisticsError
from spinnet.progress import ProgressBar
from spinnet.runs import parts
from spinnet.runs.directory import JobDirectory
from spinnet.spins.montecarlo import load_run, merge_runs, merging
from spinnet.spins.montecarlo.chains import BlockChains, make_chains
from spinnet.spins.montecarlo.chains.block import exact_sums
from spinnet.spins.montecarlo.engine import plan_run
from spinnet.spins.montecarlo.plan import model_arrays, model_from_arrays
from spinnet.spins.montecarlo.run_directory import RunDirectory, run_in_processes
from spinnet.spins.montecarlo.trajectory import BurnIn, block_length

KILLER = Path(__file__).with_name("killed_runs.py")


def total(spins):
    return spins.sum(axis=1)


def build(name):
    rng = np.random.default_rng(3)
    return {
        "curie-weiss": sn.CurieWeiss(12, J=1.1, h=0.1),
        "dense": sn.Ising(rng.normal(size=(12, 12)) / 3, rng.normal(size=12), constant=0.3),
        "sparse": sn.Ising.from_graph(nx.grid_2d_graph(4, 3), J=0.3, h=0.2),
        "two-layer": sn.Bipartite(rng.normal(size=(6, 5)), 0.1, -0.2),
        "dual": sn.NetworkDual(rng.normal(size=(6, 5)), 0.1, fields="centered"),
        "collapsed": sn.NetworkDual(rng.normal(size=(5, 5)), 0.1, kind="collapsed"),
        "marginal": sn.NetworkDual(rng.normal(size=(6, 5)), kind="marginal"),
    }[name]


MODELS = ("curie-weiss", "dense", "sparse", "two-layer", "dual", "collapsed", "marginal")
SHORT = {"n_replicas": 3, "rng": 7, "n_burn_in": 20}


def assert_same_bits(mine, yours):
    assert list(mine.series) == list(yours.series)
    for name, series in mine.series.items():
        assert series.tobytes() == yours.series[name].tobytes(), name
    assert mine.spins.tobytes() == yours.spins.tobytes()
    np.testing.assert_array_equal(mine.n_burn_in, yours.n_burn_in)
    assert (mine.beta.tobytes(), mine.seed) == (yours.beta.tobytes(), yours.seed)


def cw(folder=None, **changes):
    """Sample a small Curie-Weiss model."""
    arguments = {"n_sweeps": 600, "update": sn.HeatBath()} | SHORT | changes
    beta = arguments.pop("beta", [0.4, 0.9])
    return sn.sample(build("curie-weiss"), beta, checkpoint=folder, **arguments)


# --- the state of chains ----------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("update", [None, sn.HeatBath(), sn.Metropolis(3)], ids=repr)
def test_chains_go_on_from_their_state(name, update):
    if name == "marginal":
        update = sn.BlockGibbs()
    update = update or (sn.BlockGibbs() if name in ("two-layer", "dual") else sn.HeatBath())
    model = build(name)
    # SFC64 keeps half a word after an odd number of draws: 5 times 3 replicas of 11 units
    chains = make_chains(model, 0.6, update, 3, np.random.SeedSequence(1))
    chains.advance(4)
    stored = {key: value.copy() for key, value in chains.state().items()}
    expected = chains.advance(7), chains.spins
    other = make_chains(model, 0.6, update, 3, np.random.SeedSequence(2))
    other.restore(stored)
    found = other.advance(7), other.spins
    for mine, yours in zip([*expected[0], expected[1]], [*found[0], found[1]], strict=True):
        assert mine.tobytes() == yours.tobytes()
    assert {k: v.tobytes() for k, v in stored.items()} != {
        k: v.tobytes() for k, v in other.state().items()
    }


def test_sums_of_layers_are_exact_in_any_order():
    rng = np.random.default_rng(5)
    w = rng.standard_cauchy(size=(301, 40)) * np.geomspace(1e-3, 1e3, 40)
    w[:, 0], w[:, 1] = 0.0, 2.0**-30
    rounded, unit = exact_sums(w)
    # to half a step of 2^-24 (2^-23 where rounding up would pass 1) of the sum of sizes
    assert np.all(np.abs(rounded * unit.astype(float) - w) <= 2.0**-24 * unit)
    assert np.all(unit <= 4 * np.abs(w).sum(axis=0) + (np.abs(w).sum(axis=0) == 0))
    signs = rng.choice(np.array([-1, 1], np.float32), size=(16, 301))
    exact = signs.astype(float) @ rounded.astype(float)
    for _ in range(5):
        order = rng.permutation(301)
        partial = np.cumsum(signs[:, order, None] * rounded[order], axis=1, dtype=np.float32)
        np.testing.assert_array_equal(partial[:, -1], exact)
    np.testing.assert_array_equal(signs @ rounded, exact)


@pytest.mark.parametrize("n", [300, 3000, 30_000])
def test_a_weight_of_one_in_ten_thousand_acts_in_a_layer_of_any_size(n):
    into = np.random.default_rng(2).choice([-1.0, 1.0], size=(n, 2)) * (1 / 3)
    into[0] = 1e-4 / 3
    rounded, unit = exact_sums(into)
    np.testing.assert_allclose(rounded[0] * unit, into[0], rtol=0.5)
    assert rounded.dtype == (np.float32 if n == 300 else np.float64)
    exact = np.full((n, 2), 1.0)
    assert exact_sums(exact)[0].dtype == np.float32  # nothing is rounded


@pytest.mark.parametrize("strength", [1.0, 30.0, 1000.0])
def test_rounded_weights_leave_the_gibbs_measure(strength):
    # one block sweep with the rounded weights and probabilities, started from the Boltzmann
    # weights, exactly; bonds differ by five orders of magnitude
    rng = np.random.default_rng(8)
    sizes = np.geomspace(1e-5, 1, 12)[rng.permutation(12)].reshape(4, 3)
    w = strength * rng.choice([-1, 1], (4, 3)) * sizes
    a, b = (np.array(list(itertools.product([-1.0, 1.0], repeat=n))) for n in w.shape)
    weight = np.exp((e := a @ w @ b.T) - e.max())

    def step(given, taken, matrix):
        rounded, unit = exact_sums(matrix)
        up = np.round(expit(2 * (given @ rounded) * unit) * 2**24) / 2**24
        return np.where(taken[None] > 0, up[:, None], 1 - up[:, None]).prod(axis=2)

    exact = weight.sum(axis=1) / weight.sum()
    moved = exact @ step(a, b, w) @ step(b, a, w.T)
    # half a step of each probability is 7 * 2^-24 = 4e-7; 1e-6 takes 1e12 samples to be seen
    assert np.abs(moved - exact).sum() < 1e-6


def test_threads_of_linear_algebra_change_no_bit():
    # 64 x 300 x 517 is a size at which OpenBLAS splits its sums by the number of threads
    code = """
import hashlib, numpy as np, spinnet as sn
rng = np.random.default_rng(1)
model = sn.Bipartite(rng.normal(size=(300, 517)) / 10, rng.normal(size=300))
run = sn.sample(model, 1.0, n_sweeps=6, n_burn_in=0, rng=1)
print(hashlib.sha256(run.series["energy"].tobytes() + run.spins.tobytes()).hexdigest())
"""
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"OPENBLAS_NUM_THREADS": str(n), "OMP_NUM_THREADS": str(n)},
            capture_output=True,
            check=True,
        ).stdout
        for n in (1, 2)
    }
    assert len(found) == 1


@pytest.mark.parametrize("name", MODELS)
def test_models_come_back_as_they_were(name, tmp_path):
    model = build(name)
    np.savez(tmp_path / "model.npz", **model_arrays(model))
    with np.load(tmp_path / "model.npz", allow_pickle=False) as stored:
        again = model_from_arrays(stored)
    assert (type(again), again.constant, repr(again)) == (type(model), model.constant, repr(model))
    rng = np.random.default_rng(1)
    spins = rng.choice(np.array(model.levels, np.int8), size=(9, model.n_spins))
    assert again.energy(spins).tobytes() == model.energy(spins).tobytes()
    assert again.local_fields(spins).tobytes() == model.local_fields(spins).tobytes()
    if name == "dense":
        np.testing.assert_array_equal(again.self_couplings, model.self_couplings)


def test_a_model_of_the_users_own_class_is_refused(tmp_path):
    class Mine(sn.CurieWeiss):
        pass

    with pytest.raises(InputError, match=r"spinnet's own classes, got Mine; pass model\.to_ising"):
        sn.sample(Mine(5), 0.5, n_sweeps=5, checkpoint=tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_slow_sweeps_come_in_shorter_blocks():
    assert block_length(1e-6) == block_length(1 / 256) == 256
    assert block_length(1.01 / 256) == 128
    assert block_length(0.3) == 2
    assert block_length(50.0) == 1


def test_each_temperature_has_the_child_of_the_seed_with_its_index():
    run = cw(n_sweeps=50)
    for k, child in enumerate(np.random.SeedSequence(7).spawn(2)):
        chains = make_chains(build("curie-weiss"), run.beta[k], sn.HeatBath(), 3, child)
        chains.advance(20)
        np.testing.assert_array_equal(run.series["m"][k], chains.advance(50)[0])


# --- bits -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "update", "observers"),
    [
        *((name, None, None) for name in MODELS),
        ("dense", sn.Metropolis(5), None),
        ("sparse", sn.Metropolis(5), [total]),
        ("dense", None, [total]),
        ("marginal", None, [total]),
    ],
)
def test_an_extended_run_is_the_run_made_at_once(name, update, observers, tmp_path):
    common = {"n_replicas": 3, "rng": 7, "update": update, "observers": observers}
    model, beta = build(name), [0.4, 0.7]
    for n in (100, 256, 300, 600):  # within a block, at its end, after it
        run = sn.sample(
            model, beta, n_sweeps=n, checkpoint=tmp_path / "a", checkpoint_interval=0, **common
        )
        assert run.complete
        if n > 256:
            assert_same_bits(run, load_run(tmp_path / "a"))
            assert_same_bits(run, sn.sample(model, beta, n_sweeps=n, **common))
    again = sn.sample(model, beta, n_sweeps=600, checkpoint=tmp_path / "a", **common)
    assert_same_bits(run, again)
    stored = json.loads((tmp_path / "a" / "result.json").read_text())
    assert stored["estimates"]["energy"]["value"] == run.estimate("energy").value.tolist()
    with np.load(tmp_path / "a" / "result.npz") as arrays:
        assert arrays["m"].tobytes() == run.series["m"].tobytes()


def kill_often(name, kills, seed, folder):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", KILLER, name, str(kills), str(seed), folder],
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    *differing, last = done.stdout.splitlines()
    assert differing == []
    assert last.startswith(f"{kills} kills in ")


@pytest.mark.parametrize("name", ["metropolis", "two-layer", "stored"])
def test_a_run_killed_at_random_moments_is_the_uninterrupted_run(name, seed, tmp_path):
    kill_often(name, 3, seed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *("curie-weiss", "dense", "sparse", "sparse-masked", "two-layer", "stored", "observed"),
        *("independent", "rank-one", "auxiliary"),
    ],
)
def test_a_run_killed_at_20_random_moments_is_the_uninterrupted_run(name, seed, tmp_path):
    kill_often(name, 20, seed, tmp_path)


class Stop:
    """An observer that sends a signal at its n-th call."""

    __name__ = "total"

    def __init__(self, number, n):
        self.number, self.left = number, n

    def __call__(self, spins):
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(self.number)
        return total(spins)


@pytest.mark.parametrize("calls", [1, 256, 300, 700])
def test_ctrl_c_saves_and_the_next_call_goes_on(tmp_path, calls):
    with pytest.raises(KeyboardInterrupt, match=r"interrupted and saved: \d+ of 1200 sweeps"):
        cw(tmp_path / "a", observers={"total": Stop(signal.SIGINT, calls)})
    done = load_run(tmp_path / "a").done
    ends = [256, 512, 600]
    # a signal waits for the end of the block in which it came
    at = next(e for e in ends if e >= (calls - 1) % 600 + 1)
    assert done.tolist() == ([at, 0] if calls <= 600 else [600, at])
    run = cw(tmp_path / "a", observers={"total": total})
    assert_same_bits(run, cw(observers={"total": total}))


def test_sigterm_saves_and_ends_the_process_as_it_would_have(tmp_path):
    code = """
import sys, signal, spinnet as sn
def stop(spins):
    stop.left -= 1
    if stop.left == 0:
        signal.raise_signal(signal.SIGTERM)
    return spins.sum(axis=1)
stop.left = 300
sn.sample(sn.CurieWeiss(12, J=1.1, h=0.1), [0.4, 0.9], n_sweeps=600, n_replicas=3, rng=7,
          n_burn_in=20, observers={"total": stop}, update=sn.HeatBath(), checkpoint=sys.argv[1])
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a"], check=False)
    assert done.returncode == -signal.SIGTERM
    assert load_run(tmp_path / "a").done.tolist() == [512, 0]
    watch = {"total": total}
    assert_same_bits(cw(tmp_path / "a", observers=watch), cw(observers=watch))


# --- burn-in ----------------------------------------------------------------------------------


def test_automatic_burn_in_survives_and_its_refusal_is_kept(tmp_path):
    # two wells of different depth: replicas stay in the one in which they started
    model = sn.CurieWeiss(400, h=0.01)

    def go(n_sweeps, **where):
        update = sn.HeatBath()
        return sn.sample(model, 1.3, n_sweeps=n_sweeps, n_replicas=8, rng=7, update=update, **where)

    for n_sweeps in (1000, 1000, 2000):  # 2000 goes on with the phases that 1000 did not reach
        with pytest.raises(StatisticsError) as at_once:
            go(n_sweeps)
        with pytest.raises(StatisticsError) as resumed:
            go(n_sweeps, checkpoint=tmp_path / "a", checkpoint_interval=1000)
        assert str(at_once.value) == str(resumed.value)
        assert at_once.value.estimate == resumed.value.estimate
    progress = RunDirectory.load(tmp_path / "a").progress()[0]
    # 64 + 128 + 256 + 512 + 1024; the next phase would pass 2000
    assert (progress.burned, progress.burning, progress.done) == (64 * 31, True, 0)


@pytest.mark.parametrize("target", [300, "auto"])
def test_burn_in_stops_and_goes_on_at_any_block(target):
    model = build("dense")

    def advance(every):
        chains = make_chains(model, 1.0, sn.HeatBath(), 4, np.random.SeedSequence(5))
        burn_in, steps = BurnIn(target, 1.0), 0
        while not burn_in.finished:
            burn_in.step(chains, 32, 5000)
            steps += 1
            if every and steps % every == 0:
                stored = burn_in.state()
                burn_in = BurnIn(target, 1.0)
                burn_in.restore(stored)
        return burn_in.sweeps, steps, chains.spins.tobytes()

    assert advance(0) == advance(1) == advance(3)


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_replicas": 4}, "made with n_replicas=3, this job asks for 4; use another directory"),
        ({"rng": 8}, r'made with seed\.entropy="7", this job asks for "8"'),
        ({"beta": [0.4, 0.8]}, r"made with beta=\[0\.4, 0\.9\], this job asks for \[0\.4, 0\.8\]"),
        ({"update": sn.Metropolis()}, r'made with update\.name="HeatBath"'),
        ({"n_burn_in": "auto"}, 'made with n_burn_in=20, this job asks for "auto"'),
        ({"n_burn_in": 21}, "made with n_burn_in=20, this job asks for 21"),
        ({"observers": [total]}, r'made with observers=\[\], this job asks for \["total"\]'),
        ({"n_sweeps": 599}, "made with n_sweeps=600, this job asks for 599; a target can only"),
    ],
)
def test_another_run_is_refused_by_name(tmp_path, changes, words):
    cw(tmp_path / "a")
    with pytest.raises(CheckpointError, match=words):
        cw(tmp_path / "a", **changes)
    assert load_run(tmp_path / "a").complete


def test_another_model_of_the_same_size_is_refused(tmp_path):
    rng = np.random.default_rng(1)
    J = rng.normal(size=(5, 5))
    arguments = {"beta": 0.5, "n_sweeps": 10, "n_burn_in": 0, "rng": 1}
    sn.sample(sn.Ising(J), **arguments, checkpoint=tmp_path / "a")
    J[0, 1] = np.nextafter(J[0, 1], 9)
    with pytest.raises(CheckpointError, match=r"made with model\.checksum="):
        sn.sample(sn.Ising(J), **arguments, checkpoint=tmp_path / "a")


def test_without_a_seed_the_run_keeps_the_one_it_has(tmp_path):
    first = cw(tmp_path / "a", rng=None, n_sweeps=300)
    longer = cw(tmp_path / "a", rng=None)
    assert longer.seed == first.seed
    assert longer.series["m"][..., :300].tobytes() == first.series["m"].tobytes()
    entropy = int(str(first.seed["entropy"]))
    assert_same_bits(longer, cw(tmp_path / "a", rng=entropy))
    child = np.random.SeedSequence([1, 2**70], spawn_key=(3,))
    assert_same_bits(cw(tmp_path / "b", rng=child), cw(rng=child))


@pytest.mark.parametrize("interval", [-1, np.nan, "often", None])
def test_a_wrong_interval_is_refused_first(tmp_path, interval):
    with pytest.raises(InputError, match="checkpoint_interval"):
        cw(tmp_path / "a", checkpoint_interval=interval)
    assert not (tmp_path / "a").exists()


def test_a_place_that_is_no_path_is_refused():
    with pytest.raises(InputError, match="checkpoint must be the path of a folder, got 3"):
        cw(3)


def test_the_interval_bounds_the_number_of_parts(tmp_path):
    for interval, count in ((0, 3), (1000, 1)):
        cw(tmp_path / str(interval), n_sweeps=800, checkpoint_interval=interval)
        assert len(list((tmp_path / str(interval) / "beta-0000").glob("sweeps-*"))) == count


def damaged(content, how):
    middle = len(content) // 2
    return {
        "cut": content[:middle],
        "empty": b"",
        "flipped": content[:middle] + bytes([content[middle] ^ 16]) + content[middle + 1 :],
        "foreign": b"PK\x03\x04 something else",
    }[how]


@pytest.mark.parametrize("how", ["cut", "empty", "flipped", "foreign"])
@pytest.mark.parametrize("part", ["state.npz", "sweeps-*", "last-*", "../model.npz", "../job.json"])
def test_a_damaged_file_is_refused_by_name(tmp_path, part, how):
    cw(tmp_path / "a")
    (path,) = (tmp_path / "a" / "beta-0001").glob(part)
    path = path.resolve()
    path.write_bytes(damaged(path.read_bytes(), how))
    before = {p: p.read_bytes() for p in (tmp_path / "a" / "beta-0001").glob("*.npz")}
    calls = [lambda: load_run(tmp_path / "a"), lambda: cw(tmp_path / "a")]
    if part == "state.npz":  # only a longer run goes on from the state
        calls = [lambda: cw(tmp_path / "a", n_sweeps=900)]
    elif part == "../model.npz":  # a call has the model
        calls = calls[:1]
    for call in calls:
        with pytest.raises(CheckpointError, match=path.name) as refused:
            call()
        assert "damaged" in str(refused.value) or "not written by spinnet" in str(refused.value)
    assert {p: p.read_bytes() for p in before} == before  # nothing was repaired behind the back


def test_a_missing_part_is_named(tmp_path):
    cw(tmp_path / "a", n_sweeps=800, checkpoint_interval=0)
    folder = tmp_path / "a" / "beta-0001"
    (folder / "sweeps-000000000256-000000000512.npz").unlink()
    with pytest.raises(CheckpointError, match="beta-0001' lacks the part with sweep 256"):
        load_run(tmp_path / "a")
    name = "sweeps-000000000256-000000000512.npz"
    shutil.copy(tmp_path / "a" / "beta-0000" / name, folder)  # of another temperature
    with pytest.raises(CheckpointError, match="belongs to another job than its folder"):
        load_run(tmp_path / "a")
    (folder / "state.npz").unlink()
    with pytest.raises(CheckpointError, match=r"state\.npz' is missing"):
        cw(tmp_path / "a", n_sweeps=900)
    shutil.rmtree(folder)  # what the messages advise
    assert_same_bits(cw(tmp_path / "a", n_sweeps=900), cw(n_sweeps=900))


def test_a_run_of_another_format_is_refused(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(parts, "SCHEMA", 2)
        patch.setattr("spinnet.runs.directory.SCHEMA", 2)
        cw(tmp_path / "a")
    with pytest.raises(CheckpointError, match=r"has the format \(schema\) 2, and this .* reads 1"):
        cw(tmp_path / "a")


def test_going_on_with_another_version_is_said(tmp_path, monkeypatch):
    cw(tmp_path / "a")
    monkeypatch.setattr(sn, "__version__", "99.0")
    with pytest.warns(SpinnetWarning, match=r"was begun with spinnet .*, and this is 99\.0"):
        cw(tmp_path / "a")


@pytest.mark.parametrize("write", range(1, 12))
def test_a_full_disk_at_any_write_loses_nothing(tmp_path, monkeypatch, write):
    counter = itertools.count(1)
    sync = os.fsync

    def full(handle):
        if next(counter) >= write:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    with monkeypatch.context() as patch:
        patch.setattr("spinnet.files.os.fsync", full)
        with pytest.raises((CheckpointError, InputError), match="No space left on device") as error:
            cw(tmp_path / "a", beta=[0.4], checkpoint_interval=0)
    assert "cannot write" in str(error.value)
    run = cw(beta=[0.4])
    assert_same_bits(cw(tmp_path / "a", beta=[0.4]), run)
    assert_same_bits(load_run(tmp_path / "a"), run)
    assert not list((tmp_path / "a").rglob("*.partial"))


def test_two_processes_on_one_run_are_one_error(tmp_path):
    cw(tmp_path / "a", n_sweeps=300)
    with RunDirectory.load(tmp_path / "a").store(0).parts.lock():
        message = rf"beta-0000' is in use by process {os.getpid()} on .*; wait for it"
        with pytest.raises(CheckpointError, match=message):
            cw(tmp_path / "a")
        assert load_run(tmp_path / "a").done.tolist() == [300, 300]  # reading needs no lock
    assert_same_bits(cw(tmp_path / "a"), cw())


def test_a_finished_run_is_read_where_nothing_can_be_written(tmp_path, monkeypatch):
    run = cw(tmp_path / "a")

    def refuse(*_args, **_kwargs):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("spinnet.files.tempfile.mkstemp", refuse)
    monkeypatch.setattr("spinnet.runs.locking._opened", refuse)
    assert_same_bits(cw(tmp_path / "a"), run)
    with pytest.raises(OSError, match="Read-only file system"):
        cw(tmp_path / "a", n_sweeps=900)


# --- many processes ---------------------------------------------------------------------------


def test_temperatures_are_done_one_by_one_in_any_order_and_by_workers(tmp_path):
    run = RunDirectory.open(
        tmp_path / "a", plan_run(build("two-layer"), [0.3, 0.5, 0.7], n_sweeps=300, **SHORT)
    )
    again = RunDirectory.load(tmp_path / "a")  # as another process would
    spins, burned = again.advance(1, interval=0, asked_to_stop=lambda: False, bar=ProgressBar())
    assert (spins.shape, burned) == ((3, 11), 20)
    assert [p.complete for p in run.progress()] == [False, True, False]
    partial = load_run(tmp_path / "a")
    assert not partial.complete
    run_in_processes(run, 2, interval=0, bar=ProgressBar())
    at_once = sn.sample(build("two-layer"), [0.3, 0.5, 0.7], n_sweeps=300, **SHORT)
    assert_same_bits(run.collect(), at_once)


def test_an_unfinished_run_says_so_in_every_estimate(tmp_path):
    RunDirectory.open(tmp_path / "a", plan_run(build("dense"), [0.3, 0.7], n_sweeps=300, **SHORT))
    empty = load_run(tmp_path / "a")
    assert empty.done.tolist() == [0, 0]
    assert np.isnan(empty.estimate("m2").value).all()
    assert "no sweeps yet" in empty.estimate("m2").note
    assert np.isnan(empty.specific_heat.value).all()
    store = RunDirectory.load(tmp_path / "a")
    store.advance(0, interval=0, asked_to_stop=lambda: False, bar=ProgressBar())
    partial = load_run(tmp_path / "a")
    at_once = sn.sample(build("dense"), [0.3, 0.7], n_sweeps=300, **SHORT)
    for name in ("binder", "specific_heat", "susceptibility_abs"):
        found, expected = getattr(partial, name), getattr(at_once, name)
        assert found.value[0] == expected.value[0]
        assert np.isnan(found.value[1])
    assert "unfinished: beta = 0.7 has 0 of 300 sweeps" in partial.summary()
    assert "unfinished" not in at_once.summary()
    assert partial.to_dict()["done"] == [300, 0]


def test_observers_of_a_directory_are_only_names(tmp_path):
    cw(tmp_path / "a", observers=[total], n_sweeps=300)
    run = RunDirectory.load(tmp_path / "a")
    grown = RunDirectory(run.directory, dataclasses.replace(run.plan, n_sweeps=400))
    with pytest.raises(InputError, match="observers total, which are functions and not in"):
        grown.advance(0, interval=0, asked_to_stop=lambda: False, bar=ProgressBar())


# --- merging ----------------------------------------------------------------------------------


def test_merged_runs_are_more_replicas_and_more_temperatures(tmp_path):
    runs = {}
    for name, beta, rng in [("a", [0.9, 0.4], 1), ("b", [0.4, 0.9], 2), ("c", [0.6], 3)]:
        replicas = 6 if name == "c" else 3
        runs[name] = cw(tmp_path / name, beta=beta, rng=rng, n_replicas=replicas)
    both = merge_runs([tmp_path / "a", tmp_path / "b"], tmp_path / "ab")
    np.testing.assert_array_equal(both.beta, [0.4, 0.9])
    for k in (0, 1):
        expected = np.concatenate([runs["a"].series["m"][1 - k], runs["b"].series["m"][k]])
        np.testing.assert_array_equal(both.series["m"][k], expected)
        spins = np.concatenate([runs["a"].spins[1 - k], runs["b"].spins[k]])
        np.testing.assert_array_equal(both.spins[k], spins)
    three = merge_runs([tmp_path / "ab", tmp_path / "c"], tmp_path / "abc")
    np.testing.assert_array_equal(three.beta, [0.4, 0.6, 0.9])
    np.testing.assert_array_equal(three.series["energy"][1], runs["c"].series["energy"][0])
    assert three.n_replicas == 6
    again = load_run(tmp_path / "abc")
    assert_same_bits(again, three)
    assert three.n_burn_in.tolist() == [20] * 3
    rows = merging.progress(JobDirectory.load(tmp_path / "abc"))
    assert [row.burned for row in rows] == [20] * 3
    assert again.estimate("m2").value.tolist() == three.estimate("m2").value.tolist()
    assert "shared" not in three.seed
    assert (tmp_path / "abc" / "result.json").is_file()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, r"overlap: '.*a' and '.*b' both have beta=0\.4 with seed 7"),
        ({"beta": [0.9, 0.2]}, r"overlap: .* both have beta=0\.9 with seed 7"),
        ({"rng": 8, "n_sweeps": 601}, r"differ in n_sweeps: '.*a' has 600, '.*b' has 601"),
        ({"rng": 8, "update": sn.Metropolis()}, r"differ in update\.name: .* has 'HeatBath'"),
        ({"rng": 8, "observers": [total]}, r"differ in observers"),
        ({"rng": 8, "beta": [0.9, 1.0]}, r"same n_replicas: beta=0\.9 would have 6, beta=0\.4 3"),
    ],
)
def test_runs_that_do_not_fit_are_not_merged(tmp_path, changes, words):
    cw(tmp_path / "a")
    cw(tmp_path / "b", **changes)
    with pytest.raises(InputError, match=words):
        merge_runs([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_other_merges_are_refused_in_words(tmp_path):
    cw(tmp_path / "a")
    same = {"n_sweeps": 600, "update": sn.HeatBath(), **SHORT}
    sn.sample(sn.CurieWeiss(12, J=1.2, h=0.1), 0.5, checkpoint=tmp_path / "b", **same)
    RunDirectory.open(tmp_path / "c", plan_run(build("curie-weiss"), [0.5], **same))
    JobDirectory.open(tmp_path / "d", "sweep", {"n_sweeps": 1})
    for others, error, words in [
        (["b"], InputError, r"differ in model\.J: .*a' has 1\.1, .*b' has 1\.2"),
        (["c"], CheckpointError, r"c' is not finished: n_sweeps=600, and beta=0\.5 has 0; run it"),
        (["d"], CheckpointError, "kind 'sweep', not 'run'"),
        (["none"], CheckpointError, "no such folder"),
        ([], InputError, "at least two runs, got 1"),
        (["a"], InputError, "overlap"),
    ]:
        with pytest.raises(error, match=words):
            merge_runs([tmp_path / "a", *(tmp_path / name for name in others)], tmp_path / "e")
        assert not (tmp_path / "e").exists()
    with pytest.raises(CheckpointError, match="exists already; name a new directory"):
        merge_runs([tmp_path / "a", tmp_path / "b"], tmp_path / "c")


@pytest.mark.parametrize("lost", ["model.npz", "result.npz", "arrays.npz"])
def test_a_merge_that_met_a_full_disk_is_done_again(tmp_path, monkeypatch, lost):
    cw(tmp_path / "a")
    cw(tmp_path / "b", rng=8)
    runs, output = [tmp_path / "a", tmp_path / "b"], tmp_path / "c"
    whole = files.replace_file

    def full(path, write):
        if path.name == lost:
            raise OSError(errno.ENOSPC, "No space left on device")
        whole(path, write)

    monkeypatch.setattr(files, "replace_file", full)
    monkeypatch.setattr(parts, "replace_file", full)
    with pytest.raises((CheckpointError, InputError), match=f"{lost}.*No space left"):
        merge_runs(runs, output)
    monkeypatch.undo()
    assert merge_runs(runs, output).n_replicas == 6
    assert load_run(output).n_replicas == 6
    with pytest.raises(CheckpointError, match="exists already"):
        merge_runs(runs, output)


def test_an_export_that_the_disk_cannot_hold_is_refused(tmp_path, monkeypatch):
    run = cw(tmp_path / "a")
    little = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: little)
    with pytest.raises(InputError, match=r"run\.nc'.*1e-06 GB are free"):
        sn.export_netcdf(run, tmp_path / "run.nc")
    assert not (tmp_path / "run.nc").exists()


def test_merged_temperatures_that_share_a_seed_say_so(tmp_path):
    cw(tmp_path / "a", beta=[0.4])
    cw(tmp_path / "b", beta=[0.5])
    merged = merge_runs([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    assert "not independent" in str(merged.seed["shared"])
    assert "shared" in load_run(tmp_path / "c").seed


# --- NetCDF -----------------------------------------------------------------------------------


def test_a_netcdf_file_gives_everything_back(tmp_path):
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    from spinnet.spins.montecarlo import export_netcdf

    run = cw(n_replicas=9, observers={"total": total})
    with warnings.catch_warnings():
        path = export_netcdf(run, tmp_path / "run.nc")
        with xarray.open_dataset(path, engine="h5netcdf") as data:
            assert data.m.dims == ("beta", "replica", "sweep")
            for name in ("m", "energy", "total"):
                np.testing.assert_array_equal(data[name], run.series[name])
            np.testing.assert_array_equal(data.spins, run.spins)
            np.testing.assert_array_equal(data.beta, run.beta)
            assert data.spins.dims == ("beta", "replica", "spin")
            np.testing.assert_array_equal(data.mean_m2, run.estimate("m2").value)
            np.testing.assert_array_equal(data.mean_total_error, run.estimate("total").error)
            np.testing.assert_array_equal(data.binder_error, run.binder.error)
            np.testing.assert_array_equal(data.specific_heat, run.specific_heat.value)
            assert json.loads(data.attrs["seed"]) == run.seed
            assert json.loads(data.attrs["model"]) == run.model.to_dict()
            assert data.attrs["version"] == run.version
            assert data.sel(beta=0.9).m.shape == (9, 600)
            for name, variable in data.variables.items():
                assert variable.attrs["long_name"], name
                assert variable.attrs["units"], name
            units = {name: data[name].units for name in ("m", "energy", "mean_m2", "binder")}
            expected = {"m": "per spin", "energy": "total", "mean_m2": "per spin", "binder": "1"}
            assert units == expected
            assert data.mean_energy_error.units == "total"
            assert data.mean_energy_tau.units == "sweeps"
    assert [p.name for p in tmp_path.iterdir()] == ["run.nc"]


def test_a_grid_of_temperatures_is_flattened_in_netcdf(tmp_path):
    pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    from spinnet.spins.montecarlo import to_xarray

    for beta in (0.4, [[0.4, 0.5], [0.6, 0.7]]):
        run = cw(beta=beta, n_sweeps=20)
        data = to_xarray(run)
        assert data.m.shape == (np.size(beta), 3, 20)
        assert json.loads(data.attrs["beta_shape"]) == list(np.shape(beta))


def test_without_xarray_the_extra_is_named(tmp_path, monkeypatch):
    from spinnet.spins.montecarlo import export_netcdf

    monkeypatch.setitem(sys.modules, "h5netcdf", None)
    with pytest.raises(sn.MissingDependencyError, match=r"pip install 'spinnet\[xarray\]'"):
        export_netcdf(cw(n_sweeps=5), tmp_path / "run.nc")
    assert list(tmp_path.iterdir()) == []


def test_block_chains_of_the_marginal_keep_the_hidden_layer():
    model = build("marginal")
    chains = make_chains(model, 0.6, sn.BlockGibbs(), 3, np.random.SeedSequence(1))
    assert isinstance(chains, BlockChains)
    assert chains.state()["up_b"].shape == (3, 1)
