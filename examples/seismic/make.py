"""How the data of this example were made: by finite differences, which share nothing with pdeinv.

    python examples/seismic/make.py

Records of five shots at the bottom through a medium with two lenses: second order in time, fourth
in space, on a grid of 10 m with a damped frame of 1500 m; noise of 5 % of the root mean square.
It writes ``velocity.nc``, the truth, and ``obs.nc``, and takes about 10 s of one core.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Array = NDArray[np.float64]

HERE = Path(__file__).parent
H, DT, STEPS, EVERY = 10.0, 0.001, 800, 5
SIDE, FRAME = 70, 150
FREQUENCY, NOISE = 6.0, 0.05
SOURCES = [(x, 680.0) for x in (10.0, 180.0, 350.0, 510.0, 680.0)]
RECEIVERS = [(10.0 + 60.0 * k, 10.0) for k in range(12)]


def velocity(x: Array, y: Array) -> Any:
    """In m/s at places in m, y downwards: faster with depth, a fast lens and a slow one."""
    lens = 450.0 * np.exp(-(((x - 250) / 110) ** 2) - ((y - 260) / 70) ** 2)
    slow = -300.0 * np.exp(-(((x - 500) / 90) ** 2) - ((y - 180) / 90) ** 2)
    return 1900.0 + 1.3 * y + lens + slow


def ricker(t: float) -> float:
    a = (np.pi * FREQUENCY * (t - 1.1 / FREQUENCY)) ** 2
    return float((1 - 2 * a) * np.exp(-a))


def damping(v: Array) -> Any:
    """κ (s/a)² in the frame."""
    a, n = (FRAME - 1) * H, np.arange(SIDE + 2 * FRAME)
    depth = np.maximum(np.maximum(FRAME - n, n - (SIDE + FRAME - 1)), 0)
    d = 3 * v.min() * np.log(1e7) / (2 * a) * (depth * H / a) ** 2
    return np.maximum(d[:, None], d[None, :])


def gather(v: Array, source: tuple[float, float]) -> Array:
    """u (receiver, time) of one shot; u at (k + 1) dt follows from the wavelet up to k dt."""
    alpha, kappa = (v * DT / H) ** 2, damping(v) * DT
    row, column = (FRAME + round(c / H) for c in source[::-1])
    rows, columns = np.array([[FRAME + round(c / H) for c in place[::-1]] for place in RECEIVERS]).T
    past, now, out = np.zeros_like(v), np.zeros_like(v), []
    for k in range(STEPS):
        near = sum(np.roll(now, s, a) for a in (0, 1) for s in (1, -1))
        far = sum(np.roll(now, s, a) for a in (0, 1) for s in (2, -2))
        new = (2 - kappa - 5 * alpha) * now - (1 - kappa) * past + alpha * (4 / 3 * near - far / 12)
        new[row, column] += (v[row, column] * DT / H) ** 2 * ricker(k * DT)
        past, now = now, new
        if (k + 1) % EVERY == 0:
            out.append(now[rows, columns])
    return np.array(out).T


def main() -> None:
    axis = H * np.arange(SIDE)
    v = velocity(*np.meshgrid(axis, axis))
    wide = np.pad(v, FRAME, mode="edge")
    clean = np.stack([gather(wide, source) for source in SOURCES])
    sigma = NOISE * np.sqrt(np.mean(clean**2))
    rng = np.random.default_rng(1)
    u = clean + sigma * rng.standard_normal(clean.shape)
    dims = ("shot", "receiver", "time")
    labels = {"units": "Pa", "long_name": "pressure"}
    down = {"units": "m", "positive": "down"}
    places = {
        "source_x": ("shot", [x for x, _ in SOURCES], {"units": "m"}),
        "source_y": ("shot", [y for _, y in SOURCES], down),
        "receiver_x": ("receiver", [x for x, _ in RECEIVERS], {"units": "m"}),
        "receiver_y": ("receiver", [y for _, y in RECEIVERS], down),
    }
    data = {"u": (dims, u, labels), "u_sigma": (dims, np.full(u.shape, sigma), labels)}
    number = {"units": "1"}
    coords = {
        "shot": ("shot", np.arange(5.0), number),
        "receiver": ("receiver", np.arange(float(len(RECEIVERS))), number),
        "time": ("time", np.arange(1, STEPS // EVERY + 1) * EVERY * DT, {"units": "s"}),
    }
    attrs = {"Conventions": "CF-1.11", "pdeinv_problem": "seismic", "pdeinv_kind": "observations"}
    small = {name: {"zlib": True, "dtype": "float32"} for name in ("u", "u_sigma")}
    xr.Dataset({**data, **places}, coords, attrs).to_netcdf(HERE / "obs.nc", encoding=small)
    words = {"units": "m s-1", "long_name": "velocity of sound"}
    nodes = {"x": ("x", axis, {"units": "m"}), "y": ("y", axis, down)}
    truth = xr.Dataset({"velocity": (("y", "x"), v, words)}, nodes)
    truth.to_netcdf(HERE / "velocity.nc", encoding={"velocity": {"zlib": True, "dtype": "float32"}})


if __name__ == "__main__":
    main()
