"""What a dataset of fields says of itself, and the text when it does not."""

import numpy as np
import pytest
import xarray as xr

from pdeinv.errors import DataSchemaError
from pdeinv.io.fields import described, description
from pdeinv.plugins import registry
from pdeinv.problems.heat import HeatConfig

HEAT = HeatConfig(cells=7)
EITHER = (frozenset({"u"}), frozenset({"re", "im"}))


def dataset(*names, **attrs):
    values = {name: ("node", np.zeros(2)) for name in names}
    return xr.Dataset(values, attrs={**description("heat", HEAT, 1), **attrs})


def test_configuration_and_level_come_back():
    assert described(dataset("u"), "heat", HeatConfig, *EITHER) == (HEAT, 1)
    assert described(dataset("re", "im"), "heat", HeatConfig, *EITHER) == (HEAT, 1)


@pytest.mark.parametrize(
    "fields",
    [dataset("re"), dataset(), dataset("u", pdeinv_problem="darcy"), xr.Dataset({"u": 1.0})],
    ids=["half of an alternative", "no variable", "another problem", "no attributes"],
)
def test_anything_else_is_one_line(fields):
    with pytest.raises(DataSchemaError) as caught:
        described(fields, "heat", HeatConfig, *EITHER)
    text = str(caught.value)
    assert "expected the fields of 'pdeinv solve heat' (variables u or im, re" in text
    assert "\n" not in text


@pytest.mark.parametrize("name", ["darcy", "heat", "helmholtz"])
def test_every_problem_reads_its_own_fields_and_no_other(name):
    problem = registry.load("problems", name)
    own = problem(problem.Config(cells=10 if name == "helmholtz" else 4))
    m = own.prior().unwhiten(np.zeros(own.prior().dim))
    fields = own.solve(m, 0)
    sensors = own.sensors("ring:4" if name == "helmholtz" else "grid:2x2")
    assert np.isfinite(own.observe(fields, sensors)).all()
    with pytest.raises(DataSchemaError, match=f"expected the fields of 'pdeinv solve {name}'"):
        own.observe(fields.assign_attrs(pdeinv_problem="another"), sensors)
