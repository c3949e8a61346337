"""What a figure function returns: arrays by name, files and the drawing."""

from __future__ import annotations

import json
import math
import os
import tempfile

import numpy as np
import pytest
from matplotlib.figure import Figure

import spinnet
from spinnet.errors import InputError
from spinnet.propagation.figures import FigureData
from spinnet.propagation.figures.sweep import make, panels


def _draw(data: FigureData) -> Figure:
    figure, axes = panels(1, 1)
    axes[0, 0].plot(data["x"], data["y"][0])
    return figure


@pytest.fixture
def data() -> FigureData:
    arrays = {
        "x": np.array([1, 2, 3]),
        "y": [[0.1, math.nan, math.inf], [1e-300, 0.25, -math.inf]],
        "layer": 1,
    }
    return make("paper.fig0", arrays, {"sigma_b": 0.3, "seed": {"entropy": "7"}}, _draw)


def test_it_is_a_mapping_of_its_arrays(data):
    assert list(data) == ["x", "y", "layer"]
    assert len(data) == 3
    assert "y" in data
    assert "z" not in data
    assert data["y"].shape == (2, 3)
    assert data["layer"].shape == ()
    assert data.version == spinnet.__version__
    assert repr(data) == "FigureData('paper.fig0': x (3,), y (2, 3), layer ())"


def test_get_has_a_default(data):
    assert data.get("nothing of that name") is None
    assert data.get(next(iter(data))) is data[next(iter(data))]


def test_an_unknown_array_is_named_with_those_there_are(data):
    with pytest.raises(InputError, match=r"paper.fig0 has the arrays x, y, layer, got 'q_star'"):
        data["q_star"]


def test_npz_holds_the_arrays_bit_for_bit(data, tmp_path):
    path = data.save(tmp_path / "figure.npz")
    with np.load(path, allow_pickle=False) as found:
        assert set(found) == {"x", "y", "layer", "parameters"}
        for name in data:
            np.testing.assert_array_equal(found[name], data[name])
            assert found[name].dtype == data[name].dtype
        parameters = json.loads(str(found["parameters"]))
    assert parameters == {
        "name": "paper.fig0",
        "version": spinnet.__version__,
        "sigma_b": 0.3,
        "seed": {"entropy": "7"},
    }


def test_json_has_null_where_there_is_no_number(data, tmp_path):
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    text = data.save(str(tmp_path / "figure.json")).read_text()
    found = json.loads(text, parse_constant=refuse)
    assert found == data.to_dict()
    assert found["name"] == "paper.fig0"
    assert found["arrays"]["y"] == [[0.1, None, None], [1e-300, 0.25, None]]
    assert found["arrays"]["layer"] == 1
    assert found["parameters"]["seed"] == {"entropy": "7"}


@pytest.mark.parametrize(
    ("ending", "start"),
    [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml"), ("PNG", b"\x89PNG")],
)
def test_drawings_are_files_of_their_kind(data, tmp_path, ending, start):
    path = data.save(tmp_path / f"figure.{ending}")
    assert path.read_bytes().startswith(start)
    assert [p.name for p in tmp_path.iterdir()] == [f"figure.{ending}"]  # nothing else left


def test_saving_again_replaces_the_file(data, tmp_path):
    (tmp_path / "figure.json").write_text("old")
    assert data.save(tmp_path / "figure.json").read_text().startswith("{")


@pytest.mark.parametrize("name", ["figure.jpg", "figure", "figure.npz.txt"])
def test_an_unknown_ending_is_refused_and_leaves_nothing(data, tmp_path, name):
    with pytest.raises(InputError, match=r"path must end in .npz, .json, .png, .pdf or .svg"):
        data.save(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", ["npz", "json", "png"])
def test_a_folder_that_cannot_be_written_is_refused(data, tmp_path, monkeypatch, ending):
    def denied(*args: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    with pytest.raises(InputError, match="does not exist"):
        data.save(tmp_path / "none" / f"figure.{ending}")
    monkeypatch.setattr(tempfile, "TemporaryFile", denied)
    with pytest.raises(InputError, match="Permission denied"):
        data.save(tmp_path / f"figure.{ending}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_folder_is_refused(data, tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InputError, match="cannot write"):
            data.save(tmp_path / "figure.npz")
    finally:
        tmp_path.chmod(0o700)


def test_drawing_leaves_global_settings_and_pyplot_alone(data):
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    before = dict(mpl.rcParams)
    assert isinstance(data.plot(), Figure)
    assert dict(mpl.rcParams) == before
    assert not plt.get_fignums()
