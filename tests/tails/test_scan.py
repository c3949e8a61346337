"""Every candidate xmin: the scan against single fits, and the search against one in plain NumPy."""

from __future__ import annotations

import json
import math

import matplotlib as mpl
import numpy as np
import pytest

from spinnet.tails.powerlaw import fit_power_law
from spinnet.tails.powerlaw.scan import _minima

mpl.use("Agg")

CONVENTIONS = ("csn", "left", "two-sided")


def _gaps(i, k, a, y, tail, how):
    """Fitted survival and deviation at nodes `i` for candidates `k` of exponents 1 + `a`."""
    n = tail[k]
    fitted = np.exp(-a * (y[i] - y[k]))
    gap = np.abs(fitted - tail[i] / n)
    if how != "left":
        above = tail[i + 1] + (1.0 if how == "csn" else 0.0)
        gap = np.maximum(gap, np.abs(fitted - above / n))
    return fitted, gap


def _distance(k, a, y, tail, how):
    """(D, its node) of candidate k: blocks that cannot hold the maximum are left out."""
    n = tail[k]
    nodes = np.unique(np.linspace(k, y.size - 1, 64).astype(int))
    fitted, gap = _gaps(nodes, k, a, y, tail, how)
    low, high = nodes[:-1], nodes[1:]
    bound = np.maximum(fitted[:-1] - tail[high] / n, tail[low + 1] / n - fitted[1:])
    open_ = [np.arange(i + 1, j) for i, j, b in zip(low, high, bound, strict=True) if b > gap.max()]
    nodes = np.concatenate([nodes, *open_])
    gap = _gaps(nodes, k, a, y, tail, how)[1]
    return float(gap.max()), int(nodes[np.argmax(gap)])


def _numpy_search(x, min_tail=50, how="csn"):
    """(xmin, alpha, D) of real data by the bounds of ``ks_search``, in plain NumPy."""
    u, counts = np.unique(x, return_counts=True)
    y = np.log(u)
    tail = np.append(np.cumsum(counts[::-1])[::-1], 0).astype(float)
    step = np.diff(y)
    log_sum = np.append(np.cumsum((tail[1:-1] * step)[::-1])[::-1], 0.0)
    count = int(np.argmin(np.append((tail[:-2] >= min_tail) & (log_sum[:-1] > 0.0), False)))
    a = tail[:count] / log_sum[:count]
    old, new = a[:-1], a[1:]
    change, smallest = np.abs(new - old), np.minimum(old, new)
    mean_log = log_sum[1:count] / tail[1:count]
    shorter = np.maximum(0.0, mean_log - 2.0 * change / smallest**2)
    mean_log = np.where(old > new, shorter, mean_log)
    rescaled = -np.minimum(tail[1:count] / tail[: count - 1], np.exp(-old * step[: count - 1])) + 1
    fall = rescaled + change * np.exp(-smallest * mean_log) / smallest
    fallen = np.concatenate([[0.0], np.cumsum(fall)])
    best, arg, k, evaluated = math.inf, -1, 0, 48
    # A good distance first: 48 candidates spread in the logarithm of their tails.
    for target in np.geomspace(tail[0], tail[count - 1], 48):
        j = min(count - 1, int(np.searchsorted(-tail, -target)))
        best = min(best, _distance(j, a[j], y, tail, how)[0])
    best = np.nextafter(best, math.inf)  # so that the sweep, which notes where, meets it again
    while k < count:
        d, node = _distance(k, a[k], y, tail, how)
        evaluated += 1
        if d < best:
            best, arg = d, k
        k = max(k + 1, int(np.searchsorted(fallen, fallen[k] + d - best - 1e-12)))
        while k < min(count, node):  # and where the same node already lies too far off
            ahead = np.arange(k, min(k + 100, count, node))
            free = _gaps(node, ahead, a[ahead], y, tail, how)[1] <= best
            k = int(ahead[np.argmax(free)] if free.any() else ahead[-1] + 1)
            if free.any():
                break
    return (float(u[arg]), float(1.0 + a[arg]), best), evaluated


