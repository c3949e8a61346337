"""A reader never sees half of a file, and a bad place is refused before the work."""

from __future__ import annotations

import errno
import json
import stat
from pathlib import Path

import pytest

from spinnet.errors import InputError
from spinnet.files import check_writable, finite_or_null, write_atomically


def test_the_file_appears_whole_with_the_usual_permissions(tmp_path):
    path = write_atomically(tmp_path / "a.bin", lambda f: f.write(b"whole"))
    assert path.read_bytes() == b"whole"
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
    assert {p.name for p in tmp_path.iterdir()} == {"a.bin", "plain"}


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt()])
def test_an_interrupted_write_keeps_the_old_file_and_leaves_nothing_behind(tmp_path, error):
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")

    def write(stream):
        stream.write(b"half of the n")
        raise error

    with pytest.raises(type(error)):
        write_atomically(target, write)
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


@pytest.mark.parametrize(
    ("error", "words"),
    [(OSError(errno.ENOSPC, "No space left on device"), "No space left"), (OSError("odd"), "odd")],
)
def test_a_full_disk_is_named_and_leaves_nothing_behind(tmp_path, error, words):
    def write(stream):
        raise error

    with pytest.raises(InputError, match=f"cannot write .*a.bin.*{words}"):
        write_atomically(tmp_path / "a.bin", write)
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_hold_a_file_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"output must name a file, got the folder"):
        check_writable(tmp_path)
    with pytest.raises(InputError, match=r"report: the folder .*missing' does not exist; make it"):
        check_writable(tmp_path / "missing" / "a", "report")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file' is a file, not a folder"):
        check_writable(tmp_path / "file" / "a")


def test_an_unwritable_folder_is_refused_with_advice(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("spinnet.files.tempfile.TemporaryFile", refuse)
    with pytest.raises(InputError, match=r"cannot write in .* \(Permission denied\); choose anoth"):
        check_writable(tmp_path / "a")


def test_a_name_too_long_is_refused_in_words(tmp_path):
    with pytest.raises(InputError, match=r"cannot write .*name too long"):
        write_atomically(tmp_path / ("a" * 300), lambda f: f.write(b""))


def test_a_relative_name_goes_to_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert write_atomically("a.txt", lambda f: f.write(b"x")) == Path("a.txt")
    assert (tmp_path / "a.txt").read_bytes() == b"x"


def test_numbers_that_json_cannot_hold_become_null():
    value = {"a": [1.0, float("nan"), (float("inf"), 2)], "b": None, "c": "nan", "d": True}
    text = json.dumps(finite_or_null(value), allow_nan=False)
    assert json.loads(text) == {"a": [1.0, None, [None, 2]], "b": None, "c": "nan", "d": True}
