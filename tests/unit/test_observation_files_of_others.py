"""One set of readings as many programs write it: read alike, or refused in one line."""

import netCDF4
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from pdeinv.errors import DataSchemaError
from pdeinv.io.observations import NoiseSpec, read
from pdeinv.jobs.invert.run import Inversion, invert
from pdeinv.model.observed import Observed

HEAD = Observed("u", "m", "hydraulic head", {"x": "m", "y": "m"})
WARMTH = Observed("u", "K", "temperature", {"x": "m", "y": "m", "t": "s"})
N, LOST = 16, 5
X, Y = (a.ravel() for a in np.meshgrid(np.arange(1, 5) / 5, np.arange(1, 5) / 5))
U = np.round(0.07 * np.sin(np.pi * X) * np.sin(np.pi * Y) + 0.003 * np.cos(9 * np.arange(N)), 6)
SIGMA = np.full(N, 0.002)
HOLE = np.arange(N) == LOST
COV = 4e-6 * 0.5 ** np.abs(np.subtract.outer(np.arange(N), np.arange(N)))
METRE = {"units": "m"}


def plain(dims="obs", attrs=METRE, **changes):
    """The readings as a dataset of xarray."""
    table = {"u": U, "u_sigma": SIGMA, "x": X, "y": Y}
    data = {k: (dims, v, dict(attrs)) for k, v in table.items()}
    return xr.Dataset({**data, **changes}, attrs={"featureType": "point"})


def holed(value=np.nan, **attrs):
    return ("obs", np.where(HOLE, value, U), {**METRE, **attrs})


def saved(dataset, encoding=None, **how):
    return lambda path: dataset.to_netcdf(path, encoding=encoding, **how)


def by_hand(kind="f8", mask=HOLE, *, scale=None, dims=("obs",), fill=None, attrs=None, **how):
    """A writer on netCDF4 itself; what is masked is stored as a fill value."""

    def write(path):
        with netCDF4.Dataset(path, "w", format=how.get("form", "NETCDF4")) as file:
            file.featureType = "point"
            for dim in dims:
                file.createDimension(dim, 1 if dim == "one" else N)
            for name, values in (("u_sigma", SIGMA), ("x", X), ("y", Y)):
                v = file.createVariable(name, "f8", dims)
                v.units, v[:] = "m", values.reshape(v.shape)
            u = file.createVariable(
                "u", kind, dims, fill_value=fill, endian=how.get("endian", "native")
            )
            u.setncatts({"units": "m", **(attrs or {})})
            if scale:
                u.scale_factor, u.add_offset = scale
            values = np.ma.array(U, mask=mask).reshape(u.shape)
            u[:] = values.astype(kind) if kind == ">f8" else values
            how.get("more", bool)(file)

    return write


def flag(name, values, **attrs):
    """A flag beside the readings, written by netCDF4."""

    def write(file):
        file["u"].ancillary_variables = f"u_sigma {name}"
        v = file.createVariable(name, "i1", ("obs",))
        v.setncatts(attrs)
        v[:] = values

    return by_hand(mask=False, more=write)


def frame():
    """The readings as a table of pandas."""
    return pd.DataFrame({"u": U, "u_sigma": SIGMA, "x": X, "y": Y})


def with_units(dataset):
    for name in ("u", "u_sigma", "x", "y"):
        dataset[name].attrs["units"] = "m"
    return dataset


def spoiled(path, **units):
    plain().to_netcdf(path)
    with netCDF4.Dataset(path, "a") as file:
        for name, text in units.items():
            file[name].units = text


STATUS = {"standard_name": "status_flag"}
QARTOD = {"flag_values": np.array([1, 3, 4], "i1"), "flag_meanings": "pass suspect fail"}
PACK = (4e-6, 0.06)