@pytest.mark.parametrize("how", CONVENTIONS)
@pytest.mark.parametrize("law", ["pareto", "body", "ties", "lognormal"])
def test_search_in_plain_numpy_finds_the_same(law, how, body_and_tail):
    rng = np.random.default_rng(8)
    x = {
        "pareto": lambda: rng.pareto(1.5, 10_000) + 1.0,
        "body": lambda: body_and_tail(rng, 10_000, 2.5),
        "ties": lambda: np.ceil(body_and_tail(rng, 4000, 1.8)),
        "lognormal": lambda: rng.lognormal(0.3, 2.0, 3000),
    }[law]()
    (xmin, alpha, d), evaluated = _numpy_search(x, how=how)
    fit = fit_power_law(x, False, convention=how)
    assert (fit.xmin, fit.alpha) == (xmin, alpha)
    assert fit.ks_distance == pytest.approx(d, abs=1e-15)  # exp of NumPy and of the C library
    assert evaluated < x.size / 4  # the bounds do skip


def _data(kind):
    rng = np.random.default_rng(3)
    if kind == "reals":
        return rng.pareto(1.5, 600) + 1.0, {}
    if kind == "integers":
        return rng.zipf(1.9, 2000), {}
    if kind == "window of reals":
        return rng.pareto(0.8, 600) + 1.0, {"xmax": 40.0}
    return rng.zipf(1.5, 2000), {"xmax": 500}


KINDS = ("reals", "integers", "window of reals", "window of integers")


@pytest.mark.parametrize("how", CONVENTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_scan_holds_the_fit_at_every_candidate(kind, how):
    x, options = _data(kind)
    best = fit_power_law(x, convention=how, **options)
    scan = best.scan()
    k = int(np.argmin(scan.ks_distance))
    assert (scan.xmin[k], scan.n_tail[k]) == (best.xmin, best.n_tail)
    assert scan.alpha[k] == pytest.approx(best.alpha, rel=1e-13)
    assert scan.ks_distance[k] == pytest.approx(best.ks_distance, abs=1e-14)
    used = np.sort(x[x <= options.get("xmax", math.inf)])
    distinct = np.unique(used)
    tails = used.size - np.searchsorted(used, distinct)
    np.testing.assert_array_equal(scan.xmin, distinct[:-1][tails[:-1] >= 50])
    np.testing.assert_array_equal(scan.n_tail, tails[:-1][tails[:-1] >= 50])
    for j in range(0, scan.xmin.size, max(1, scan.xmin.size // 40)):
        one = fit_power_law(x, xmin=scan.xmin[j], convention=how, **options)
        # the logarithms of the sums are taken in another order: 1e-16 times their number
        assert scan.alpha[j] == pytest.approx(one.alpha, rel=1e-12)
        assert scan.alpha_error[j] == pytest.approx(one.alpha_error, rel=1e-11)
        assert scan.ks_distance[j] == pytest.approx(one.ks_distance, abs=1e-12)


def test_one_minimum_is_marked_per_valley_within_ten_percent():
    d = np.array([0.5, 0.2, 0.21, 0.215, 0.4, 0.219, 0.218, 0.9, 0.2201])
    assert _minima(d).tolist() == [1, 6]
    assert _minima(np.array([0.3, 0.1, np.nan, 0.105])).tolist() == [1, 3]
    assert _minima(np.empty(0)).size == 0


def test_scan_of_a_fixed_cut_off_is_that_of_the_data():
    x, _ = _data("reals")
    free, fixed = fit_power_law(x).scan(), fit_power_law(x, xmin=1.7).scan()
    np.testing.assert_array_equal(free.ks_distance, fixed.ks_distance)
    assert (fixed.chosen, free.chosen) == (1.7, fit_power_law(x).xmin)


def test_scan_shows_the_numbers_it_holds():
    x, _ = _data("reals")
    scan = fit_power_law(x).scan(progress=False)
    record = scan.to_dict()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["alpha"] == scan.alpha.tolist()
    k = scan.minima[np.argmin(scan.ks_distance[scan.minima])]
    assert f"alpha = {scan.alpha[k]:.4f}" in scan.summary().splitlines()[1]
    ax = scan.plot()
    right = next(other for other in ax.figure.axes if other is not ax)
    distance, minima = ax.lines[:2]
    assert distance.get_ydata().min() == scan.ks_distance.min()
    np.testing.assert_array_equal(minima.get_xdata(), scan.xmin[scan.minima])
    assert set(right.lines[0].get_ydata()) <= set(scan.alpha)
    assert len(distance.get_xdata()) <= 460 + scan.minima.size
    assert scan.plot(ax) is ax
    mpl.pyplot.close(ax.figure)
