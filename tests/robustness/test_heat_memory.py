"""A long run stays within the memory that --dry-run predicts."""

import pytest

from tests.helpers.peaks import pdeinv, predicted_and_measured

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


@pytest.mark.slow
@pytest.mark.parametrize("memory", [512, 10])
def test_the_peak_of_a_thousand_steps_is_as_predicted_and_under_a_gigabyte(memory, tmp_path):
    config, truth, obs = (tmp_path / n for n in ("heat.toml", "truth.nc", "obs.nc"))
    config.write_text(HEAT.format(memory=memory))
    pdeinv("solve", "--config", config, "--level", 0, "--out", truth)
    sensors = ("--sensors", "grid:5@0.1:1:10", "--noise-rel", 0.02)
    pdeinv("observe", truth, *sensors, "--seed", 2, "--out", obs)
    words = ("invert", obs, "--engine", "map", "--seed", 3, "--out", tmp_path / "map.nc")
    predicted, measured = predicted_and_measured(*words)
    assert measured < 1e9
    assert predicted / 1.5 < measured < 1.5 * predicted
