"""Frames in the wrong order are noticed, and what is wrong with them is named."""

import numpy as np
import pytest

from pdeinv.problems.eit.frames.objections import objection
from pdeinv.problems.eit.frames.reciprocity import reciprocity
from pdeinv.rng import stream

N = 16


def ring(n, step=1):
    """e_{k+step} − e_k, as adjacent instruments measure."""
    return np.roll(np.eye(n), step, axis=1) - np.eye(n)


def transfer(n, seed=3):
    """A symmetric positive transfer matrix: a uniform disc and a random body on top."""
    angle = 2 * np.pi * np.arange(n) / n
    places = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    gap = np.linalg.norm(places[:, None] - places[None], axis=2) + 0.04 * np.eye(n)
    modes = stream(seed, "body").standard_normal((n, 3)) / n
    return -np.log(gap) / np.pi + modes @ modes.T


def frame(n=N, noise=0.0):
    """Adjacent drives of 5 mA and adjacent measurements off the driven electrodes."""
    current, pattern = -0.005 * ring(n), ring(n)
    voltage = current @ transfer(n) @ pattern.T
    voltage[(np.abs(current) @ np.abs(pattern).T) > 0] = np.nan
    spread = noise * np.nanmax(np.abs(voltage))
    return current, pattern, voltage + spread * stream(1, "n").standard_normal((n, n))


def rotated(voltage, back=False):
    """The numbers of each row listed from its source on, as rotating instruments do."""
    out, n = voltage.copy(), len(voltage)
    for i, row in enumerate(voltage):
        kept = np.flatnonzero(np.isfinite(row))
        order = kept[np.argsort((kept - i) % n)]
        pair = (order, kept) if back else (kept, order)
        out[i, pair[0]] = row[pair[1]]
    return out


def listed_by_measurement(voltage):
    out, good = voltage.copy(), np.isfinite(voltage)
    out[good] = voltage[good].reshape(len(voltage), -1).T.ravel()
    return out


def test_a_frame_in_order_passes_and_tells_its_noise():
    current, pattern, voltage = frame(noise=0.01)
    found = reciprocity(current, pattern, voltage)
    assert found.fits
    assert found.warning is None
    assert found.relations == 13 * 16 // 2
    assert found.noise_std == pytest.approx(0.01 * np.nanmax(np.abs(voltage)), rel=0.15)
    assert reciprocity(*frame()).error < 1e-12


def test_a_complex_frame_obeys_reciprocity_without_conjugation():
    current, pattern, voltage = frame()
    assert reciprocity(current, pattern, voltage * np.exp(0.4j)).error < 1e-12


def test_patterns_that_are_no_pairs_are_tested_too():
    k = np.arange(1, 5)
    angle = 2 * np.pi * np.arange(N) / N
    current = np.concatenate([np.cos(np.outer(k, angle)), np.sin(np.outer(k, angle))])
    voltage = current @ transfer(N) @ ring(N).T
    found = reciprocity(current, ring(N), voltage)
    assert found.relations == 8 * 7 // 2 + 8
    assert found.error < 1e-12


