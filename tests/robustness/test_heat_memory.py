"""A long run stays within the memory that --dry-run predicts."""

import json
import subprocess
import sys

import pytest

HEAT = """
seed = 1
[problem]
name = "heat"
cells = 64
initial = "sin(pi*x)*sin(pi*y)"
[problem.time]
steps = 1000
memory_mb = {memory}
[problem.unknown]
kind = "conductivity"
prior = {{ kind = "log-gaussian", mean = -3.0, std = 0.5, length = 0.5, modes = 3, grid = [9, 9] }}
"""

PEAK = """
import resource, subprocess, sys
done = subprocess.run([sys.executable, "-m", "pdeinv", *sys.argv[1:]], capture_output=True)
if done.returncode:
    sys.exit(done.stderr.decode())
scale = 1 if sys.platform == "darwin" else 1024
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * scale)
"""


def pdeinv(*words):
    command = [sys.executable, "-m", "pdeinv", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
@pytest.mark.parametrize("memory", [512, 10])
def test_the_peak_of_a_thousand_steps_is_as_predicted_and_under_a_gigabyte(memory, tmp_path):
    config, truth, obs = (tmp_path / n for n in ("heat.toml", "truth.nc", "obs.nc"))
    config.write_text(HEAT.format(memory=memory))
    pdeinv("solve", "--config", config, "--level", 0, "--out", truth)
    sensors = ("--sensors", "grid:5@0.1:1:10", "--noise-rel", 0.02)
    pdeinv("observe", truth, *sensors, "--seed", 2, "--out", obs)
    words = ("invert", obs, "--engine", "map", "--seed", 3, "--out", tmp_path / "map.nc")
    predicted = (
        1e6 * json.loads(pdeinv(*words, "--dry-run", "--json"))["peak memory per process (MB)"]
    )
    command = [sys.executable, "-c", PEAK, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    measured = float(done.stdout)
    assert measured < 1e9
    assert predicted / 1.5 < measured < 1.5 * predicted
