"""Labelled images: the sets that come with the package, and those in a folder of the user's.

========================  ========  ==========================================================
name, split               images    where it is
========================  ========  ==========================================================
"digits", "test"          1,797     in the package (scikit-learn's copy of UCI's test part)
"fashion-mnist", "test"   10,000    in the package
"fashion-mnist", "train"  60,000    the official idx files in `root` or ``$SPINNET_DATA``
"mnist", either           70,000    the official idx files in `root` or ``$SPINNET_DATA``
========================  ========  ==========================================================

Nothing is downloaded.  Files in the idx format are checked against the md5 of the official
content after decompression, so that re-compressed copies (Debian's, torchvision's) are accepted
and damaged or exchanged ones are not.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import InputError
from spinnet.networks._arrays import frozen
from spinnet.validation import choice

ENVIRONMENT_VARIABLE = "SPINNET_DATA"

_IDX_FILES = {
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
}
# md5 of the decompressed official files, images then labels
_IDX_MD5 = {
    ("fashion-mnist", "test"): (
        "8181f5470baa50b63fa0f6fddb340f0a",
        "15d484375f8d13e6eb1aabb0c3f46965",
    ),
    ("fashion-mnist", "train"): (
        "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "9018921c3c673c538a1fc5bad174d6f9",
    ),
    ("mnist", "test"): (
        "2646ac647ad5339dbf082846283269ea",
        "27ae3e4e09519cfbb04c329615203637",
    ),
    ("mnist", "train"): (
        "6bbc9ace898e44ae57da46a324031adb",
        "a25bea736e30d166cdddb491f175f624",
    ),
}
_FOLDERS = {
    "fashion-mnist": ("fashion-mnist", "FashionMNIST/raw", "."),
    "mnist": ("mnist", "MNIST/raw", "."),
}
_ORIGIN = {
    "fashion-mnist": "https://github.com/zalandoresearch/fashion-mnist "
    "(or Debian's package dataset-fashion-mnist)",
    "mnist": "http://yann.lecun.com/exdb/mnist (or torchvision.datasets.MNIST)",
}
_DEBIAN_FOLDER = Path("/usr/share/datasets")  # where dataset-fashion-mnist puts its files
_CLASSES = {
    "digits": tuple(str(k) for k in range(10)),
    "mnist": tuple(str(k) for k in range(10)),
    "fashion-mnist": (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
}


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled images.

    Attributes
    ----------
    images : ndarray of float32, shape (n_images, height, width)
        Grey levels in [0, 1]: the stored integers over their maximum (255; 16 for the digits).
    labels : ndarray of int64, shape (n_images,)
        Class of each image, 0 to 9.
    name, split : str
    source : str
        The file the images were read from, or "bundled".
    classes : tuple of str
        What each label means.
    """

    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    name: str
    split: str
    source: str
    classes: tuple[str, ...]

    @property
    def inputs(self) -> NDArray[np.float32]:
        """The images, flattened row by row: a view of shape (n_images, height * width)."""
        return self.images.reshape(len(self.images), -1)

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        shape = "x".join(str(k) for k in self.images.shape[1:])
        return (
            f"Dataset({self.name!r}, split={self.split!r}, {len(self)} images of {shape}, "
            f"source={self.source!r})"
        )