SAME = {
    "xarray": saved(plain()),
    "xarray, compressed": saved(plain(), {"u": {"zlib": True, "complevel": 4, "shuffle": True}}),
    "xarray, coordinates": saved(plain().set_coords(["x", "y"])),
    "xarray, other dimension": saved(plain(dims="well")),
    "xarray, numbered wells": saved(plain().assign_coords(obs=np.arange(100, 100 + N))),
    "xarray, names of wells": saved(plain().assign_coords(well=("obs", list("abcdefghijklmnop")))),
    "xarray, unlimited": saved(plain(), unlimited_dims=["obs"]),
    "xarray, a table besides": saved(plain(depth=(("obs", "layer"), np.ones((N, 3)), METRE))),
    "pandas": saved(with_units(frame().to_xarray())),
    "pandas, index of wells": saved(
        with_units(frame().set_index(pd.Index(np.arange(N), name="well")).to_xarray())
    ),
    "netCDF4": by_hand(mask=False),
    "netCDF4, big-endian": by_hand(">f8", mask=False, endian="big"),
    "netCDF-4 classic": by_hand(mask=False, form="NETCDF4_CLASSIC"),
    "netCDF-3": by_hand(mask=False, form="NETCDF3_CLASSIC"),
    "netCDF-3, 64-bit": by_hand(mask=False, form="NETCDF3_64BIT_OFFSET"),
    "MATLAB, a row": by_hand(mask=False, dims=("one", "obs")),
    "MATLAB, a column": by_hand(mask=False, dims=("obs", "one")),
    "R, fill value stated": by_hand(mask=False, fill=-1e30, attrs={"missing_value": -1e30}),
    "range that holds all": by_hand(mask=False, attrs={"valid_range": np.array([-1.0, 1.0])}),
    "units with blanks": lambda path: spoiled(path, u=" m "),
    "two sigma": saved(
        plain(u_sigma=("obs", 2 * SIGMA, {**METRE, "standard_error_multiplier": 2.0}))
    ),
    "flag 0 is good": flag("u_qc", np.zeros(N)),
    "flag 1 is good": flag("quality", np.ones(N), **QARTOD),
}  # fmt: skip

WITHOUT = {
    "NaN": saved(plain(u=holed())),
    "xarray, fill value": saved(plain(u=holed()), {"u": {"_FillValue": -9999.0}}),
    "xarray, missing_value": saved(plain(u=holed(-999.0, missing_value=-999.0))),
    "netCDF4, default fill, f8": by_hand(),
    "netCDF-3, default fill, f8": by_hand(form="NETCDF3_CLASSIC"),
    "R, fill value -1e30": by_hand(fill=-1e30, attrs={"missing_value": -1e30}),
    "MATLAB, a column with NaN": by_hand(mask=False, dims=("obs", "one"),
                                         more=lambda f: f["u"].__setitem__((LOST, 0), np.nan)),
    "valid_max": saved(plain(u=holed(1e20, valid_max=1.0))),
    "valid_min": saved(plain(u=holed(-99.0, valid_min=-1.0))),
    "valid_range": saved(plain(u=holed(5.0, valid_range=np.array([-1.0, 1.0])))),
    "u_qc": flag("u_qc", 4 * HOLE),
    "status flag of CF": flag("u_flag", 4 * HOLE, **STATUS),
    "QARTOD": flag("quality", np.where(HOLE, 4, 1), **QARTOD),
    "flag of bits": flag("bits", 2 * HOLE, flag_masks=np.array([1, 2], "i1"),
                         flag_meanings="frozen spike"),
}  # fmt: skip

ROUNDED = {
    "f4": (by_hand("f4", mask=False), 1e-8),
    "f4, default fill": (by_hand("f4"), 1e-8),
    "f4, range": (by_hand("f4", attrs={"valid_max": 0.5}), 1e-8),
    "i2, packed": (by_hand("i2", mask=False, scale=PACK), 3e-6),
    "i2, packed, default fill": (by_hand("i2", scale=PACK), 3e-6),
    "i4, packed, default fill": (by_hand("i4", scale=(1e-9, 0.0)), 1e-8),
    "i2, packed, range of packed": (
        by_hand("i2", scale=PACK, attrs={"valid_range": np.array([-30000, 30000], "i2")}), 3e-6,
    ),
    "i2, packed, range of real": (
        by_hand("i2", scale=PACK, attrs={"valid_range": np.array([-1.0, 1.0])}), 3e-6,
    ),
}  # fmt: skip

