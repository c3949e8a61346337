# %% [markdown]
"""How the network that comes with spinnet was trained.

A ReLU network 784-100-50-20-10 on Fashion-MNIST's 60,000 training images, with PyTorch (extra
`train`) and Adam.  The file it writes holds the weights before and after training.

It runs on one thread with deterministic algorithms: the same seed on the same PyTorch and the
same kind of processor gives the same hash.  Other processors may differ in the last bits.
"""

# %%
from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np

from spinnet.errors import MissingDependencyError
from spinnet.networks import FeedForward, datasets, fingerprint, save_weights

try:
    import torch
except ImportError as error:
    raise MissingDependencyError(
        "training needs PyTorch: install the extra with pip install 'spinnet[train]'"
    ) from error

WIDTHS = (784, 100, 50, 20, 10)
BATCH_SIZE = 128
LEARNING_RATE = 1e-3


# %%
def network() -> torch.nn.Sequential:
    model = torch.nn.Sequential()
    for k, (n_in, n_out) in enumerate(itertools.pairwise(WIDTHS), 1):
        model.add_module(f"fc{k}", torch.nn.Linear(n_in, n_out))
        if k < len(WIDTHS) - 1:
            model.add_module(f"relu{k}", torch.nn.ReLU())
    return model


def arrays(model: torch.nn.Module, prefix: str = "") -> dict[str, np.ndarray]:
    return {prefix + k: v.detach().numpy().copy() for k, v in model.state_dict().items()}


def train(model: torch.nn.Module, data: datasets.Dataset, epochs: int, seed: int) -> None:
    inputs, labels = torch.tensor(data.inputs), torch.tensor(data.labels)
    order = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    for epoch in range(1, epochs + 1):
        total = 0.0
        for batch in torch.randperm(len(inputs), generator=order).split(BATCH_SIZE):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(inputs[batch]), labels[batch])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        print(f"epoch {epoch:3d} of {epochs}: mean loss {total / len(inputs):.4f}", flush=True)


# %%
def main() -> None:
    parser = argparse.ArgumentParser(description="Train the network that comes with spinnet.")
    parser.add_argument("--root", help="folder of the training files (default: $SPINNET_DATA)")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", default="fashion_mnist_784-100-50-20-10.safetensors")
    options = parser.parse_args()

    data = datasets.load("fashion-mnist", split="train", root=options.root)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(options.seed)
    model = network()
    weights = arrays(model, "initial.")
    train(model, data, options.epochs, options.seed)
    weights |= arrays(model)

    images = datasets.load("fashion-mnist", split="test")
    accuracy = FeedForward.from_arrays(weights).accuracy(images)
    metadata = {
        "architecture": "-".join(str(n) for n in WIDTHS),
        "activation": "relu, last layer identity",
        "trained_on": "fashion-mnist train, 60000 images",
        "input_range": "0 1",
        "optimizer": f"Adam, learning rate {LEARNING_RATE:g}, batch size {BATCH_SIZE}",
        "epochs": str(options.epochs),
        "seed": str(options.seed),
        "torch": torch.__version__,
        "test_accuracy": f"{accuracy:.4f}",
        "sha256": fingerprint(weights),
    }
    output = Path(options.output)
    save_weights(output, weights, metadata)
    print(f"test accuracy {accuracy:.4f}, sha256 {metadata['sha256']}, written to {output}")


if __name__ == "__main__":
    main()
