"""Sizes that cannot fit are refused at once, with the memory that they would take."""

import re

import pytest
import xarray as xr

from pdeinv.errors import ConfigError
from pdeinv.memory import capacity, check_fits, ran_out

SOLVE = ("solve", "darcy", "--out", "new.nc")
GENERATE = ("generate", "--config", "small.toml", "--out", "new.nc")
INVERT = ("invert", "obs.nc", "--out", "new.nc")
TRAIN = ("train-surrogate", "--data", "data.nc", "--out", "new")
WORDS = {
    "level": (*SOLVE, "--level", 9999),
    "cells": (*SOLVE, "--set", "problem.cells=1000000"),
    "heat": ("solve", "heat", "--level", 30, "--out", "new.nc"),
    "helmholtz": ("solve", "helmholtz", "--level", 30, "--out", "new.nc"),
    "eit": ("solve", "eit", "--level", 30, "--out", "new.nc"),
    "cells of eit": ("solve", "eit", "--set", "problem.cells=1000000", "--out", "new.nc"),
    "level of an inversion": (*INVERT, "--engine", "map", "--set", "level=40"),
    "level to check": ("check", "darcy", "--level", 40),
    "grid of the unknown": (
        *SOLVE, "--set", "problem.unknown.kind='log-gaussian'",
        "--set", "problem.unknown.grid=[1000000, 1000000]",
    ),
    "cells of the unknown": (
        *SOLVE, "--set", "problem.unknown.kind='piecewise'",
        "--set", "problem.unknown.cells=[1000000, 1000000]",
    ),
    "sensors": ("generate", "heat", "--set", "problem.lengths=[1.0, 1.0, 1.0]", "--n", 1,
                "--sensors", "grid:9999x9999x9999", "--out", "new.nc"),
    "samples": (*GENERATE, "--sensors", "grid:3x3", "--n", 10**12),
    "a hypercube": (*GENERATE, "--sensors", "grid:3x3", "--design", "lhs", "--n", 10**9),
    "a hypercube of draws": (*GENERATE, "--prior-only", "--design", "lhs", "--n", 10**9),
    "samples on a grid": (*GENERATE, "--sensors", "grid:3x3", "--n", 9, "--grid", "999999x999999"),
    "workers of generate": (*GENERATE, "--sensors", "grid:3x3", "--n", 9, "--workers", 100000),
    "workers": (*INVERT, "--engine", "pcn", "--workers", 100000),
    "chains": (*INVERT, "--engine", "pcn", "--chains", 10**4, "--draws", 10**8),
    "draws": (*INVERT, "--engine", "hmc", "--draws", 10**11),
    "walkers": (*INVERT, "--engine", "emcee", "--set", "engine.walkers=1000000000"),
    "members": (*INVERT, "--engine", "eki", "--set", "engine.ensemble_size=10000000000"),
    "Laplace": (*INVERT, "--engine", "laplace", "--set", "engine.draws=10000000000"),
    "Gaussian": (*INVERT, "--engine", "gaussian", "--set", "engine.draws=10000000000"),
    "network": (*TRAIN, "latent", "--set", "surrogate.widths=[300000, 300000]"),
    "devices": (*TRAIN, "latent", "--devices", 100000),
    "time steps": ("solve", "heat", "--set", "problem.time.steps=10000000", "--out", "new.nc"),
    "width of a PINN": (*SOLVE, "--solver", "pinn", "--set", "solver.width=200000"),
}  # fmt: skip


@pytest.mark.parametrize("what", WORDS)
def test_a_size_that_cannot_fit_is_refused_at_once(what, call, work):
    if "data.nc" in WORDS[what]:
        made = call(*GENERATE[:3], "--sensors", "grid:3x3", "--n", 20, "--out", "data.nc")
        assert made.exit_code == 0, made.stderr
    said = call(*WORDS[what], "--seed", 1)
    assert said.exit_code == 2, said.stderr
    (line,) = [line for line in said.stderr.splitlines() if line.startswith("error")]
    assert re.search(r"\d [GT]B of memory|\d [GT]B, and the disk", line)
    assert "would take at least" in line
    assert not list(work.glob("new*"))


def test_a_grid_to_compare_on_that_cannot_fit_is_refused_at_once(call, work):
    """The places of one grid alone would fit."""
    made = call("invert", "obs.nc", "--engine", "map", "--seed", 1, "--out", "map.nc")
    assert made.exit_code == 0, made.stderr
    nodes = int((capacity() / 50) ** 0.5)
    said = call("score", "map.nc", "--truth", "truth.nc", "--grid", nodes)
    assert said.exit_code == 2
    assert f"error: a grid of ({nodes}, {nodes}) nodes would take at least" in said.stderr


@pytest.mark.parametrize("what", ["samples", "a hypercube", "chains", "workers", "draws"])
def test_a_dry_run_refuses_the_same(what, call, work):
    said = call(*WORDS[what], "--seed", 1, "--dry-run")
    assert said.exit_code == 2, said.stderr
    assert "would take at least" in said.stderr


@pytest.mark.parametrize(
    ("engine", "option", "remedy"),
    [
        ("dps", "particles", "lower chains or particles"),
        ("eki", "ensemble_size", "lower ensemble_size"),
        ("laplace", "draws", "lower draws"),
        ("emcee", "walkers", "lower draws, ensembles or walkers, or raise thin"),
        ("pcn", "draws", "lower draws or chains, or raise thin"),
    ],
)
def test_too_many_draws_are_told_by_the_options_of_the_engine(engine, option, remedy, call, work):
    words = ("--engine", engine, "--set", f"engine.{option}=1e10", "--dry-run")
    said = call("invert", "obs.nc", *words, "--out", "new.nc")
    assert said.exit_code == 2
    assert said.stderr.endswith(f"; {remedy}\n")


@pytest.mark.usefixtures("solves_here")
def test_an_allocation_that_fails_is_one_line(call, work, monkeypatch):
    def fails(*_, **__):
        raise MemoryError("Unable to allocate 7.28 TiB for an array")

    monkeypatch.setattr(xr.DataTree, "to_netcdf", fails)
    said = call(*SOLVE, "--config", "small.toml", "--seed", 1)
    assert said.exit_code == 1
    assert said.stderr.startswith("error: out of memory (Unable to allocate 7.28 TiB")
    assert not list(work.glob("new*"))


def test_only_what_says_so_is_taken_for_a_lack_of_memory():
    assert ran_out(MemoryError())
    assert ran_out(OSError(12, "Cannot allocate memory"))
    assert ran_out(ImportError("libtorch.so: failed to map segment from shared object"))
    assert ran_out(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
    assert not ran_out(RuntimeError("shapes differ"))
    assert not ran_out(OSError(2, "No such file"))


def test_what_fits_is_let_through():
    check_fits("all of it", capacity(), "")
    with pytest.raises(ConfigError, match="one byte more would take at least"):
        check_fits("one byte more", capacity() + 1, "")