REFUSED = {
    "infinite": (saved(plain(u=holed(np.inf))), r"datum 5 of 'u' is infinite; correct it, or"),
    "in feet": (lambda p: spoiled(p, u="ft"), "'u' has units 'ft', the problem works in 'm'"),
    "places in km": (lambda p: spoiled(p, x="km"), "'x' has units 'km', the problem works in 'm'"),
    "no units": (saved(frame().to_xarray()), "'u' has no units attribute; expected 'm'"),
    "text": (saved(plain(u=("obs", U.astype(str), METRE))), "'u' must hold numbers, got the type"),
    "another name": (saved(plain().rename(u="head")), "variable 'u' is missing; found"),
    "no places": (saved(plain().drop_vars("x")), "variable 'x' is missing"),
    "no noise": (saved(plain().drop_vars("u_sigma")), "no noise given for 'u'"),
    "a map": (
        saved(plain(u=(("a", "b"), U.reshape(4, 4), METRE))), "must have the one dimension obs",
    ),
    "no range": (saved(plain(u=holed(valid_range="all"))), "'u': valid_range must be two numbers"),
    "meanings unknown": (
        flag("u_qc", np.ones(N), flag_values=np.array([0, 1], "i1"), flag_meanings="raw checked"),
        "'u_qc' does not say which data are good; its flag_meanings are raw checked",
    ),
    "spreadsheet": (lambda p: frame().to_csv(p), "as NetCDF-4; it is of another format"),
}  # fmt: skip


def check(found, kept, atol=0.0):
    np.testing.assert_allclose(found.values, U[kept], rtol=0, atol=atol)
    np.testing.assert_array_equal(found.coords["x"], X[kept])
    np.testing.assert_array_equal(found.coords["y"], Y[kept])
    np.testing.assert_array_equal(found.noise.std, SIGMA[kept])
    assert found.n_dropped == N - len(U[kept])


@pytest.mark.parametrize("name", SAME)
def test_readings_are_the_same_whoever_wrote_them(name, tmp_path):
    SAME[name](tmp_path / "obs.nc")
    check(read(tmp_path / "obs.nc", HEAD), np.full(N, True))


@pytest.mark.parametrize("name", WITHOUT)
def test_a_missing_reading_is_dropped_however_it_is_marked(name, tmp_path):
    WITHOUT[name](tmp_path / "obs.nc")
    check(read(tmp_path / "obs.nc", HEAD), ~HOLE)


@pytest.mark.parametrize("name", ROUNDED)
def test_readings_in_few_digits_are_those_to_these_digits(name, tmp_path):
    write, atol = ROUNDED[name]
    write(tmp_path / "obs.nc")
    found = read(tmp_path / "obs.nc", HEAD)
    check(found, np.full(N, True) if found.size == N else ~HOLE, atol)
    assert (found.size == N) == (name in {"f4", "i2, packed"})


@pytest.mark.parametrize("name", REFUSED)
def test_what_may_be_misread_is_refused_in_one_line(name, tmp_path):
    write, message = REFUSED[name]
    write(tmp_path / "obs.nc")
    with pytest.raises(DataSchemaError, match=message) as caught:
        read(tmp_path / "obs.nc", HEAD)
    assert "obs.nc" in str(caught.value)
    assert "\n" not in str(caught.value)


def series(**changes):
    """Four stations at four times."""
    dims = ("station", "time")
    data = {
        "u": (dims, U.reshape(4, 4), {"units": "K"}),
        "u_cov": (("obs", "obs_2"), COV, {"units": "K2"}),
        "x": ("station", [0.1, 0.2, 0.3, 0.4], METRE),
        "y": ("station", [0.5, 0.6, 0.7, 0.8], METRE),
        "time": ("time", [1.0, 2.0, 3.0, 4.0], {"units": "s"}),
    }
    return xr.Dataset({**data, **changes}, attrs={"featureType": "timeSeries"})


