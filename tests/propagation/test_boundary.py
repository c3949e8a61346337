"""Decision boundaries: spheres, cylinders, ellipsoids, finite differences, printed growth."""

from __future__ import annotations

import numpy as np
import pytest

from spinnet.errors import ConvergenceError, InputError, KinkedActivationError
from spinnet.propagation import Activation, MeanField
from spinnet.propagation.geometry.boundary import (
    boundary_curvature,
    decision_function,
    find_boundary,
    principal_curvatures,
)
from spinnet.propagation.simulate import Network, network

SQUARE = Activation(
    lambda x: x**2, lambda x: 2 * x, lambda x: 2 * np.ones_like(x), kinks=(), name="square"
)


def quadric(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Principal curvatures of x.A x = const, through the package's tangent projection."""
    hessian = np.broadcast_to(2 * matrix, (len(points), *matrix.shape))
    return principal_curvatures(2 * points @ matrix, hessian)


def test_a_sphere_has_the_curvature_of_its_radius():
    x = np.random.default_rng(0).standard_normal((5, 7))
    radius = np.linalg.norm(x, axis=1)
    np.testing.assert_allclose(
        quadric(np.eye(7), x), np.tile(1 / radius[:, None], (1, 6)), rtol=1e-12
    )


def test_axes_are_tangent_planes_of_their_own():
    # the normal along +e1 and -e1, where a reflection could divide by zero
    x = np.array([[2.0, 0, 0], [-2.0, 0, 0], [0, 0, 2.0]])
    np.testing.assert_allclose(quadric(np.eye(3), x), 0.5, rtol=1e-14)


def test_a_cylinder_is_flat_along_its_axis():
    x = np.array([[3.0, 4.0, -1.0]])
    np.testing.assert_allclose(quadric(np.diag([1.0, 1.0, 0.0]), x), [[0.2, 0.0]], atol=1e-15)


def test_an_ellipsoid_at_its_pole():
    # x^2/a^2 + y^2/b^2 + z^2/c^2 = 1 at (0, 0, c): curvatures c/a^2 and c/b^2
    a, b, c = 2.0, 3.0, 1.5
    got = quadric(np.diag([a**-2, b**-2, c**-2]), np.array([[0.0, 0.0, c]]))
    np.testing.assert_allclose(got, [[c / a**2, c / b**2]], rtol=1e-13)
    # a saddle has both signs: z^2 + x^2 - y^2 at (0, 0, c)
    np.testing.assert_allclose(
        quadric(np.diag([1.0, -1.0, 1.0]), np.array([[0.0, 0.0, c]])), [[1 / c, -1 / c]], rtol=1e-13
    )


def test_a_network_whose_boundary_is_a_sphere():
    # sum_i (W x)_i^2 = |x|^2 for orthogonal W: level sets are spheres in the input space, and in
    # that of h^1 too
    net = network(SQUARE, [5, 5], 1.0, 0.0, weights="orthogonal", rng=1)
    x = np.random.default_rng(1).standard_normal((4, 5))
    found = boundary_curvature(net, np.ones(5), x)
    radius = np.linalg.norm(x, axis=1)
    for layer in (0, 1):
        np.testing.assert_allclose(
            found.curvatures[layer], np.tile(1 / radius[:, None], (1, 4)), rtol=1e-12
        )
    np.testing.assert_allclose(found.gradient_norm, np.tile(2 * radius, (2, 1)), rtol=1e-12)
    np.testing.assert_array_equal(found.layers, [0, 1])


@pytest.mark.parametrize("name", ["tanh", "gelu", "sin"])
def test_curvatures_by_finite_differences(name):
    net = network(name, [5, 6, 7, 6], 1.7, 0.4, rng=2)
    beta = np.array([0.5, -1.0, 0.3, 1.2, -0.7, 0.9])
    x = np.random.default_rng(2).standard_normal((2, 5))
    layers = net.forward(x)
    found = boundary_curvature(net, beta, x)
    assert [k.shape for k in found.curvatures] == [(2, 4), (2, 5), (2, 6), (2, 5)]
    step = 1e-4
    for layer in range(4):
        at = x if layer == 0 else layers[layer - 1]
        n = at.shape[1]
        moves = step * np.eye(n)
        for point in range(2):

            def value(shift, at=at, point=point, layer=layer):
                return float(decision_function(net, beta, at[point] + shift, layer=layer))

            gradient = np.array([(value(m) - value(-m)) / (2 * step) for m in moves])
            hessian = np.array(
                [
                    [
                        (value(a + b) - value(a - b) - value(b - a) + value(-a - b)) / (4 * step**2)
                        for b in moves
                    ]
                    for a in moves
                ]
            )
            unit = gradient / np.linalg.norm(gradient)
            across = np.eye(n) - np.outer(unit, unit)
            shape = across @ hessian @ across / np.linalg.norm(gradient)
            values, vectors = np.linalg.eigh(shape)
            tangent = np.abs(vectors.T @ unit) < 0.5
            # truncation 1e-8, rounding 1e-16 / step^2 = 1e-8, times a few
            np.testing.assert_allclose(
                found.curvatures[layer][point], values[tangent][::-1], atol=2e-6
            )
            assert found.gradient_norm[layer, point] == pytest.approx(
                np.linalg.norm(gradient), rel=1e-6
            )


def test_points_of_a_later_layer_give_the_same_curvatures():
    net = network("tanh", [5, 6, 7, 6], 1.7, 0.4, rng=2)
    beta, x = np.arange(1.0, 7.0), np.random.default_rng(3).standard_normal((2, 5))
    whole = boundary_curvature(net, beta, x)
    later = boundary_curvature(net, beta, net.forward(x)[1], layer=2)
    np.testing.assert_array_equal(later.layers, [2, 3])
    for a, b in zip(whole.curvatures[2:], later.curvatures, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)
    np.testing.assert_array_equal(whole.largest(2)[:, :, 0], [k[:, 0] for k in whole.curvatures])
    np.testing.assert_array_equal(whole.largest(2)[:, :, 1], [k[:, 1] for k in whole.curvatures])
    np.testing.assert_array_equal(whole.smallest(2)[:, :, 0], [k[:, -1] for k in whole.curvatures])
    with pytest.raises(InputError, match="count must be an integer"):
        whole.largest(5)


def test_many_points_are_those_in_blocks(monkeypatch):
    net = network("tanh", [4, 6, 6], 1.7, 0.4, rng=3)
    x = np.random.default_rng(4).standard_normal((7, 4))
    whole = boundary_curvature(net, np.ones(6), x)
    monkeypatch.setattr("spinnet.propagation.geometry.boundary._BLOCK", 3000.0)
    parts = boundary_curvature(net, np.ones(6), x)
    for a, b in zip(whole.curvatures, parts.curvatures, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)
    np.testing.assert_allclose(whole.gradient_norm, parts.gradient_norm, rtol=1e-12)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_boundary_points_are_on_the_boundary_and_on_the_sphere(layer):
    net = network("tanh", [20, 30, 40, 30], 2.0, 0.3, rng=4)
    found = find_boundary(net, 9, q=1.7, layer=layer, rng=5)
    width = net.widths[layer]
    assert found.points.shape == (9, width)
    np.testing.assert_allclose(np.sum(found.points**2, axis=1), 1.7 * width, rtol=1e-12)
    np.testing.assert_allclose(
        decision_function(net, found.readout, found.points, layer=layer), 0, atol=1e-11
    )
    np.testing.assert_array_equal(
        found.values, decision_function(net, found.readout, found.points, layer=layer)
    )
    again = find_boundary(net, 9, q=1.7, layer=layer, rng=5)
    np.testing.assert_array_equal(found.points, again.points)
    assert found.seed == {"entropy": "5", "spawn_key": []}
    assert found.parameters["sigma_w"] == 2.0
    whole = net.boundary(9, q=1.7, layer=layer, rng=5)
    np.testing.assert_array_equal(whole.points, found.points)
    apart = boundary_curvature(net, found.readout, found.points, layer=layer)
    np.testing.assert_array_equal(whole.curvatures[0], apart.curvatures[0])


def test_a_read_out_of_one_sign_has_no_boundary():
    net = network("sigmoid", [10, 10], 1.0, 0.1, rng=6)
    with pytest.raises(ConvergenceError, match=r"found 0 of 3 points.*one sign"):
        find_boundary(net, 3, readout=np.ones(10), rng=1)


@pytest.mark.statistical
def test_boundaries_curl_up_in_the_chaotic_phase_alone():
    # Poole et al., figure 4G: N = 200, depth 10, sigma_b = 0.3.  From the last layer (0.18-0.24)
    # to layer 2 the largest curvature grew to 0.64, 3.3 and 23.5 at sigma_w = 1.3, 2.5, 4 in a
    # simulation of ours with one network each; single networks scatter by about 25 %.
    for sigma_w, low, high in ((1.3, 0.4, 1.0), (2.5, 2.0, 6.0), (4.0, 12.0, 40.0)):
        q = MeanField("tanh", sigma_w, 0.3).q_star
        net = network("tanh", [200] * 11, sigma_w, 0.3, rng=7)
        largest = net.boundary(6, q=q, rng=8).largest()
        growth = largest[:, :, 0].mean(axis=1)
        assert 0.1 < growth[-1] < 0.5
        assert low < growth[1] < high
        if sigma_w > 2:
            assert np.all(np.diff(growth) < 0)


def test_what_has_no_curvature_is_refused():
    x = np.ones((1, 3))
    relu = network("relu", [3, 4], 1.0, 0.1, rng=1)
    with pytest.raises(KinkedActivationError, match="kinks"):
        boundary_curvature(relu, np.ones(4), x)
    noisy = network("tanh", [3, 4], 1.0, 0.1, keep=0.5, rng=1)
    with pytest.raises(InputError, match="without noise"):
        boundary_curvature(noisy, np.ones(4), x)
    with pytest.raises(InputError, match="without noise"):
        find_boundary(noisy)
    net = network("tanh", [3, 4], 1.0, 0.1, rng=1)
    with pytest.raises(InputError, match=r"readout must have shape \(4,\), got \(3,\)"):
        boundary_curvature(net, np.ones(3), x)
    with pytest.raises(InputError, match="x must have shape"):
        boundary_curvature(net, np.ones(4), np.ones((1, 4)))
    with pytest.raises(InputError, match="finite"):
        boundary_curvature(net, np.ones(4), [[0.0, np.inf, 0.0]])
    with pytest.raises(InputError, match="gradient of the decision function vanishes"):
        boundary_curvature(net, np.zeros(4), x)
    thin = Network.from_weights("tanh", [np.ones((1, 3))])
    with pytest.raises(InputError, match="at least 2 neurons"):
        boundary_curvature(thin, np.ones(1), x)
    with pytest.raises(InputError, match="layer must be an integer"):
        find_boundary(net, layer=2)
