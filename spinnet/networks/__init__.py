"""Real networks: data, weights, recording, and the four classes of observables.

>>> from spinnet import networks
>>> net = networks.load_bundled()                     # 784-100-50-20-10, Fashion-MNIST
>>> data = networks.datasets.load("fashion-mnist")    # its 10,000 test images
>>> act = networks.record(net, data)
>>> obs = networks.measure(act, net, "fc3", rng=7)
"""

from spinnet.networks import datasets, observables, patterns
from spinnet.networks.architectures import FeedForward, Layer
from spinnet.networks.datasets import Dataset
from spinnet.networks.inputs import load_inputs
from spinnet.networks.loading import load_bundled, load_network
from spinnet.networks.observables import LayerObservables, measure
from spinnet.networks.recording import Activations, LayerActivations, record
from spinnet.networks.weights import fingerprint, load_weights, save_weights

__all__ = [
    "Activations",
    "Dataset",
    "FeedForward",
    "Layer",
    "LayerActivations",
    "LayerObservables",
    "datasets",
    "fingerprint",
    "load_bundled",
    "load_inputs",
    "load_network",
    "load_weights",
    "measure",
    "observables",
    "patterns",
    "record",
    "save_weights",
]
