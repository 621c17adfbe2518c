"""Valid files made wrong: by bytes, by lines, and by the structure of each format.

Every function takes a ``random.Random``, which Hypothesis can stand behind, and the bytes of a
valid file or the path of a copy that it may change.
"""

import gzip
import io
import json
import math
import os
import re
import struct
import zipfile
from contextlib import suppress
from pathlib import Path

import netCDF4
import numpy as np
import tomli_w

__all__ = [
    "edited_bytes",
    "edited_json",
    "edited_lines",
    "edited_matlab",
    "edited_netcdf",
    "edited_nifti",
    "edited_npy",
    "edited_npz",
    "edited_safetensors",
    "edited_segy",
    "edited_toml",
    "formula",
]

NUMBERS = (0, -1, 1, 1e308, -1e-308, 2**31, 2**63, 10**11, float("nan"), float("inf"), 0.5, 10**400)
TEXTS = (
    "", " ", "\x1b[31mred\x07", "[red]x[/red]", "$\\frac{", "a" * 5000, "ä\u202e", "1e9", "nan",
    "%s{}",
)  # fmt: skip
DEEP = 3000


def _nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


def _odd(r):
    """A value of some other type than what stood there."""
    return r.choice((
        None, True, [], {}, [[]], [None], {"a": {"b": []}}, _nested(r.choice((3, 40, 500))),
        [1, "a"], [1.0, [2.0]], r.choice(NUMBERS), r.choice(TEXTS),
    ))  # fmt: skip


# --- bytes --------------------------------------------------------------------------------------


def edited_bytes(r, data):
    """Flipped bits, a cut, an insertion, a doubled or emptied piece; one to four of them."""
    out = bytearray(data)
    for _ in range(r.choice((1, 1, 2, 4))):
        n = len(out)
        if n == 0:
            break
        at, size = r.randrange(n), r.choice((1, 2, 4, 8, 64, 512))
        kind = r.randrange(8)
        if kind <= 2:
            out[at] ^= 1 << r.randrange(8)
        elif kind == 3:
            del out[r.choice((at, min(at, 200))) :]
        elif kind == 4:
            out[at:at] = bytes(r.randrange(256) for _ in range(min(size, 64)))
        elif kind == 5:
            out[at : at + size] = r.choice((b"\xff", b"\x00", b"\x7f")) * min(size, n - at)
        elif kind == 6:
            out[at:at] = out[at : at + size]
        else:
            del out[at : at + size]
    return bytes(out)


# --- trees of JSON and TOML ---------------------------------------------------------------------


def _list(value):
    return value if isinstance(value, list) else []