def turned():
    """The same, times first, as MATLAB and Fortran have it."""
    order = np.arange(N).reshape(4, 4).T.ravel()
    cov = (("obs", "obs_2"), COV[np.ix_(order, order)], {"units": "K2"})
    return series(u_cov=cov).transpose("time", "station", ...)


SERIES = {
    "station first": series(),
    "time first": turned(),
    "times of each station": series().drop_vars("time").assign(
        time=(("station", "time"), np.tile([1.0, 2.0, 3.0, 4.0], (4, 1)), {"units": "s"})
    ),
    "names of stations": series(name=("station", list("abcd"))),
    "featureType in lower case": series().assign_attrs(featureType="timeseries"),
}  # fmt: skip

SERIES_REFUSED = {
    "dates": (
        series(time=("time", np.arange("2024-03-31", "2024-04-04", dtype="M8[D]"))),
        r"'time' holds dates \('days since .*'\); expected numbers in 's', counted from the start",
    ),
    "dates of another calendar": (
        series(time=("time", np.arange(4.0), {"units": "days since 0-0-0", "calendar": "none"})),
        "'time' holds dates",
    ),
    "seconds": (
        series(time=("time", np.arange(4.0), {"units": "seconds"})),
        "'time' has units 'seconds', the problem works in 's'",
    ),
    "no feature type": (
        series().drop_attrs(deep=False), "times of stations need the global attribute featureType",
    ),
    "a time that is missing": (
        series(time=("time", [1.0, np.nan, 3.0, 4.0], {"units": "s"})),
        "coordinate 'time' of datum 1 is not finite; correct it",
    ),
    "noise over other dimensions": (
        series(u_sigma=("obs", SIGMA, {"units": "K"})),
        r"'u_sigma' must have the dimensions of 'u', \(station, time\), got \('obs',\)",
    ),
    "covariance of another size": (
        series(u_cov=(("a", "b"), np.eye(4))), "'u_cov' must be 16 x 16 numbers, in the order of",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SERIES)
def test_series_are_the_same_in_any_order(name, tmp_path):
    SERIES[name].to_netcdf(tmp_path / "obs.nc")
    found = read(tmp_path / "obs.nc", WARMTH)
    np.testing.assert_array_equal(found.values, U)
    np.testing.assert_array_equal(found.coords["t"], np.tile([1.0, 2.0, 3.0, 4.0], 4))
    np.testing.assert_array_equal(found.coords["x"], np.repeat([0.1, 0.2, 0.3, 0.4], 4))
    np.testing.assert_array_equal(found.noise.covariance, COV)


@pytest.mark.parametrize("name", SERIES_REFUSED)
def test_series_that_may_be_misread_are_refused_in_one_line(name, tmp_path):
    dataset, message = SERIES_REFUSED[name]
    dataset.to_netcdf(tmp_path / "obs.nc")
    with pytest.raises(DataSchemaError, match=message) as caught:
        read(tmp_path / "obs.nc", WARMTH)
    assert "\n" not in str(caught.value)


TABLE = Observed("v", "V", "voltage", {"i": "1", "k": "1"}, ("i", "k"))
SEEN = np.arange(N).reshape(4, 4) % 5 != 2


def voltages(dims=("i", "k"), cov=None, **changes):
    values = np.where(SEEN, U.reshape(4, 4), np.nan)
    data = {"v": (("i", "k"), values, {"units": "V"}), **changes}
    dataset = xr.Dataset(data).transpose(*dims)
    return dataset if cov is None else dataset.assign(v_cov=(("a", "b"), cov))


@pytest.mark.parametrize("first", ["i", "k"])
@pytest.mark.parametrize("whole", [False, True])
def test_a_covariance_of_a_table_is_that_of_the_values_as_they_stand(first, whole, tmp_path):
    places = np.arange(N).reshape(4, 4)
    dims = ("i", "k") if first == "i" else ("k", "i")
    in_file = (places if first == "i" else places.T).ravel()
    kept = in_file if whole else in_file[SEEN.ravel()[in_file]]
    voltages(dims, COV[np.ix_(kept, kept)]).to_netcdf(tmp_path / "obs.nc")
    found = read(tmp_path / "obs.nc", TABLE)
    seen = places[SEEN]
    np.testing.assert_array_equal(found.values, U[seen])
    np.testing.assert_array_equal(found.noise.covariance, COV[np.ix_(seen, seen)])


def test_a_covariance_goes_before_standard_deviations_in_every_layout(tmp_path):
    sigma = (("i", "k"), np.full((4, 4), 7.0), {"units": "V"})
    seen = np.arange(N)[SEEN.ravel()]
    voltages(cov=COV[np.ix_(seen, seen)], v_sigma=sigma).to_netcdf(tmp_path / "obs.nc")
    assert read(tmp_path / "obs.nc", TABLE).noise.covariance is not None
    voltages(cov=np.eye(3)).to_netcdf(tmp_path / "bad.nc")
    with pytest.raises(DataSchemaError, match="'v_cov' must be 13 x 13 numbers, in the order of"):
        read(tmp_path / "bad.nc", TABLE)


def test_an_infinite_voltage_is_refused_too(tmp_path):
    values = np.where(SEEN, U.reshape(4, 4), np.inf)
    dataset = voltages(v=(("i", "k"), values, {"units": "V"}))
    dataset.to_netcdf(tmp_path / "obs.nc")
    with pytest.raises(DataSchemaError, match="datum 2 of 'v' is infinite"):
        read(tmp_path / "obs.nc", TABLE, NoiseSpec(std=1.0))


@pytest.mark.parametrize("units", ["m2", "m^2", "(m)^2", "m**2", "m m", "m²", " m2 ", None])
def test_a_covariance_has_the_square_of_the_units(units, tmp_path):
    attrs = {} if units is None else {"units": units}
    plain(u_cov=(("obs", "obs_2"), COV, attrs)).to_netcdf(tmp_path / "obs.nc")
    np.testing.assert_array_equal(read(tmp_path / "obs.nc", HEAD).noise.covariance, COV)


@pytest.mark.parametrize("units", ["mm2", "m", "cm^2", "m s-1", "1"])
def test_a_covariance_in_other_units_is_refused(units, tmp_path):
    plain(u_cov=(("obs", "obs_2"), COV, {"units": units})).to_netcdf(tmp_path / "obs.nc")
    with pytest.raises(DataSchemaError, match=r"'u_cov' has units '.*', expected '\(m\)\^2'"):
        read(tmp_path / "obs.nc", HEAD)


PROBLEM = {
    "name": "darcy",
    "cells": 8,
    "unknown": {"kind": "log-gaussian", "length": 0.4, "modes": 4, "grid": [9, 9]},
}


def point(write, folder):
    """The most probable unknown by a real inversion."""
    write(folder / "obs.nc")
    tables = {"seed": 1, "problem": PROBLEM, "engine": {"name": "laplace", "starts": 1}}
    tree = invert(Inversion.resolve(tables, folder / "obs.nc"), folder / "out.nc", overwrite=True)
    return tree["unconstrained_posterior"]["xi"].values


def test_the_inversion_is_the_same_where_the_readings_are(tmp_path):
    full, lost = (point(t, tmp_path) for t in (SAME["xarray"], WITHOUT["NaN"]))
    np.testing.assert_array_equal(point(SAME["MATLAB, a row"], tmp_path), full)
    np.testing.assert_array_equal(point(WITHOUT["netCDF4, default fill, f8"], tmp_path), lost)
    np.testing.assert_array_equal(point(WITHOUT["status flag of CF"], tmp_path), lost)
    np.testing.assert_allclose(point(ROUNDED["f4"][0], tmp_path), full, atol=1e-3)
    assert np.abs(full - lost).max() > 0.01
