"""Data that several files learn from."""

import pytest
from image_sets import DISC, made


@pytest.fixture(scope="session")
def disc(tmp_path_factory):
    """The problem of a disc, and 240 samples of it with images on 12 x 12 nodes."""
    return made("eit", DISC, "all", 240, tmp_path_factory.mktemp("disc"), (12, 12))