def _walk(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(_list(value))
    for key, inner in list(items)[:60]:
        yield from _walk(inner, (*path, key))


def _change(r, tree):
    """One entry replaced, removed or added somewhere."""
    places = [p for p in _walk(tree) if p]
    if not places:
        return tree
    place = r.choice(places)
    holder = tree
    for key in place[:-1]:
        holder = holder[key]
    kind = r.randrange(6)
    if kind == 0:
        del holder[place[-1]]
    elif kind == 1 and isinstance(holder, dict):
        holder[r.choice(TEXTS)] = _odd(r)
    elif kind == 2 and isinstance(holder[place[-1]], int | float):
        holder[place[-1]] = r.choice(NUMBERS)
    elif kind == 3 and isinstance(holder[place[-1]], list):
        holder[place[-1]] = holder[place[-1]] * 2 if r.random() < 0.5 else holder[place[-1]][:-1]
    else:
        holder[place[-1]] = _odd(r)
    return tree


def edited_json(r, data):
    """The text of a JSON file, changed in structure or by bytes."""
    kind = r.randrange(10)
    if kind == 0:
        return edited_bytes(r, data)
    if kind == 1:
        return r.choice((
            b"[" * DEEP, b"{" * DEEP, b"[" * 200000 + b"]" * 200000, b'{"a":' * 100000, b"null",
            b"[]", b"1", b'"x"', b"", b"\xff\xfe", b"9" * 10000, b'{"a": NaN}', b"\xef\xbb\xbf{}",
        ))  # fmt: skip
    try:
        tree = json.loads(data)
    except ValueError:
        return edited_bytes(r, data)
    for _ in range(r.choice((1, 1, 2, 3))):
        tree = _change(r, tree)
    return json.dumps(tree).encode()


def _without_none(value):
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    return [_without_none(v) for v in value if v is not None] if isinstance(value, list) else value


def edited_toml(r, data):
    """The text of a TOML file, changed in structure or by bytes."""
    import tomllib

    kind = r.randrange(10)
    if kind <= 1:
        return edited_bytes(r, data)
    if kind == 2:
        return r.choice((
            b"a = " + b"[" * DEEP, b"a = " + b"[" * DEEP + b"]" * DEEP, b"[" + b"a." * DEEP + b"a]",
            b"a." * DEEP + b"a = 1", b"a = " + b"9" * 5000, b"a = 0x" + b"f" * 5000, b"a = 1e99999",
            b"a = 9999-99-99", b"a = " + b"{a=" * DEEP + b"1" + b"}" * DEEP, b"", b"\xff", b"\x00",
            b"problem = 1", b"[[problem]]\nname = 'darcy'", b"seed = 1979-05-27", b'a = "\\ud800"',
        ))  # fmt: skip
    tree = tomllib.loads(data.decode())
    for _ in range(r.choice((1, 1, 2, 3))):
        tree = _change(r, tree)
    try:
        return tomli_w.dumps(_without_none(tree)).encode()
    except (TypeError, ValueError, RecursionError, UnicodeError):
        return edited_bytes(r, data)


# --- lines of text ------------------------------------------------------------------------------


_CELLS = (
    "", "nan", "inf", "-1", "0", "1e999", "1_0", "0x10", "1,5", "--", "'", '"', "\x00",
    "\x1b[2J", "x" * 200000,
    "1e-320", "9" * 500, "99999999999", "4294967296", "-2147483649", "٣", "1+2j", "=cmd()",
)  # fmt: skip


def edited_lines(r, data):
    """A cell, or a line, of a text changed; or its bytes."""
    if r.randrange(6) == 0:
        return edited_bytes(r, data)
    lines = data.decode("latin-1").split("\n")
    for _ in range(r.choice((1, 1, 2, 4))):
        k = r.randrange(len(lines))
        kind = r.randrange(8)
        if kind == 0:
            lines.insert(k, lines[r.randrange(len(lines))])
        elif kind == 1 and len(lines) > 1:
            del lines[k]
        else:
            cells = re.split(r"([ ,;\t]+)", lines[k])
            cells[2 * r.randrange((len(cells) + 1) // 2)] = r.choice(_CELLS)
            lines[k] = "".join(cells)
    return "\n".join(lines).encode("latin-1", errors="replace")


# --- NetCDF -------------------------------------------------------------------------------------


def _attribute(r):
    return r.choice((
        *TEXTS[:-1], 0, 1.5, -1, float("nan"), float("inf"), 10**12, np.int8(3), np.array([1, 2,
        3]),
        np.array([1.0, float("nan")]), np.array([], dtype="f8"), ["a", "b"], np.bytes_(b"\xff\xfe"),
        "days since 1900-01-01", "x" * 200000, "[problem]\nname = ", "unknown", "result", "1.0",
    ))  # fmt: skip


NAMES = (
    "units", "long_name", "_FillValue", "missing_value", "scale_factor", "add_offset",
    "valid_range",
    "valid_min", "coordinates", "ancillary_variables", "standard_error_multiplier", "flag_values",
    "flag_meanings", "flag_masks", "standard_name", "dtype", "calendar", "bounds", "grid_mapping",
    "_Unsigned", "location", "pdeinv_unknown", "compress", "_Encoding",
)  # fmt: skip
ROOT = (
    "pdeinv_kind", "pdeinv_problem", "pdeinv_problem_config", "pdeinv_level", "pdeinv_config",
    "pdeinv_seed",
    "featureType", "Conventions", "pdeinv_summary", "pdeinv_prior_probe", "coordinates", "title",
    "pdeinv_version",
    "pdeinv_engine", "pdeinv_produces", "pdeinv_converged", "pdeinv_message", "_NCProperties",
)  # fmt: skip


def _groups(dataset):
    yield dataset
    for inner in dataset.groups.values():
        yield from _groups(inner)


def _some_group(r, dataset):
    return r.choice(list(_groups(dataset)))


def _edit_attribute(r, dataset):
    group = _some_group(r, dataset)
    holders = [group, *group.variables.values()]
    holder = r.choice(holders)
    known = list(holder.ncattrs())
    name = r.choice([*known, *(ROOT if holder is group else NAMES)])
    if name in known and r.randrange(4) == 0:
        holder.delncattr(name)
        return
    holder.setncattr(name, _attribute(r))


def _edit_values(r, dataset):
    group = _some_group(r, dataset)
    chosen = [v for v in group.variables.values() if v.size and v.dtype is not str]
    if not chosen:
        return
    variable = r.choice(chosen)
    variable.set_auto_maskandscale(False)
    value = r.choice((0, 1, -1, 3, 1e30, float("nan"), float("inf"), -1e-300, 2**31 - 1))
    values = variable[...]
    if np.ndim(values) == 0 or r.random() < 0.3:
        values = np.full(variable.shape, value, dtype="f8")
    else:
        values = np.array(values)
        flat = values.reshape(-1)
        with np.errstate(all="ignore"):
            flat[r.randrange(len(flat))] = np.asarray(value).astype(values.dtype)
    with np.errstate(all="ignore"):
        variable[...] = np.asarray(values).astype(variable.dtype)


KINDS = ("f8", "f4", "i4", "i8", "u1", "i1", "u8", str, "S1")


def _edit_variable(r, dataset):
    """A variable under its name with another type, other dimensions or another size."""
    group = _some_group(r, dataset)
    if not group.variables:
        return
    old = r.choice(list(group.variables.values()))
    name, attrs = old.name, {a: old.getncattr(a) for a in old.ncattrs() if a != "_FillValue"}
    values = None
    if r.random() < 0.7 and old.dtype is not str:
        old.set_auto_maskandscale(False)
        values = np.asarray(old[...])
    dims, other = _other_dims(r, group, list(old.dimensions))
    kind = r.choice(KINDS) if other or r.random() < 0.3 else old.dtype
    group.renameVariable(name, f"old_{r.randrange(10**9)}")
    new = _made(group, name, kind, list(dict.fromkeys(dims)))
    for key, value in attrs.items():
        new.setncattr(key, value)
    _fill(r, new, values)


def _other_dims(r, group, dims):
    """Dimensions of a variable, perhaps others, and whether its type is to be another."""
    kind = r.randrange(6)
    if kind == 0 and dims:
        dims.pop(r.randrange(len(dims)))
    elif kind == 1:
        dims.insert(r.randrange(len(dims) + 1), _dimension(r, group, r.choice((0, 1, 2, 3, 7))))
    elif kind == 2:
        dims = dims[::-1]
    elif kind == 3:
        sizes = (0, 1, 5, 10**6, 10**9, 10**11)
        dims = [_dimension(r, group, r.choice(sizes)) for _ in dims or [0]]
    return dims, kind >= 4


def _made(group, name, kind, dims):
    """A variable, in chunks where it is too large to be written as a whole."""
    sizes = [len(_found(group, d)) for d in dims]
    chunks = [min(max(n, 1), 64) for n in sizes] if np.prod(sizes, dtype=float) > 1e6 else None
    return group.createVariable(name, kind, dims, chunksizes=chunks)


def _fill(r, new, values):
    """Write something of the type of a variable that is not too large."""
    if new.size > 1e4 or not new.size:
        return
    if new.dtype is str:
        new[...] = np.full(new.shape, r.choice(TEXTS[:4]), dtype=object)
    elif new.dtype.kind == "S":
        new[...] = np.full(new.shape, b"x")
    elif values is not None and values.dtype.kind in "fiu":
        with np.errstate(all="ignore"):
            new[...] = np.resize(values, new.shape).astype(new.dtype)


def _found(group, name):
    while name not in group.dimensions:
        group = group.parent
    return group.dimensions[name]


def _dimension(r, group, size):
    name = f"d{r.randrange(10**9)}"
    group.createDimension(name, size if size or r.random() < 0.5 else None)
    return name


def _edit_names(r, dataset):
    group = _some_group(r, dataset)
    kind = r.randrange(5)
    if kind == 0 and group.variables:
        word = r.choice(("x", "weird name", "ü", "a" * 200, "g[red]"))
        group.renameVariable(r.choice(list(group.variables)), f"{word}{r.randrange(99)}")
    elif kind == 1 and group.dimensions:
        group.renameDimension(r.choice(list(group.dimensions)), f"n{r.randrange(10**6)}")
    elif kind == 2:
        big = _dimension(r, group, r.choice((10**7, 10**9, 10**11)))
        name = r.choice((big, f"junk{r.randrange(999)}"))
        group.createVariable(name, "f8", (big,), chunksizes=(1 << 16,))
    elif kind == 3:
        inner = group
        for k in range(r.choice((1, 20, 100))):
            inner = inner.createGroup(f"g{k}")
        inner.createVariable("v", "f8", ())
    else:
        pair = np.dtype([("a", "f8"), ("b", "i4")])
        made = group.createCompoundType(pair, f"pair{r.randrange(10**6)}")
        group.createVariable(f"c{r.randrange(10**6)}", made, ())


EDITS = (_edit_attribute, _edit_attribute, _edit_values, _edit_variable, _edit_names)
UNWRITABLE = (
    ArithmeticError, AttributeError, LookupError, MemoryError, OSError, RuntimeError, TypeError,
    ValueError,
)  # fmt: skip
"""What the library raises where it does not write something."""


def edited_netcdf(r, path: Path):
    """Change a copy of a NetCDF file in place."""
    if r.randrange(4) == 0:
        path.write_bytes(edited_bytes(r, path.read_bytes()))
        return
    with suppress(RuntimeError), netCDF4.Dataset(str(path), "a") as dataset:
        for _ in range(r.choice((1, 1, 2, 3))):
            try:
                r.choice(EDITS)(r, dataset)
            except UNWRITABLE:
                continue


# --- arrays -------------------------------------------------------------------------------------


def _odd_array(r, array):
    """An array of another shape, type or value."""
    array = np.asarray(array)
    number = array.dtype.kind in "fiu"
    odd = [
        np.zeros(0), array[None], array[..., :-1] if array.ndim else array, np.array("text"),
        np.full(array.shape, np.nan), np.repeat(array.ravel(), 2), np.array(3),
        np.array(r.choice((0, -1, 10**12, float("nan")))),
        *((array.astype("c16"), array.astype("i4")) if number else ()),
    ]  # fmt: skip
    return odd[r.randrange(len(odd))]


def lying_npy(r):
    """An array file that says that it holds more than it does."""
    shape = r.choice(("(100000000000,)", "(4, 10000000000)", "(2147483648,)", "(-5,)", "()"))
    kind = r.choice(("<f8", "|O", "<U999999999", "|V8", "bogus", "<f16"))
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    head = head.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + b"\x00" * 64


def edited_npy(r, data):
    """An array file with changed bytes, most of them of its header, or one that lies."""
    if r.randrange(4) == 0:
        return lying_npy(r)
    if r.randrange(2):
        return edited_bytes(r, data)
    return edited_bytes(r, data[:128]) + data[128:]


def edited_npz(r, data):
    """An archive of arrays with one of them changed, a lying header, or changed bytes."""
    kind = r.randrange(4)
    if kind == 0:
        return edited_bytes(r, data)
    with np.load(io.BytesIO(data)) as found:
        arrays = {k: found[k] for k in found.files}
    name = r.choice(sorted(arrays))
    out = io.BytesIO()
    if kind == 1:
        np.savez(out, **arrays)
        with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as archive:
            zeros = b"\x93NUMPY\x01\x00" + b"\x00" * (1 << 26)
            made = r.choice((lying_npy(r), b"", b"x" * 10, zeros))
            archive.writestr("more.npy", made)
        return out.getvalue()
    text = arrays[name]
    if r.randrange(6) == 0:
        del arrays[name]
    elif text.dtype.kind == "U" and r.random() < 0.8:
        arrays[name] = np.array(edited_json(r, str(text).encode()).decode("latin-1"))
    else:
        arrays[name] = _odd_array(r, text)
    np.savez(out, **arrays)
    return out.getvalue()


def edited_safetensors(r, data):
    """A file of weights with a changed header, changed weights or changed bytes."""
    if r.randrange(3) == 0:
        return edited_bytes(r, data)
    size = int.from_bytes(data[:8], "little")
    if r.randrange(6) == 0:
        return r.choice((2**63, 2**40, size + 10**6, 0, 7)).to_bytes(8, "little") + data[8:]
    head = edited_json(r, data[8 : 8 + size])
    return len(head).to_bytes(8, "little") + head + data[8 + size :]


def edited_matlab(r, data):
    """A MATLAB file with a changed field or changed bytes."""
    from scipy.io import loadmat, savemat

    if r.randrange(2) == 0:
        return edited_bytes(r, data)
    fields = {k: v for k, v in loadmat(io.BytesIO(data)).items() if not k.startswith("__")}
    name = r.choice(sorted(fields))
    kind = r.randrange(5)
    if kind == 0:
        del fields[name]
    elif kind == 1:
        fields[name] = {"a": 1, "b": fields[name]}
    elif kind == 2:
        fields[name] = np.array([[1], ["x"]], dtype=object)
    else:
        fields[name] = _odd_array(r, fields[name])
    out = io.BytesIO()
    savemat(out, fields, do_compression=r.random() < 0.5)
    return out.getvalue()


# --- images -------------------------------------------------------------------------------------

_HEADER = {0: "<i4", 40: "<i2", 42: "<i2", 44: "<i2", 46: "<i2", 48: "<i2", 70: "<i2", 76: "<f4",
           80: "<f4", 84: "<f4", 88: "<f4", 108: "<f4", 112: "<f4", 116: "<f4", 123: "u1",
           252: "<i2", 254: "<i2", 256: "<f4", 280: "<f4", 296: "<f4", 320: "<f4",
           344: "<i4"}  # fmt: skip
"""Where numbers stand in the header of NIfTI-1, and of what type they are."""
_ODD_NUMBERS = (0, 1, -1, 2, 7, 127, -32768, 32767, 2**31 - 1, 1e-30, 1e30, math.inf, math.nan)


def edited_nifti(r, data):
    """A NIfTI image with changed numbers in its header or changed bytes, compressed or not."""
    packed = data[:2] == b"\x1f\x8b"
    if r.randrange(4) == 0:
        return edited_bytes(r, data)
    out = bytearray(gzip.decompress(data) if packed else data)
    for _ in range(r.choice((1, 1, 2, 4))):
        at = r.choice(list(_HEADER))
        kind = np.dtype(_HEADER[at])
        number = r.choice(_ODD_NUMBERS)
        if kind.kind != "f":
            low, high = np.iinfo(kind).min, np.iinfo(kind).max
            number = int(min(max(number, low), high)) if math.isfinite(number) else high
        out[at : at + kind.itemsize] = np.array(number).astype(kind).tobytes()
    if r.randrange(4) == 0:
        out = bytearray(edited_bytes(r, bytes(out)))
    return gzip.compress(bytes(out)) if packed else bytes(out)


# --- traces -------------------------------------------------------------------------------------

_BINARY = {3217: ">i2", 3221: ">i2", 3225: ">i2", 3255: ">i2", 3501: ">i2", 3505: ">i2"}
_OF_TRACE = {9: ">i4", 29: ">i2", 41: ">i4", 45: ">i4", 49: ">i4", 69: ">i2", 71: ">i2", 73: ">i4",
             77: ">i4", 81: ">i4", 85: ">i4", 89: ">i2", 109: ">i2", 115: ">i2", 117: ">i2",
             215: ">i2"}  # fmt: skip
"""Where numbers stand in the headers of SEG-Y, counted from 1, and of what type they are."""


def edited_segy(r, data, traces, size):
    """SEG-Y with changed numbers in its headers or changed bytes; ``size`` bytes a trace."""
    if r.randrange(3) == 0:
        return edited_bytes(r, data)
    out = bytearray(data)
    for _ in range(r.choice((1, 1, 2, 4))):
        of_trace = r.randrange(4) > 0
        at = r.choice(list(_OF_TRACE if of_trace else _BINARY))
        kind = np.dtype(_OF_TRACE[at] if of_trace else _BINARY[at])
        number = r.choice((0, 1, -1, 2, 3, 5, 8, 100, -100, -10000, 4000, 32767, -32768, 2**31 - 1))
        number = min(max(number, np.iinfo(kind).min), np.iinfo(kind).max)
        begin = at - 1 + (3600 + size * r.randrange(traces) if of_trace else 0)
        out[begin : begin + kind.itemsize] = np.array(number).astype(kind).tobytes()
    return edited_bytes(r, bytes(out)) if r.randrange(4) == 0 else bytes(out)


# --- formulas -----------------------------------------------------------------------------------

_ATOMS = (
    "x", "y", "1", "2.5", "pi", "e", "9" * 900, "1e400", "z", "0x1f", "1_0", "'a'", "t", "1j",
    "True", "\x1b[2J",
)  # fmt: skip


def formula(r, depth=0):
    """A formula, of which some are right."""
    kind = r.randrange(12)
    if depth == 0 and kind == 0:
        n = r.choice((10, 100, 990, 5000, 10**5))
        return r.choice((
            "-" * n + "x", "(" * n + "x" + ")" * n, "sin(" * n + "x" + ")" * n, "9" * n,
            "x+" * n + "x",
            "**".join(["9"] * n), "x" + "*x" * n, "x[" * n, "1" + ".e1" * n, "[" * n,
            "x if x else " * n + "x",
            "x" + "<x" * n, "lambda: " * n + "x", "not " * n + "x", "f'{" * n, "\x00", "x\ny",
            "x;y",
            "__import__('os').system('true')", "().__class__", "x.real", "sin(x, y)", "where(x)",
            "max(*x)",
            "1if x else 2", "1or x", "x:=3", "await x", "'\\N{DIGIT ONE}'", "x\\\n+y", "#", "",
        ))  # fmt: skip
    if depth > 6 or kind <= 3:
        return r.choice(_ATOMS[:6] if r.random() < 0.8 else _ATOMS)
    a, b = formula(r, depth + 1), formula(r, depth + 1)
    return r.choice((
        f"{a}+{b}", f"({a})*({b})", f"{a}/{b}", f"({a})**({b})", f"-{a}", f"sin({a})",
        f"where({a}<{b},{a},{b})",
        f"max({a},{b})", f"log({a})", f"{a}^{b}",
    ))  # fmt: skip


def hostile_place(r, path: Path):
    """Something at a path that is no regular file."""
    kind = r.randrange(3)
    if kind == 0:
        os.mkfifo(path)
    elif kind == 1:
        path.mkdir()
    else:
        path.symlink_to(r.choice(("/dev/zero", "/dev/stdin", "/nowhere", "/proc/self/mem")))