def load(name: str, *, split: str = "test", root: str | os.PathLike[str] | None = None) -> Dataset:
    """Load a data set by name.

    Parameters
    ----------
    name : {"digits", "fashion-mnist", "mnist"}
        The table above says which are in the package.
    split : {"test", "train"}, optional
        The digits have the one split "test": all 1,797 images of UCI's test part.
    root : path, optional
        Folder that holds the official idx files, plain or as .gz: in ``root/<name>``, in
        torchvision's layout (``root/MNIST/raw``) or in `root` itself.  Without it the package's
        own copy is used where there is one, and ``$SPINNET_DATA`` otherwise.

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        Unknown name or split, files not found (the message lists where they were looked for),
        or files whose content is not the official one.
    """
    if name == "cifar10":
        raise InputError(
            "name='cifar10' is not available in this version; available are 'digits' and "
            "'fashion-mnist' (bundled) and 'mnist' (from a folder); images of your own can be "
            "passed to networks.record as an array"
        )
    choice("name", name, ("digits", "fashion-mnist", "mnist"))
    choice("split", split, ("test", "train"))
    if root is not None and not isinstance(root, (str, os.PathLike)):
        raise InputError(f"root must be the path of a folder, got {root!r:.80}")
    if name == "digits":
        return _load_digits(split, root)
    bundled = root is None and (name, split) == ("fashion-mnist", "test")
    if bundled:
        folder, prefix = bundled_folder(), "fashion-mnist-"
    else:
        folder, prefix = _find_folder(name, split, root), ""
    arrays = []
    for stem, md5 in zip(_IDX_FILES[split], _IDX_MD5[name, split], strict=True):
        arrays.append(_read_idx(_existing(folder, prefix + stem), md5, f"{name} {split}"))
    images, labels = arrays
    return Dataset(
        images=frozen(images.astype(np.float32) / np.float32(255)),
        labels=frozen(labels.astype(np.int64)),
        name=name,
        split=split,
        source="bundled" if bundled else str(folder),
        classes=_CLASSES[name],
    )


def bundled_folder() -> Path:
    """Return the folder of the files that come with the package."""
    return Path(str(resources.files("spinnet"))) / "data"


def _load_digits(split: str, root: str | os.PathLike[str] | None) -> Dataset:
    if split != "test":
        raise InputError(
            f"split={split!r} is not available for 'digits': the package holds UCI's test part "
            "only (1,797 images), as split='test'; slice its images to train and test on it"
        )
    if root is not None:
        raise InputError("root has no meaning for 'digits', which is read from the package")
    with gzip.open(bundled_folder() / "digits.csv.gz", "rt", encoding="ascii") as stream:
        table = np.loadtxt(stream, delimiter=",")
    return Dataset(
        images=frozen((table[:, :64] / 16).astype(np.float32).reshape(-1, 8, 8)),
        labels=frozen(table[:, 64].astype(np.int64)),
        name="digits",
        split=split,
        source="bundled",
        classes=_CLASSES["digits"],
    )


def _find_folder(name: str, split: str, root: str | os.PathLike[str] | None) -> Path:
    """Return the first folder that holds both files of a split."""
    if root is not None:
        roots = [Path(root)]
    else:
        variable = os.environ.get(ENVIRONMENT_VARIABLE)
        roots = [Path(variable)] if variable else []
        roots.append(_DEBIAN_FOLDER)
    folders = [base / sub for base in roots for sub in _FOLDERS[name]]
    for folder in folders:
        if all(_existing(folder, stem) is not None for stem in _IDX_FILES[split]):
            return folder
    files = " and ".join(f"{stem}[.gz]" for stem in _IDX_FILES[split])
    raise InputError(
        f"{name} {split}: found no folder with {files}; looked in "
        f"{', '.join(str(folder) for folder in folders)}. Get the files from {_ORIGIN[name]}, "
        f"and pass their folder as root= or in the environment variable {ENVIRONMENT_VARIABLE}"
    )


def _existing(folder: Path, stem: str) -> Path | None:
    for path in (folder / f"{stem}.gz", folder / stem):
        if path.is_file():
            return path
    return None


def _read_idx(path: Path | None, md5: str, what: str) -> NDArray[np.uint8]:
    """Read an idx file of unsigned bytes, plain or gz, whose content has this md5."""
    if path is None:
        raise InputError(f"{what}: a bundled data file is missing; reinstall spinnet")
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{what}: cannot read {path}: {error}") from error
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise InputError(
            f"{what}: {path} is not the official file: the md5 of its {len(content)} "
            f"decompressed bytes is {found}, expected {md5}; fetch the file again"
        )
    n_dims = content[3]
    shape = np.frombuffer(content, dtype=">u4", count=n_dims, offset=4)
    return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * n_dims).reshape(shape)
