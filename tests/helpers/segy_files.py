"""SEG-Y files byte by byte, right or wrong, without the package that reads them."""

import struct

import numpy as np

__all__ = ["AT", "ibm", "line", "segy"]

AT = {
    "record": (9, "i"), "trace": (13, "i"), "kind": (29, "h"), "receiver_elevation": (41, "i"),
    "source_elevation": (45, "i"), "source_depth": (49, "i"), "elevation_scalar": (69, "h"),
    "coordinate_scalar": (71, "h"), "source_x": (73, "i"), "source_y": (77, "i"),
    "receiver_x": (81, "i"), "receiver_y": (85, "i"), "coordinate_units": (89, "h"),
    "delay": (109, "h"), "samples": (115, "H"), "interval": (117, "H"), "time_scalar": (215, "h"),
}  # fmt: skip
"""First byte and type of what a header holds."""


def ibm(value):
    """The four bytes of an IBM float: sign, exponent of 16 over 64, fraction of 24 bits."""
    if value == 0:
        return b"\0\0\0\0"
    sign, size, exponent = value < 0, abs(float(value)), 64
    while size >= 1:
        size, exponent = size / 16, exponent + 1
    while size < 1 / 16:
        size, exponent = size * 16, exponent - 1
    return bytes([128 * sign + exponent]) + int(size * 2**24).to_bytes(3, "big")


def segy(traces, *, code=5, interval=2000, system=1, samples=None, order=">", text=b" " * 3200):
    """The bytes of a file.

    Args:
        traces: pairs of a header by the names of :data:`AT` and its samples.
        code: of the format of samples.
        interval: in the binary header, microseconds.
        system: of measures there.
        samples: there; those of the first trace where None.
        order: of bytes.
    """
    head = bytearray(400)
    count = len(traces[0][1]) if samples is None else samples
    for byte, value in ((17, interval), (21, count), (25, code), (55, system)):
        struct.pack_into(f"{order}H", head, byte - 1, value)
    return text + bytes(head) + b"".join(_trace(h, v, code, order) for h, v in traces)


def _trace(header, values, code, order):
    block = bytearray(240)
    for name, value in {"samples": len(values), "kind": 1, **header}.items():
        byte, kind = AT[name]
        struct.pack_into(f"{order}{kind}", block, byte - 1, int(value))
    if code == 1:
        return bytes(block) + b"".join(map(ibm, values))
    dtype = {5: "f4", 2: "i4", 3: "i2", 4: "i4", 8: "i1"}.get(code, "f4")
    return bytes(block) + np.asarray(values).astype(f"{order}{dtype}").tobytes()


def line(shots=2, receivers=3, samples=20, **header):
    """Traces of a line: shots every 100 m and receivers every 50 m, in centimetres, in order."""
    rng = np.random.default_rng(0)
    found = []
    for s in range(shots):
        for r in range(receivers):
            own = {
                "record": s + 1, "trace": r + 1, "source_x": 10000 * s, "source_depth": 500,
                "receiver_x": 5000 * r, "receiver_elevation": -800, "coordinate_scalar": -100,
                "elevation_scalar": -100, "interval": 2000,
            }  # fmt: skip
            found.append(({**own, **header}, rng.integers(1, 100, samples).astype(float)))
    return found
