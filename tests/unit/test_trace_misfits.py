"""Misfits along the time of traces: slopes, curvatures, densities, filters, files and refusals."""

import numpy as np
import pytest
import xarray as xr

from pdeinv.bayes.causal import Causal
from pdeinv.bayes.correlation import Correlation
from pdeinv.bayes.envelope import Envelope
from pdeinv.bayes.filtered import in_band
from pdeinv.bayes.likelihood import LikelihoodKind
from pdeinv.bayes.misfits import MisfitConfig, judged, noise_behind
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.passband import InBand
from pdeinv.bayes.sobolev import Sobolev
from pdeinv.errors import CapabilityError, ConfigError, DataSchemaError
from pdeinv.io import netcdf
from pdeinv.io.observations import Observations, read, to_dataset
from pdeinv.jobs.invert.silent import silent
from pdeinv.model.observed import Observed
from pdeinv.model.traces import traces_of

STEP, PLACES, SAMPLES = 0.05, 3, 40
RECORDS = Observed("u", "Pa", "pressure", {"receiver": "1", "time": "s"}, ("receiver", "time"))
RNG = np.random.default_rng(5)


def coords(*, gaps=True):
    receiver = np.repeat(np.arange(PLACES, dtype=float), SAMPLES)
    time = np.tile(STEP * np.arange(1, SAMPLES + 1), PLACES)
    kept = np.ones(len(time), bool)
    kept[[7, 8, 50, 119]] = not gaps
    return {"receiver": receiver[kept], "time": time[kept]}


def waves(at, late=0.0):
    t, x = at["time"] - late, at["receiver"]
    return np.sin(2 * np.pi * (2 + x) * t) * np.exp(-(((t - 0.8 - 0.1 * x) / 0.3) ** 2))


AT = coords()
Y = waves(AT) + 0.02 * RNG.standard_normal(len(AT["time"]))
G = waves(AT, 0.07)
NOISE = Noise(0.05 * (1 + 0.3 * AT["receiver"]))
TABLES = {
    "band": {"above": 1.0, "below": 6.0},
    "sobolev": {"kind": "sobolev", "power": -1.5, "corner": 1.0},
    "sobolev in a band": {"kind": "sobolev", "above": 0.7},
    "envelope": {"kind": "envelope"},
    "envelope in a band": {"kind": "envelope", "below": 5.0},
    "correlation": {"kind": "correlation"},
    "correlation in a band": {"kind": "correlation", "above": 1.0, "order": 2},
}
SCORES = [name for name in TABLES if name.startswith(("env", "corr"))]


def law_of(name, noise=NOISE, at=AT):
    return judged(MisfitConfig(**TABLES[name]), noise, at)


@pytest.fixture(params=TABLES, name="law")
def _law(request):
    return law_of(request.param)


def test_the_slope_is_that_of_the_misfit(law):
    value, slope = law.slope(G, Y)
    assert value == law.misfit(G, Y) > 0
    v = np.random.default_rng(1).standard_normal(len(G))
    off = []
    for h in (1e-2, 1e-3):
        off.append(abs(law.misfit(G + h * v, Y) - value - h * (slope @ v)))
    assert np.log10(off[0] / off[1]) > 1.9


def test_a_row_has_the_bits_of_itself_alone(law):
    both = np.stack([G, Y, G])
    values, slopes = law.slope(both, Y)
    alone = law.slope(G, Y)
    assert values[0] == values[2] == alone[0]
    np.testing.assert_array_equal(slopes[2], alone[1])


def test_whitening_has_its_transpose(law):
    rng = np.random.default_rng(2)
    fisher = law.fisher(G)
    v, w = rng.standard_normal((2, len(G)))
    assert fisher.whiten(v) @ w == pytest.approx(v @ fisher.whiten_transpose(w), rel=1e-12)


def test_the_fisher_information_is_the_curvature_where_the_data_are_fitted(law):
    v, h = np.random.default_rng(3).standard_normal(len(G)), 1e-4
    curved = (law.slope(Y + h * v, Y)[1] - law.slope(Y - h * v, Y)[1]) @ v / (2 * h)
    white = law.fisher(Y).whiten(v)
    assert white @ white == pytest.approx(curved, rel=1e-5)


@pytest.mark.parametrize("name", SCORES)
def test_scores_have_no_density(name):
    law = law_of(name)
    assert law.kind is LikelihoodKind.SCORE
    for call in (lambda: law.draw(G[None], RNG), lambda: law.log_density(G, Y)):
        with pytest.raises(CapabilityError, match="has no density"):
            call()
    assert law.tempered(4.0).misfit(G, Y) == pytest.approx(law.misfit(G, Y) / 4, rel=1e-12)


