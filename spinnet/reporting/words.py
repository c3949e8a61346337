"""What a verdict means and what it does not, and how to make a comparison again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from spinnet.comparison import Comparison

_MEANINGS = (
    (
        "no power law",
        "The numbers of times that the layer's activation patterns occur do not pass as a power "
        "law: the fit is ruled out, spans too short a range, or depends on how many images were "
        "used. An exponent fitted all the same is the slope of something else: what the models "
        "predict for it is listed for completeness, and decides nothing.",
        "It does not mean that the layer has no dual: the gate and the temperature of the data, "
        "below, stand on their own.",
    ),
    (
        "power law, explained by null",
        "The numbers of times that the layer's activation patterns occur pass as a power law, "
        "with an exponent that a null model gives too: one in which the nodes do not interact, or "
        "in which the structure that training gave to the weights is destroyed. The power law is "
        "therefore no evidence that the layer is critical, nor for its dual.",
        "It does not mean that the dual is wrong, or that the layer is not near a critical point: "
        "this exponent cannot tell.",
    ),
    (
        "power law not explained by nulls, inconsistent with dual",
        "The patterns pass as a power law with an exponent that none of the null models gives, "
        "and neither does the dual spin system at the temperature nearest to the data. Something "
        "shapes the patterns that is in none of these models.",
        "It does not mean that no spin system could do it, only that this one, with all inputs "
        "summed over, does not.",
    ),
    (
        "power law not explained by nulls; the dual is not a model",
        "The patterns pass as a power law with an exponent that none of the null models gives. "
        "But the dual fails the gate: given the layer's true inputs it does not reproduce what "
        "the layer did, so that it is no model of this layer.",
        "Nothing follows about criticality: the dual's temperatures below are those of a system "
        "that is not this layer.",
    ),
    (
        "consistent with dual at best T",
        "The patterns pass as a power law, no null model gives its exponent, and the dual spin "
        "system does at the temperature nearest to the data. That temperature is the only number "
        "fitted.",
        "It does not mean that the layer is critical: compare the temperature of the data with "
        "the critical temperatures below. One network was examined, trained once.",
    ),
    (
        "consistent with critical dual",
        "The patterns pass as a power law that no null model gives and the dual spin system at "
        "its critical temperature does.",
        "It is about this network, layer and set of images.",
    ),
)


def meaning(verdict: str) -> tuple[str, str]:
    """Return what a verdict says in plain words, and what does not follow from it."""
    for beginning, says, not_says in _MEANINGS:
        if verdict.startswith(beginning):
            return says, not_says
    return "The reasons are listed below.", ""


def command(c: Comparison) -> str:
    """Return the line for a terminal that repeats a comparison, or "" where none can."""
    if (
        c.seed["spawn_key"]
        or c.parameters["gain"] != "active-mean"
        or c.parameters["n_subsets"] != 5
    ):
        return ""
    source = "" if _is_bundled(c) else "--weights WEIGHTS --inputs INPUTS "
    return (
        f"spinnet compare {source}--layer {c.layer} --replicates {c.parameters['n_replicates']} "
        f"--seed {c.seed['entropy']} --output report.html"
    )


def script(c: Comparison) -> str:
    """Return the Python that repeats a comparison."""
    seed = str(c.seed["entropy"])
    if c.seed["spawn_key"]:
        seed = f"np.random.SeedSequence({seed}, spawn_key={c.seed['spawn_key']})"
    if _is_bundled(c):
        load = (
            "network = sn.networks.load_bundled()\n"
            'inputs = sn.networks.datasets.load("fashion-mnist")\n'
        )
    else:
        load = (
            "network = ...  # weights of the SHA-256 below: sn.networks.load_network(path)\n"
            f"inputs = ...  # the same {c.n_inputs} images, in the same order\n"
        )
    numpy = "import numpy as np\n" if c.seed["spawn_key"] else ""
    return (
        f"{numpy}import spinnet as sn\n\n{load}"
        "activations = sn.networks.record(network, inputs)\n"
        f'comparison = sn.compare(network, activations, layer="{c.layer}", '
        f'gain="{c.parameters["gain"]}",\n'
        f"    n_replicates={c.parameters['n_replicates']}, n_subsets={c.parameters['n_subsets']}, "
        f"rng={seed})\n"
        'sn.report(comparison, "report.html")\n'
    )


def _is_bundled(c: Comparison) -> bool:
    """Return whether this is the bundled network on the bundled images."""
    from spinnet import networks

    if networks.load_bundled().fingerprint() != c.parameters["weights_sha256"]:
        return False
    seen = c.studied.network_inputs
    if seen is None or len(seen) != 10_000:
        return False
    images = networks.datasets.load("fashion-mnist").images
    return bool(np.array_equal(seen, images.reshape(len(images), -1)))
