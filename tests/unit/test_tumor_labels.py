"""Labels of segmentations: known conventions, named where several fit, refused where none does."""

from pathlib import Path

import numpy as np
import pytest

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.problems.tumor.labels import regions

FILE = Path("seg.nii.gz")


def of(*labels):
    return np.array([[0.0, 0.0, *map(float, labels)]])


@pytest.mark.parametrize(
    ("labels", "name", "core", "whole", "hidden"),
    [
        ((1, 2, 4), "brats", [1, 0, 1], [1, 1, 1], [0, 0, 0]),
        ((1, 2, 3), "brats2023", [1, 0, 1], [1, 1, 1], [0, 0, 0]),
        ((1, 2, 3, 4), "brats2024-post", [1, 0, 1, 0], [1, 1, 1, 0], [0, 0, 0, 1]),
        ((1, 3, 4), "brats-toolkit", [1, 0, 1], [1, 1, 1], [0, 0, 0]),
    ],
)
def test_labels_become_regions(labels, name, core, whole, hidden):
    found = regions(of(*labels), name, FILE)
    for got, wanted in ((found.core, core), (found.whole, whole), (found.hidden, hidden)):
        assert got[0].astype(int).tolist() == [0, 0, *wanted]


def test_labels_of_files_with_a_slope_are_rounded():
    found = regions(of(1, 2, 4) * (1 + 2e-3), "brats", FILE)
    assert found.core.sum() == 2


def test_labels_that_only_one_convention_has_need_no_name():
    assert regions(of(1, 2, 3, 4), None, FILE).hidden.sum() == 1


@pytest.mark.parametrize(
    ("labels", "fit"),
    [
        ((1, 2, 4), ("brats:", "brats2024-post:")),
        ((1, 2, 3), ("brats2023:", "brats2024-post:")),
        ((1, 3, 4), ("brats2024-post:", "brats-toolkit:")),
        ((2,), ("brats:", "brats2023:", "brats2024-post:")),
        ((1,), ("brats:", "brats2023:", "brats2024-post:", "brats-toolkit:")),
    ],
)
def test_labels_that_fit_several_are_refused_until_named(labels, fit):
    with pytest.raises(ConfigError, match="say which --labels") as error:
        regions(of(*labels), None, FILE)
    known = ("brats:", "brats2023:", "brats2024-post:", "brats-toolkit:")
    assert [k for k in known if f" {k}" in str(error.value)] == list(fit)


@pytest.mark.parametrize(
    ("labels", "name", "text"),
    [
        ((1, 2, 5), None, "labels 1, 2, 5, which no known convention has"),
        ((1, 2, 3), "brats", "brats has 1 necrosis, 2 oedema, 4 enhancing, so choose other"),
        ((1, 2, 7), "brats", "no convention that is known has all of them"),
        ((0.5,), "brats", "holds values that are no labels, from 0 to 0.5"),
        ((), "brats", "holds no tumor"),
        ((4,), "brats2024-post", "holds no tumor"),
    ],
)
def test_what_is_no_segmentation_is_refused(labels, name, text):
    with pytest.raises(DataSchemaError, match=text):
        regions(of(*labels), name, FILE)