def test_an_envelope_does_not_see_the_phase_and_a_correlation_not_the_strength():
    time = {"time": STEP * np.arange(400)}
    carrier = 2 * np.pi * 3 * time["time"]
    bell = np.exp(-(((time["time"] - 10) / 1.5) ** 2))
    noise = Noise(np.full(400, 0.05))
    envelope = judged(MisfitConfig(kind="envelope"), noise, time)
    same = envelope.misfit(bell * np.sin(carrier), bell * np.cos(carrier))
    assert same < 1e-3 * noise.misfit(bell * np.sin(carrier), bell * np.cos(carrier))
    correlation = judged(MisfitConfig(kind="correlation"), noise, time)
    y = bell * np.sin(carrier)
    assert correlation.misfit(7 * y, y) < 1e-6 * correlation.misfit(-y, y)
    assert correlation.misfit(-y, y) == pytest.approx(2 * float(y @ y) / 0.05**2)


def test_a_prediction_of_nothing_has_a_slope_of_nothing_and_no_nan():
    for name in SCORES:
        value, slope = law_of(name).slope(np.zeros(len(Y)), Y)
        assert np.isfinite(value)
        assert np.isfinite(slope).all()
    value, slope = law_of("correlation").slope(np.zeros(len(Y)), np.zeros(len(Y)))
    assert value == 0
    assert not slope.any()


def test_low_frequencies_widen_the_valley_of_a_shift():
    """Least squares of one wave have side minima; H^-2 and envelopes see over the first."""
    time = {"time": 0.01 * np.arange(600)}
    t, late = time["time"], np.linspace(0.0, 2.0, 201)

    def wave(shift):
        x = t - 3 - shift
        return (1 - 2 * (np.pi * 2 * x) ** 2) * np.exp(-((np.pi * 2 * x) ** 2))

    def valley(law):
        rises = np.diff([float(law.misfit(wave(s), wave(0.0))) for s in late]) > 0
        return late[len(rises) if rises.all() else np.argmin(rises)]

    noise = Noise(np.full(600, 0.1))
    low = MisfitConfig(kind="sobolev", power=-3, corner=0.3)
    assert valley(noise) == pytest.approx(0.22)
    assert valley(judged(MisfitConfig(kind="correlation"), noise, time)) == pytest.approx(0.22)
    assert valley(judged(low, noise, time)) == pytest.approx(0.82)
    assert valley(judged(MisfitConfig(kind="envelope"), noise, time)) == 2.0


def test_the_sobolev_noise_is_a_density():
    law = law_of("sobolev")
    n = law.size
    w = np.array([law.whiten(e) for e in np.eye(n)]).T
    gamma = np.linalg.inv(w.T @ w)
    np.testing.assert_allclose(np.sqrt(np.diag(gamma)), law.std, rtol=1e-9)
    full = Noise.from_covariance((gamma + gamma.T) / 2)
    np.testing.assert_allclose(law.misfit(G, Y), full.misfit(G, Y), rtol=1e-9)
    np.testing.assert_allclose(law.log_density(G, Y), full.log_density(G, Y), rtol=1e-7)
    assert law.log_volume == pytest.approx(full.log_volume)
    white = np.random.default_rng(6).standard_normal((5, n))
    np.testing.assert_allclose(law.whiten(law.colored(white)), white, atol=1e-10)
    assert law.largest_misfit(lambda: G) == full.largest_misfit(lambda: G)
    assert law.tempered(3.0).misfit(G, Y) == pytest.approx(law.misfit(G, Y) / 3)
    np.testing.assert_array_equal(noise_behind(law).std, NOISE.std)


def test_a_band_expects_what_it_has_of_the_noise():
    law, draws = law_of("band"), np.random.default_rng(7)
    eta = NOISE.sample(draws, 4000)
    misfit = law.misfit(eta, np.zeros(law.size))
    expected = 0.5 * law.along.counts[0]
    assert np.mean(misfit) == pytest.approx(expected, rel=0.05)
    assert expected < 0.5 * 0.5 * law.size
    assert f"{expected:.4g} is expected" in law.expectation
    share = float(np.mean(misfit > law.largest_misfit(lambda: G)))
    assert share < 0.01
    assert np.quantile(misfit, 0.99) > 0.75 * law.largest_misfit(lambda: G)


def test_a_band_with_nothing_but_noise_is_told():
    law, eta = law_of("band"), NOISE.sample(np.random.default_rng(3), 1)[0]
    (line,) = silent(Observations(RECORDS, eta, AT, law))
    assert "no more than their noise" in line
    assert silent(Observations(RECORDS, Y, AT, law)) == ()
    assert silent(Observations(RECORDS, eta, AT, NOISE)) == ()


def test_a_band_is_triangular_in_time():
    law = law_of("band")
    order = np.lexsort((AT["time"], AT["receiver"]))
    f = np.array([law.along.filter(e) for e in np.eye(law.size)[order]]).T[order]
    np.testing.assert_array_equal(np.triu(f, 1), 0)
    w = np.array([law.whiten(e) for e in np.eye(law.size)]).T
    assert law.log_volume == pytest.approx(-np.linalg.slogdet(w)[1], rel=1e-6)
    np.testing.assert_allclose(law._precision_diagonal, np.sum(w**2, axis=0), rtol=1e-9)


