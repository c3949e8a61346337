"""How deep a network of given initial weights trains (Schoenholz et al., arXiv:1611.01232, sec. 5).

Plain fully connected networks are trained for a fixed number of steps on a grid of depths and of
sigma_w^2, and scored on the images that they were trained with.  The theory says that they learn
where inputs stay apart on the way, which is up to a depth of about 6 xi_c.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import math
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

import spinnet
from spinnet import plotting
from spinnet.errors import CheckpointError, InputError, MissingDependencyError
from spinnet.files import check_writable, finite_or_null, write_atomically
from spinnet.memory import refuse_beyond_memory
from spinnet.progress import progress_bar
from spinnet.propagation.activations import Activation, get_activation
from spinnet.propagation.diagram import phase_diagram
from spinnet.randomness import RandomState, generator, seed_record, seed_sequence
from spinnet.validation import (
    choice,
    finite_array,
    integer,
    positive_array,
    positive_float,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh

Array = NDArray[np.float64]
Inputs = NDArray[np.float32]
Labels = NDArray[np.int64]

OPTIMIZERS = ("sgd", "rmsprop")
_LINE = 201  # points of the line of xi_c


@dataclass(frozen=True, eq=False)
class Trainability:
    """Training accuracy by depth and sigma_w^2.

    Attributes
    ----------
    depths : ndarray of int, shape (n_depths,)
        Hidden layers.
    sigma_w2 : ndarray, shape (n_w,)
    accuracy : ndarray, shape (n_depths, n_w)
        Share of `n_scored` training images that the trained network, without dropout, gets
        right.  Outputs that are not finite are wrong.
    error : ndarray, shape (n_depths, n_w)
        Its standard error from the number of images: the standard deviation of
        Beta(k + 1/2, n - k + 1/2), which is not 0 at k = 0 or n.  How much networks of other
        seeds differ is not in it.
    loss : ndarray, shape (n_depths, n_w)
        Mean cross-entropy of the same images; NaN where training diverged.
    n_scored : int
    xi_c : ndarray, shape (n_w,)
        Depth scale of correlations at initialisation, dropout included.
    line_sigma_w2, line_xi_c : ndarray
        The same on a finer grid, to draw.
    parameters : dict
    seed : dict
    version : str
    """

    depths: NDArray[np.int64]
    sigma_w2: Array
    accuracy: Array
    error: Array
    loss: Array
    n_scored: int
    xi_c: Array
    line_sigma_w2: Array = field(repr=False)
    line_xi_c: Array = field(repr=False)
    parameters: Mapping[str, Any] = field(repr=False)
    seed: Mapping[str, Any] = field(repr=False)
    version: str = field(repr=False)

    def max_depth(self, k: float = 6.0) -> Array:
        """Return k xi_c at each sigma_w2, up to which networks should train."""
        return positive_float("k", k) * self.xi_c

    def plot(self, ax: Axes | None = None, *, k: float = 6.0) -> QuadMesh:
        """Draw the accuracy over (sigma_w2, depth) with the line k xi_c; return the map."""
        ax = plotting.axes(ax)
        mesh = accuracy_map(ax, self.sigma_w2, self.depths, self.accuracy)
        depth_line(ax, self.line_sigma_w2, self.line_xi_c, k)
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), labelcolor="black")
        figure = ax.get_figure(root=True)
        assert figure is not None
        figure.colorbar(mesh, ax=ax, label="training accuracy")
        return mesh

    def to_dict(self) -> dict[str, Any]:
        """Return nested dicts, lists and numbers, None for NaN and infinities."""
        whole = {name: value.tolist() for name, value in self._arrays().items()}
        whole |= {
            "n_scored": self.n_scored,
            "parameters": dict(self.parameters),
            "seed": dict(self.seed),
            "version": self.version,
        }
        result: Any = finite_or_null(whole)
        return dict(result)

    def save(self, path: str | Path) -> Path:
        """Write the result (.npz, .json) or its drawing (.png, .pdf, .svg).

        Raises
        ------
        InputError
            For another ending, or a place that cannot be written.
        """
        from spinnet.propagation.figures.data import FigureData

        record = {**self.parameters, "n_scored": self.n_scored, "seed": dict(self.seed)}
        data = FigureData("trainability", self._arrays(), record, self.version, self._figure)
        return data.save(path)

    def _figure(self, data: object) -> Any:
        figure, ax = plotting.new_figure(3.6, 2.9)
        self.plot(ax)
        return figure

    def _arrays(self) -> dict[str, NDArray[Any]]:
        names = ("depths", "sigma_w2", "accuracy", "error", "loss", "xi_c")
        return {name: getattr(self, name) for name in (*names, "line_sigma_w2", "line_xi_c")}


def trainability(
    images: ArrayLike,
    labels: ArrayLike,
    *,
    depths: Sequence[int],
    sigma_w2: ArrayLike,
    sigma_b2: float = 0.05,
    keep: float = 1.0,
    activation: str | Activation = "tanh",
    width: int = 120,
    steps: int = 300,
    learning_rate: float = 0.03,
    batch: int = 128,
    optimizer: str = "sgd",
    n_scored: int = 2000,
    rng: RandomState = None,
    progress: bool = False,
    checkpoint: str | Path | None = None,
) -> Trainability:
    """Train one network for each depth and sigma_w2, and score it on its training images.

    Needs PyTorch (extra `train`).  Each network has `depth` hidden layers of `width` units and a
    linear layer of one output per class; every weight starts from N(0, sigma_w2 / fan-in), every
    bias from N(0, sigma_b2), the last layer's too.  It minimises the cross-entropy over `steps`
    batches of shuffled images.

    The mean image is taken off the images, and each is scaled to unit mean square, so that the
    first layer has length sigma_w^2 + sigma_b^2 for every input.

    Parameters
    ----------
    images : array_like, shape (n, ...)
        Flattened, image by image.
    labels : array_like of int, shape (n,)
        Classes from 0.
    depths : sequence of int
        Hidden layers, increasing.
    sigma_w2 : array_like
        Initial variances, increasing.
    sigma_b2 : float
    keep : float
        Dropout while training: each hidden activation is kept with this probability, and divided
        by it.  Scores are taken without.
    activation : str or Activation
    width, steps, batch : int
    learning_rate : float
        Deep networks need small ones: 0.03 is right to about 50 layers.
    optimizer : {"sgd", "rmsprop"}
        As PyTorch has them, without momentum.
    n_scored : int
        Scores are taken on at most this many images, the same ones for every network.
    rng : None, int, SeedSequence or Generator
        Each network has a stream of its own, set by its place in the grid.
    progress : bool
        Show a progress bar.
    checkpoint : path, optional
        An .npz file to which each finished network is added.  The same call with the same file
        goes on where it stopped (None for `rng` stands for the file's); an interrupt loses the
        network under way, and the result is the same as without one.

    Returns
    -------
    Trainability

    Raises
    ------
    InputError
        For bad arguments.
    CheckpointError
        If the checkpoint is damaged, or was made with other parameters.
    MissingDependencyError
        Without PyTorch.

    Notes
    -----
    Networks run on one thread in single precision: the same seed gives the same numbers on the
    same PyTorch and processor.  A network of depth L costs about 6 L batch width^2 steps
    floating-point operations, and seconds: at width 120 and 300 steps of 128 images 0.09 s per
    layer, at width 300 and 200 steps of 256 images 0.34 s per layer, on one core.

    The paper has width 300, on MNIST and CIFAR-10, depths from 10 to 300, sigma_w^2 from 1 to 4,
    sigma_b^2 = 0.05, and learning rates of 1e-3 for SGD, 1e-5 for RMSProp.
    """
    setup = _Setup(
        activation=get_activation(activation),
        sigma_b2=positive_float("sigma_b2", sigma_b2, zero=True),
        keep=positive_float("keep", keep),
        width=integer("width", width, minimum=1),
        steps=integer("steps", steps, minimum=1),
        learning_rate=positive_float("learning_rate", learning_rate),
        batch=integer("batch", batch, minimum=1),
        optimizer=choice("optimizer", optimizer, OPTIMIZERS),
    )
    x, y = _data(images, labels)
    if setup.batch > len(x):
        raise InputError(f"batch must be at most the number of images, {len(x)}, got {batch}")
    if not np.iterable(depths):
        raise InputError(f"depths must be a sequence of integers, got {depths!r:.80}")
    layers = np.array([integer("depths", d, minimum=1) for d in depths], dtype=np.int64)
    variances = np.atleast_1d(positive_array("sigma_w2", sigma_w2))
    for name, values in (("depths", layers), ("sigma_w2", variances)):
        if values.ndim != 1 or values.size == 0 or np.any(np.diff(values) <= 0):
            raise InputError(f"{name} must be one or more increasing values, got {values.tolist()}")
    entries = setup.width * (x.shape[1] + (float(layers[-1]) - 1) * setup.width)
    refuse_beyond_memory(12.0 * entries, "the deepest network", "take smaller width or depths")
    ends = variances if variances.size == 1 else np.linspace(variances[0], variances[-1], _LINE)
    line, xi_c = (
        phase_diagram(setup.activation, np.sqrt(w2), setup.sigma_b2**0.5, setup.keep).xi_c[0]
        for w2 in (ends, variances)
    )
    n_scored = min(integer("n_scored", n_scored, minimum=1), len(x))
    torch = _torch()
    parameters: dict[str, Any] = {
        "depths": layers.tolist(),
        "sigma_w2": variances.tolist(),
        **setup.record(),
        "n_scored": n_scored,
        "images": len(x),
        "data": hashlib.sha256(x.tobytes() + y.tobytes()).hexdigest(),
    }
    grid = _Grid(checkpoint, parameters, (layers.size, variances.size), rng)
    streams = grid.seed.spawn(1 + layers.size * variances.size)
    scored = generator(streams[0]).permutation(len(x))[:n_scored]
    with _one_thread(torch), progress_bar(grid.correct.size, progress, "network") as bar:
        for cell, (i, j) in enumerate(np.ndindex(grid.correct.shape), 1):
            if grid.correct[i, j] < 0:
                depth, w2 = int(layers[i]), float(variances[j])
                grid.correct[i, j], grid.loss[i, j] = _train(
                    torch, x, y, scored, depth, w2, setup, streams[cell]
                )
                grid.save()
            bar.update()
    hits = grid.correct + 0.5
    return Trainability(
        depths=layers,
        sigma_w2=variances,
        accuracy=grid.correct / n_scored,
        error=np.sqrt(hits * (n_scored + 1 - hits) / (n_scored + 2)) / (n_scored + 1),
        loss=grid.loss,
        n_scored=n_scored,
        xi_c=xi_c,
        line_sigma_w2=ends,
        line_xi_c=line,
        parameters={**parameters, "torch": str(torch.__version__)},
        seed=dict(seed_record(grid.seed)),
        version=spinnet.__version__,
    )


# ---------------------------------------------------------------------- drawing
def accuracy_map(ax: Axes, sigma_w2: Array, depths: ArrayLike, accuracy: Array) -> QuadMesh:
    """Draw accuracies, shape (n_depths, n_w), as a map between 0 and 1."""
    layers = np.asarray(depths, dtype=np.float64)
    mesh = ax.pcolormesh(
        plotting.cell_edges(sigma_w2), plotting.cell_edges(layers), accuracy, vmin=0.0, vmax=1.0
    )
    mesh.set_rasterized(True)
    ax.set_xlabel(r"$\sigma_w^2$")
    ax.set_ylabel("depth (hidden layers)")
    return mesh


def depth_line(ax: Axes, sigma_w2: Array, xi_c: Array, k: float = 6.0) -> None:
    """Draw k xi_c within the limits that the axes have."""
    from matplotlib.patheffects import Normal, Stroke

    limits = ax.get_xlim(), ax.get_ylim()
    curve = plotting.line(
        ax,
        sigma_w2,
        np.minimum(k * xi_c, 10 * limits[1][1]),  # infinite at criticality
        color="white",
        dashes="--",
        width=1.6,
        label=rf"${k:g}\,\xi_c$",
    )
    curve.set_path_effects([Stroke(linewidth=3.0, foreground="black"), Normal()])
    ax.set_xlim(limits[0])
    ax.set_ylim(limits[1])


# ---------------------------------------------------------------------- training
@dataclass(frozen=True)
class _Setup:
    """What all networks of a grid have in common."""

    activation: Activation
    sigma_b2: float
    keep: float
    width: int
    steps: int
    learning_rate: float
    batch: int
    optimizer: str

    def record(self) -> dict[str, Any]:
        names = ("sigma_b2", "keep", "width", "steps", "learning_rate", "batch", "optimizer")
        return {"activation": self.activation.name, **{k: getattr(self, k) for k in names}}


def _train(
    torch: Any,
    x: Inputs,
    y: Labels,
    scored: NDArray[np.int64],
    depth: int,
    sigma_w2: float,
    setup: _Setup,
    seed: np.random.SeedSequence,
) -> tuple[int, float]:
    """Train one network; return how many of the scored images it gets right, and their loss."""
    initial, order, masks = (generator(child) for child in seed.spawn(3))
    sizes = [x.shape[1], *[setup.width] * depth, int(y.max()) + 1]
    layers = [
        [torch.from_numpy(part).requires_grad_() for part in pair]
        for pair in _initial(initial, sizes, sigma_w2, setup.sigma_b2)
    ]
    phi = _function(torch, setup.activation)

    def forward(inputs: Any, keep: float) -> Any:
        h = torch.nn.functional.linear(inputs, *layers[0])
        for pair in layers[1:]:
            a = phi(h)
            if keep < 1:
                kept = masks.random(tuple(a.shape), dtype=np.float32) < keep
                a = a * torch.from_numpy(kept) / keep
            h = torch.nn.functional.linear(a, *pair)
        return h

    inputs, targets = torch.from_numpy(x), torch.from_numpy(y)
    rules = {"sgd": torch.optim.SGD, "rmsprop": torch.optim.RMSprop}
    parameters = [part for pair in layers for part in pair]
    optimizer = rules[setup.optimizer](parameters, lr=setup.learning_rate)
    for _, index in zip(range(setup.steps), _batches(order, len(x), setup.batch), strict=False):
        chosen = torch.from_numpy(index)
        loss = torch.nn.functional.cross_entropy(
            forward(inputs[chosen], setup.keep), targets[chosen]
        )
        if not math.isfinite(loss.item()):
            return 0, math.nan
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    chosen = torch.from_numpy(scored)
    with torch.no_grad():
        outputs, wanted = forward(inputs[chosen], 1.0), targets[chosen]
        loss = float(torch.nn.functional.cross_entropy(outputs, wanted))
        right = (outputs.argmax(dim=1) == wanted) & outputs.isfinite().all(dim=1)
    return int(right.sum()), loss if math.isfinite(loss) else math.nan


def _initial(
    rng: np.random.Generator, sizes: Sequence[int], sigma_w2: float, sigma_b2: float
) -> Iterator[tuple[Inputs, Inputs]]:
    """Yield weights (n_out, n_in) from N(0, sigma_w2 / n_in) and biases from N(0, sigma_b2)."""
    for n_in, n_out in itertools.pairwise(sizes):
        weights = rng.standard_normal((n_out, n_in), dtype=np.float32)
        biases = rng.standard_normal(n_out, dtype=np.float32)
        yield (
            weights * np.float32(math.sqrt(sigma_w2 / n_in)),
            biases * np.float32(math.sqrt(sigma_b2)),
        )


def _batches(rng: np.random.Generator, n: int, size: int) -> Iterator[NDArray[np.int64]]:
    """Yield indices of batches: pass after pass through all images, each in another order."""
    while True:
        order = rng.permutation(n)
        for start in range(0, n - size + 1, size):
            yield order[start : start + size]


def _function(torch: Any, activation: Activation) -> Callable[[Any], Any]:
    """Return the activation, as the theory has it, as a function that PyTorch differentiates."""

    class Phi(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, h: Any) -> Any:
            ctx.save_for_backward(h)
            return torch.from_numpy(np.asarray(activation(h.numpy()), dtype=np.float32))

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            (h,) = ctx.saved_tensors
            slope = np.asarray(activation.derivative(h.numpy()), dtype=np.float32)
            return gradient * torch.from_numpy(slope)

    apply: Callable[[Any], Any] = Phi.apply
    return apply


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise MissingDependencyError(
            "training needs PyTorch: install the extra with pip install 'spinnet[train]'"
        ) from error
    return torch


@contextmanager
def _one_thread(torch: Any) -> Iterator[None]:
    """Let PyTorch use one thread, so that sums are in one order and the same each time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _data(images: ArrayLike, labels: ArrayLike) -> tuple[Inputs, Labels]:
    """Return inputs without their mean, each of unit mean square, and labels, both checked."""
    array = finite_array("images", images)
    if array.ndim < 2 or array.size == 0:
        raise InputError(f"images must have shape (n, ...), got {array.shape}")
    x = array.reshape(len(array), -1)
    x = x - x.mean(axis=0)
    scale = np.sqrt(np.square(x).mean(axis=1))
    blank = scale <= 1e-12 * np.abs(array).max()  # rounding
    if blank.any():
        raise InputError(
            f"images must differ from their mean, got image {int(np.argmax(blank))} that does not: "
            "leave it out"
        )
    classes = finite_array("labels", labels)
    if classes.shape != (len(x),) or (classes < 0).any() or (classes % 1).any():
        raise InputError(
            f"labels must be {len(x)} integers >= 0, one for each image, got {labels!r:.80}"
        )
    if classes.max() >= len(x):
        raise InputError(
            f"labels must count classes from 0, got {classes.max():g} for {len(x)} images"
        )
    if len(np.unique(classes)) < 2:
        raise InputError(f"labels must be of at least 2 classes, got only {classes[0]:g}")
    return (x / scale[:, None]).astype(np.float32), classes.astype(np.int64)


# ---------------------------------------------------------------------- checkpoints
class _Grid:
    """Scores of a grid of networks, -1 where there is none yet, and the file that keeps them."""

    def __init__(
        self,
        path: str | Path | None,
        parameters: Mapping[str, Any],
        shape: tuple[int, int],
        rng: RandomState,
    ) -> None:
        self.correct = np.full(shape, -1, dtype=np.int64)
        self.loss = np.full(shape, np.nan)
        self._path = None if path is None else check_writable(path, "checkpoint")
        self._record = {"kind": "spinnet trainability, version 1", **parameters}
        if self._path is None or not self._path.exists():
            self.seed = seed_sequence(rng)
            return
        theirs, correct, loss = _read(self._path)
        stream = theirs.pop("rng")
        if rng is None:
            self.seed = np.random.SeedSequence(stream["entropy"], spawn_key=stream["spawn_key"])
        else:
            self.seed = seed_sequence(rng)
        ours = {**self._record, "rng": _stream(self.seed)}
        for key, value in {**theirs, "rng": stream}.items():
            if ours.get(key) != value:
                raise CheckpointError(
                    f"{self._path} was made with {key} = {value!r:.80}, this call has "
                    f"{ours.get(key)!r:.80}; use another file or the same arguments"
                )
        self.correct, self.loss = correct, loss

    def save(self) -> None:
        """Write the file, if there is one."""
        if self._path is not None:
            text = json.dumps({**self._record, "rng": _stream(self.seed)})
            write_atomically(self._path, lambda stream: self._write(stream, text))

    def _write(self, stream: BinaryIO, text: str) -> None:
        digest = np.array(_digest(text, self.correct, self.loss))
        np.savez(stream, text=np.array(text), correct=self.correct, loss=self.loss, digest=digest)


def _stream(seed: np.random.SeedSequence) -> dict[str, Any]:
    """Return the numbers that make a stream again, as JSON has them."""
    entropy: Any = seed.entropy
    numbers = entropy if isinstance(entropy, int) else [int(k) for k in entropy]
    return {"entropy": numbers, "spawn_key": [int(k) for k in seed.spawn_key]}


def _digest(text: str, correct: NDArray[np.int64], loss: Array) -> str:
    return hashlib.sha256(text.encode() + correct.tobytes() + loss.tobytes()).hexdigest()


def _read(path: Path) -> tuple[dict[str, Any], NDArray[np.int64], Array]:
    """Return parameters and scores of a checkpoint that is whole."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            text, digest = str(file["text"]), str(file["digest"])
            correct, loss = file["correct"], file["loss"]
        whole = digest == _digest(text, correct, loss)
    except (OSError, ValueError, KeyError, TypeError, EOFError, AttributeError) as error:
        raise _damaged(path) from error
    except (zipfile.BadZipFile, zlib.error) as error:
        raise _damaged(path) from error
    if not whole:
        raise _damaged(path)
    return json.loads(text), correct, loss


def _damaged(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{path} is damaged, or no checkpoint of spinnet's trainability; delete it to start afresh"
    )
