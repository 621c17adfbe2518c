"""A search through seismic waves stays within the memory that --dry-run predicts."""

import pytest

from tests.helpers.peaks import pdeinv, predicted_and_measured

RUN = """
seed = 1
[problem]
name = "seismic"
cells = 12
model = "{model}"
[problem.deepwave]
spacing = 4.0
[problem.time]
memory_mb = {memory}
[engine]
name = "map"
method = "lbfgs"
starts = 1
max_iterations = 2
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "memory"), [("deepwave", 2000), ("deepwave", 250), ("spectral-elements", 100)]
)
def test_the_peak_is_as_predicted_whether_or_not_all_states_are_kept(model, memory, tmp_path):
    """All states of deepwave take 1.2 GB here."""
    if model == "deepwave":
        pytest.importorskip("deepwave")
    config, truth, obs = (tmp_path / n for n in ("run.toml", "truth.nc", "obs.nc"))
    config.write_text(RUN.format(model=model, memory=memory))
    pdeinv("solve", "--config", config, "--level", 0, "--out", truth)
    pdeinv("observe", truth, "--sensors", "all", "--noise-rms", 0.05, "--seed", 2, "--out", obs)
    words = ("invert", obs, "--config", config, "--seed", 3, "--out", tmp_path / "map.nc")
    predicted, measured = predicted_and_measured(*words)
    assert predicted / 1.5 < measured < 1.5 * predicted