def test_gaps_part_traces():
    traces = traces_of(AT, "this")
    assert traces.shape == (3, 40)
    assert sorted(len(r) for rows in traces.pieces() for r in rows) == [7, 10, 29, 31, 39]
    np.testing.assert_array_equal(traces.take(traces.put(Y)), Y)


@pytest.mark.parametrize(
    ("at", "message"),
    [
        ({"x": np.arange(3.0)}, "needs data with a time"),
        ({"time": np.zeros(3), "x": np.arange(3.0)}, "these have one"),
        ({"time": np.array([0.0, 1, 2, 2.4])}, "equal steps"),
        ({"time": np.array([0.0, 1, 2, 2])}, "there twice"),
    ],
)
def test_data_that_are_no_traces_are_refused(at, message):
    with pytest.raises(CapabilityError, match=message):
        judged(
            MisfitConfig(kind="envelope"),
            Noise(np.ones(len(at["time" if "time" in at else "x"]))),
            at,
        )


def test_corners_that_the_sampling_does_not_hold_are_refused():
    with pytest.raises(ConfigError, match=r"below 10; choose"):
        judged(MisfitConfig(below=12.0), NOISE, AT)
    with pytest.raises(ConfigError, match="above < below"):
        judged(MisfitConfig(below=2.0, above=3.0), NOISE, AT)
    full = Noise.from_covariance(np.diag(NOISE.std**2))
    with pytest.raises(ConfigError, match="these have a covariance"):
        law = judged(MisfitConfig(kind="envelope"), full, AT)
    law = judged(MisfitConfig(above=1.0), full, AT)
    np.testing.assert_allclose(
        law.misfit(G, Y), judged(MisfitConfig(above=1.0), NOISE, AT).misfit(G, Y)
    )


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"power": -1.0}, "go with kind 'sobolev'"),
        ({"kind": "envelope", "corner": 2.0}, "got kind 'envelope'"),
        ({"order": 3}, "order goes with above or below"),
    ],
)
def test_keys_of_other_misfits_are_refused(table, message):
    with pytest.raises(ValueError, match=message):
        MisfitConfig(**table)


def test_a_stage_of_additive_noise_is_such_noise_and_of_a_score_a_score():
    low = Causal(traces_of(AT, "this"), below=3.0)
    assert isinstance(in_band(NOISE, low).along, InBand)
    staged, law = in_band(law_of("envelope"), low), law_of("envelope")
    assert staged.misfit(G, Y) == law.misfit(low(G), low(Y))
    v = np.random.default_rng(8).standard_normal(len(G))
    value, slope = staged.slope(G, Y)
    h = 1e-6
    ahead = (staged.misfit(G + h * v, Y) - staged.misfit(G - h * v, Y)) / (2 * h)
    assert slope @ v == pytest.approx(ahead, rel=1e-5)
    assert value > 0


@pytest.fixture(name="path")
def _path(tmp_path):
    return tmp_path / "obs.nc"


@pytest.mark.parametrize("name", TABLES)
def test_files_keep_the_misfit(path, name):
    law = law_of(name)
    netcdf.write(path, to_dataset(Observations(RECORDS, Y, AT, law), {}))
    found = read(path, RECORDS)
    assert type(found.likelihood) is type(law)
    order = np.lexsort((found.coords["time"], found.coords["receiver"]))
    np.testing.assert_array_equal(found.values[order], Y)
    np.testing.assert_allclose(found.likelihood.misfit(G, Y), law.misfit(G, Y), rtol=1e-12)


def test_a_run_replaces_the_misfit_of_a_file(path):
    netcdf.write(path, to_dataset(Observations(RECORDS, Y, AT, law_of("envelope")), {}))
    found = read(path, RECORDS).judged_by(MisfitConfig(kind="sobolev", power=-2))
    assert isinstance(found.likelihood.along, Sobolev)
    back = found.judged_by(MisfitConfig(kind="least-squares"))
    np.testing.assert_array_equal(back.likelihood.std, NOISE.std)
    assert isinstance(found.judged_by(MisfitConfig(kind="correlation")).likelihood, Correlation)
    assert isinstance(read(path, RECORDS).judged_by(MisfitConfig()).likelihood, Envelope)


def test_wrong_attributes_are_refused(path):
    netcdf.write(path, to_dataset(Observations(RECORDS, Y, AT, law_of("sobolev")), {}))
    dataset = xr.load_dataset(path)
    for key, value, message in (
        ("likelihood_power", 1.0, "power"),
        ("likelihood_corner", "high", "corner"),
        ("likelihood_below", 3000.0, "hold frequencies below"),
    ):
        wrong = dataset.copy(deep=True)
        wrong["u"].attrs[key] = value
        netcdf.write(path, wrong)
        with pytest.raises(DataSchemaError, match=message) as refused:
            read(path, RECORDS)
        assert str(path) in str(refused.value)
