"""xi of another basis: noticed wherever a file brings them, and never read as other unknowns."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from pdeinv.bayes.field_prior import build
from pdeinv.bayes.posterior import xi_space
from pdeinv.bayes.prior_config import LogGaussianConfig
from pdeinv.errors import DataSchemaError
from pdeinv.io.datasets import TrainingSet, prior_probe, same_prior
from pdeinv.io.draws import whitened_draws
from pdeinv.jobs.training_set import check_prior

PRIOR = build(LogGaussianConfig(grid=(9, 9), modes=8), name="k", units="1", long_name="k")


def turned(prior, k):
    """The same distribution in another basis: functions k and k + 1 rotated, or k of other sign."""
    root = prior.field.root.copy()
    root[:, k : k + 2] = root[:, k : k + 2] @ np.array([[0.6, -0.8], [0.8, 0.6]])
    return replace(prior, field=replace(prior.field, root=root))


def flipped(prior, k):
    signs = np.ones(prior.dim)
    signs[k] = -1
    return replace(prior, field=replace(prior.field, root=prior.field.root * signs))


OTHERS = [turned(PRIOR, 1), flipped(PRIOR, 0), flipped(PRIOR, 7)]
IDS = ["pair rotated", "first flipped", "last flipped"]


def result(prior, draws):
    groups = {
        "posterior": prior.space.unpack(prior.unwhiten(draws)[None], ("chain", "draw")),
        "unconstrained_posterior": xi_space(prior.dim).unpack(draws[None], ("chain", "draw")),
    }
    return xr.DataTree.from_dict(groups)


@pytest.mark.parametrize("other", OTHERS, ids=IDS)
def test_the_probe_tells_bases_of_one_covariance_apart(other):
    root, theirs = PRIOR.field.root, other.field.root
    np.testing.assert_allclose(theirs @ theirs.T, root @ root.T, atol=1e-12)
    assert not same_prior(other, prior_probe(PRIOR))
    rounded = replace(PRIOR, field=replace(PRIOR.field, root=root * (1 + 1e-12)))
    assert same_prior(rounded, prior_probe(PRIOR))


@pytest.mark.parametrize("other", OTHERS, ids=IDS)
def test_draws_of_a_result_in_another_basis_are_refused(tmp_path, other):
    draws = np.random.default_rng(0).standard_normal((12, 8))
    np.testing.assert_array_equal(whitened_draws(result(PRIOR, draws), tmp_path, PRIOR), draws)
    with pytest.raises(DataSchemaError, match=r"its unknown is not what the prior makes of its xi"):
        whitened_draws(result(other, draws), tmp_path, PRIOR)


@pytest.mark.parametrize("size", [0, 3])
def test_draws_of_a_result_whose_unknown_has_another_dimension_are_refused(tmp_path, size):
    found = result(PRIOR, np.random.default_rng(0).standard_normal((12, 8)))
    found["posterior"] = found["posterior"].to_dataset().expand_dims(other=size)
    with pytest.raises(DataSchemaError, match=r"its unknown .*expected the same"):
        whitened_draws(found, tmp_path, PRIOR)


def test_xi_of_a_data_set_in_another_basis_are_refused_by_what_learns_from_them():
    held = dict.fromkeys(TrainingSet.__dataclass_fields__)
    training = TrainingSet(**{**held, "prior_probe": prior_probe(OTHERS[0])})
    with pytest.raises(DataSchemaError, match="generate it again"):
        check_prior(training, PRIOR, SimpleNamespace(learns_fields=False))
    check_prior(training, PRIOR, SimpleNamespace(learns_fields=True))
    check_prior(training, OTHERS[0], SimpleNamespace(learns_fields=False))
