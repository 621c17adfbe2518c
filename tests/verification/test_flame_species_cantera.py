"""Flames of five species against Cantera's own, extrapolated over its grids; orders; the fold."""

from dataclasses import replace

import numpy as np
import pytest
from cantera_flames import (
    counterflow_again,
    counterflow_from,
    difference,
    extrapolated,
    free_again,
    free_flame,
    shift_to,
)

from pdeinv.errors import SolverDiverged
from pdeinv.problems.flame.species import FlameSpecies, SpeciesConfig
from pdeinv.problems.flame.species.adapt import Criteria, moved_to
from pdeinv.problems.flame.species.extinction import Point, extinction
from pdeinv.problems.flame.species.flames import continuation, setting_of
from pdeinv.problems.flame.species.newton import checked, converged
from pdeinv.problems.flame.species.parameters import Parameters
from pdeinv.problems.flame.species.start import Domain, cold

UNKNOWN = {"activation_energy": {"kind": "log-normal", "median": 83680.0, "std": 0.02}}
COARSE = Criteria(0.1, 0.2)
WITHIN = 1e-3
"""Relative distance to Cantera, beyond its own uncertainty."""


def flame(configuration, **more):
    table = {"configuration": configuration, "unknown": UNKNOWN, **more}
    return FlameSpecies(SpeciesConfig.model_validate(table))


def solved(problem, level=0):
    return problem.solve(np.array([83680.0]), level)


@pytest.mark.parametrize("phi", [0.8, 1.2])
def test_flame_speed_and_profiles_are_those_of_cantera(phi):
    at = Parameters(equivalence_ratio=phi)
    fields = solved(flame("free", equivalence_ratio=phi, length=0.03))
    theirs, finest = extrapolated(free_flame(at, 0.05), free_again(at), lambda f: f.velocity[0])
    assert abs(theirs.order - 1) < 0.15
    gap = abs(float(fields["s_L"]) - theirs.limit)
    assert gap < WITHIN * theirs.limit + theirs.uncertainty
    shift = shift_to(finest, fields, at.fixed_temperature)
    assert max(difference(finest, fields, shift).values()) < 5e-3


def test_curvature_and_profiles_of_a_counterflow_are_those_of_cantera():
    at, fields = Parameters(), solved(flame("counterflow"))
    theirs, finest = extrapolated(
        counterflow_from(at, fields, 0.05), counterflow_again(at), lambda f: f.L[0]
    )
    gap = abs(float(fields["Lambda"]) - theirs.limit)
    assert gap < WITHIN * abs(theirs.limit) + theirs.uncertainty
    assert max(difference(finest, fields, 0.0).values()) < 5e-3


@pytest.mark.parametrize("configuration", ["free", "counterflow"])
def test_eigenvalues_converge_with_order_four(configuration):
    """Of quadratic elements, on cells that are halved."""
    config = flame(configuration, slope=0.1, curve=0.2).config
    equations, found = cold(setting_of(config), config.law, config.domain, config.centre, COARSE)
    values = [found.eigenvalue]
    for _ in range(3):
        places = equations.grid.places
        more = np.sort(np.append(places, 0.5 * (places[1:] + places[:-1])))
        equations, found = moved_to(equations, found, more)
        found = converged(equations, config.centre, found)
        values.append(found.eigenvalue)
    steps = np.abs(np.diff(values))
    assert np.log2(steps[0] / steps[-1]) / 2 > 3.0, values
    assert steps[0] < 1e-4 * abs(values[-1])


def test_a_counterflow_goes_out_at_its_fold_and_burns_past_it():
    config = flame("counterflow", slope=0.1, curve=0.2).config
    known = continuation(config, 0, config.centre)
    way, fold = extinction(Point(known.equations, config.centre, known.flame), Criteria(0.1, 0.2))
    fluxes = [point.at.mass_flux for point in way]
    assert fold.at.mass_flux > max(fluxes) * (1 - 1e-6)
    assert fluxes[-1] < fold.at.mass_flux
    assert way[-1].hottest < fold.hottest < way[0].hottest
    for point, burns in ((way[0], True), (way[-2], True), (way[-1], False)):
        if burns:
            checked(point.equations, point.at, point.flame)
        else:
            with pytest.raises(SolverDiverged, match="on the branch that is not stable"):
                checked(point.equations, point.at, point.flame)
    assert fold.at.mass_flux == pytest.approx(3.330, rel=2e-3)
    assert fold.strain == pytest.approx(562.8, rel=5e-3)


@pytest.mark.parametrize("atmospheres", [1.0, 5.0])
@pytest.mark.parametrize("phi", [0.6, 1.0, 1.4, 1.6])
def test_flames_are_found_from_nothing(phi, atmospheres):
    config = flame("free", slope=0.1, curve=0.2).config
    at = replace(config.known, equivalence_ratio=phi, pressure=atmospheres * 101325.0)
    found = continuation(config, 0, at).flame
    hot, _ = continuation(config, 0, at).equations.setting.burnt(at)
    assert found.values[-1, 0] == pytest.approx(hot, abs=2.0)


def test_where_a_flame_is_held_does_not_change_its_speed():
    speeds = [float(solved(flame("free", fixed_place=p, fixed_temperature=t))["s_L"])
              for p, t in ((0.35, 1000.0), (0.5, 800.0))]  # fmt: skip
    assert speeds[0] == pytest.approx(speeds[1], rel=2e-5)


def test_first_cells_have_the_place_that_is_held():
    assert 0.007 in Domain(0.02, 0.007).cells(False, 1e-3)
