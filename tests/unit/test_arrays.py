"""Array files: headers that lie are refused before any array is made."""

import io
import struct
import zipfile

import numpy as np
import pytest

from pdeinv.errors import DataSchemaError
from pdeinv.foreign import Unreadable
from pdeinv.io import arrays


def npy(shape, kind="<f8", held=b"\0" * 64):
    """An array file with that header, whatever it holds."""
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + held


def archive(path, content):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a.npy", content)
    return path


def read(path):
    with arrays.opened_arrays(path, DataSchemaError) as found:
        return found["a"]


def test_arrays_are_read_as_written(tmp_path):
    arrays.write_arrays(tmp_path / "a.npz", a=np.arange(3.0), text="ä")
    np.testing.assert_array_equal(read(tmp_path / "a.npz"), [0, 1, 2])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy("(100000000000,)"), "^declares an array of 800 GB and holds 64 bytes$"),
        (npy("(-5,)"), "^declares an array of 0 bytes and holds 64 bytes$"),
        (npy("(8,)", "|O"), "^holds Python objects, expected numbers or text$"),
        (npy("(8,)", "bogus"), "Error$"),
        (b"", "Error$"),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path, content, message):
    with pytest.raises(DataSchemaError, match=message):
        read(archive(tmp_path / "a.npz", content))
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises((Unreadable, ValueError, TypeError, EOFError)):
        arrays.check_npy(tmp_path / "a.npy")


def test_an_archive_that_inflates_beyond_memory_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "memory", lambda: 1 << 20)
    bomb = archive(tmp_path / "a.npz", npy("(262144,)", held=bytes(1 << 21)))
    assert bomb.stat().st_size < 10_000
    with pytest.raises(DataSchemaError, match=r"^declares 2.1 MB; there is memory for 1.05 MB$"):
        read(bomb)


def test_a_pickle_is_never_loaded(tmp_path):
    out = io.BytesIO()
    np.save(out, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataSchemaError, match=r"^holds Python objects"):
        read(archive(tmp_path / "a.npz", out.getvalue()))