WRONG = {
    "sign": (lambda c, p, v: (c, p, -v), "the sign of all voltages, or of all drives, is reversed"),
    "drives": (lambda c, p, v: (-c, p, v), "the sign of all voltages"),
    "rotation": (
        lambda c, p, v: (c, np.roll(p, 3, axis=1), v),
        "rotated against those of drives (numbers 3 too high)",
    ),
    "rotation back": (lambda c, p, v: (c, np.roll(p, -2, axis=1), v), "(numbers 2 too low)"),
    "mirror": (
        lambda c, p, v: (c, p[:, (5 - np.arange(N)) % N], v),
        "mirrored against those of drives (number e stands for 5 - e modulo 16",
    ),
    "swap": (
        lambda c, p, v: (c, p[:, [*range(4), 9, *range(5, 9), 4, *range(10, N)]], v),
        "electrodes 4 and 9 (counted from 0) are swapped where voltages are measured",
    ),
    "rotated": (lambda c, p, v: (c, p, rotated(v)), "begin at its source (rotated)"),
    "unrotated": (lambda c, p, v: (c, p, rotated(v, True)), "begin at electrode 1, not at its"),
    "transposed": (
        lambda c, p, v: (c, p, listed_by_measurement(v)),
        "listed measurement by measurement",
    ),
    "two mistakes": (
        lambda c, p, v: (c, p, -rotated(v)),
        "begin at its source (rotated), not at electrode 1 and the sign of all",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(name):
    change, text = WRONG[name]
    found = reciprocity(*change(*frame(noise=0.003)))
    assert not found.fits
    assert text in found.warning


def test_scrambled_measurements_are_noticed_without_a_guess():
    current, pattern, voltage = frame()
    shuffled = pattern[stream(5, "order").permutation(N)]
    found = reciprocity(current, shuffled, voltage)
    assert found.suspicion is None
    assert "reciprocity fails by" in found.warning
    assert "check the order and signs" in found.warning


def test_data_without_redundancy_are_judged_by_likeness_alone():
    current, pattern, voltage = frame()
    current, voltage = current[:1], voltage[:1]
    found = reciprocity(current, pattern, voltage)
    assert found.relations == 0
    assert found.fits
    assert "the sign of all" in reciprocity(current, pattern, -voltage).warning


def test_noise_that_explains_a_violation_silences_it():
    current, pattern, voltage = frame(noise=0.1)
    assert reciprocity(current, pattern, voltage).warning is not None
    peak = np.nanmax(np.abs(voltage))
    assert reciprocity(current, pattern, voltage, noise_std=0.1 * peak).fits


def test_the_sign_of_differences_means_nothing():
    current, pattern, voltage = frame()
    assert reciprocity(current, pattern, -voltage, signed=False).fits
    shifted = reciprocity(current, np.roll(pattern, 2, axis=1), -voltage, signed=False)
    assert shifted.suspicion.endswith("(numbers 2 too high)")


def complex_frame(share=0.03, noise=1e-4):
    """A frame whose imaginary part, of another body, has ``share`` of the size of the real one."""
    current, pattern, real = frame()
    lag = current @ transfer(N, seed=7) @ pattern.T
    voltage = np.where(np.isfinite(real), real - 1j * share * lag, np.nan)  # gaps are NaN + 0j
    spread = noise * np.nanmax(np.abs(real))
    rng = stream(2, "n")
    return current, pattern, voltage + spread * (rng.standard_normal((2, N, N)).T @ [1, 1j]).T


def of_one_part(change, imaginary):
    """A mistake in the order of the real or of the imaginary part alone."""

    def changed(current, pattern, voltage):
        parts = [voltage.real, voltage.imag]
        parts[imaginary] = change(np.where(np.isfinite(voltage), parts[imaginary], np.nan))
        return current, pattern, parts[0] + 1j * parts[1]

    return changed


COMPLEX = {
    "rotation of both": (WRONG["rotation"][0], "reciprocity fails", "(numbers 3 too high)"),
    "sign of both": (WRONG["sign"][0], "the voltages are unlike those of any body", "sign of all"),
    "imaginary alone": (of_one_part(rotated, 1), "imaginary part: reciprocity", "at its source"),
    "real alone": (
        of_one_part(listed_by_measurement, 0),
        "real part: reciprocity fails",
        "listed measurement by measurement",
    ),
    "sign of the real part": (
        of_one_part(np.negative, 0),
        "real part: the voltages are unlike those of any body",
        "sign of all",
    ),
    "phase": (
        of_one_part(np.negative, 1),
        "imaginary part: has the sign of no body",
        "the sign of the phase is reversed",
    ),
}


@pytest.mark.parametrize("name", COMPLEX)
def test_what_is_wrong_with_complex_voltages_is_named_by_part(name):
    change, start, text = COMPLEX[name]
    right = complex_frame()
    for noise_std in (0.0, 6e-8):
        assert objection(*right, noise_std=noise_std) is None
        found = objection(*change(*right), noise_std=noise_std)
        assert found.startswith(start)
        assert text in found


def test_a_small_imaginary_part_does_not_hide_behind_the_real_one():
    wrong = COMPLEX["imaginary alone"][0](*complex_frame())
    assert reciprocity(*wrong).fits
    assert objection(*wrong) is not None


@pytest.mark.parametrize("noise_std", [0.0, 1e-5], ids=["noise unknown", "noise known"])
def test_an_imaginary_part_of_nothing_but_noise_is_not_judged(noise_std):
    current, pattern, voltage = frame()
    rng, shape = stream(3, "n"), voltage.shape
    for _ in range(5):
        eta = 1e-5 * (rng.standard_normal(shape) + 1j * rng.standard_normal(shape))
        assert objection(current, pattern, voltage + eta, noise_std=noise_std) is None


def test_a_capacitive_inclusion_in_a_resistive_body_is_plausible():
    current, pattern, real = frame()
    for k in (0, 3, 8):
        there = np.cos(2 * np.pi * (np.arange(N) - k) / N)[:, None] ** 3
        lag = current @ (there @ there.T) @ pattern.T
        voltage = real - 1j * np.where(np.isfinite(real), lag, np.nan)
        assert objection(current, pattern, voltage) is None


def test_a_nearly_pure_capacitance_is_judged_by_its_imaginary_part():
    current, pattern, voltage = frame()
    noise = 1e-6 * stream(4, "n").standard_normal(voltage.shape)
    assert objection(current, pattern, noise - 1j * voltage, noise_std=1e-6) is None
    assert objection(current, pattern, noise + 1j * voltage, noise_std=1e-6) is not None


def test_the_phase_of_differences_means_nothing():
    current, pattern, voltage = complex_frame()
    assert objection(current, pattern, voltage.conj()) is not None
    assert objection(current, pattern, voltage.conj(), signed=False) is None


def test_voltages_without_phase_are_judged_as_before():
    for name in ("sign", "rotation"):
        wrong = WRONG[name][0](*frame(noise=0.003))
        assert objection(*wrong) == reciprocity(*wrong).warning
