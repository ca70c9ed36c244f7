"""Generated pictures have a photograph's detail and size, are the same for a seed, and are read like any other."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from gpux.images.loading import open_image
from gpux.images.photographs import film_url, photograph, photograph_url
from gpux.images.video import open_video


def detail(pixels):
    """How much neighbours differ, one and eight pixels apart, of 255."""
    grey = np.asarray(pixels, float).mean(axis=2)
    return np.abs(np.diff(grey, axis=1)).mean(), np.abs(grey[:, 8:] - grey[:, :-8]).mean()


def test_a_photograph_is_one_of_its_seed():
    assert photograph_url(3) == photograph_url(3) != photograph_url(4)
    assert json.loads(json.dumps(photograph_url(3))) == photograph_url(3)
    assert photograph(3).size == (640, 480)
    assert open_image(photograph_url(3)).size == (640, 480)
    assert open_image(photograph_url(3, width=33, height=51)).size == (33, 51)


@pytest.mark.parametrize("seed", range(3))
def test_detail_is_of_the_order_of_photographs(seed):
    found = detail(photograph(seed))
    real = [detail(load_sample_image(name)) for name in ("china.jpg", "flower.jpg")]
    for generated, *known in zip(found, *real, strict=True):
        assert min(known) / 2 < generated < max(known) * 2
    assert 30_000 < len(photograph_url(seed)) < 200_000


def test_a_film_moves():
    url = film_url(0)
    assert url == film_url(0)
    assert len(url) < 400_000
    frames = [np.asarray(frame, float) for frame in open_video(url, frames=16)]
    assert {frame.shape for frame in frames} == {(240, 320, 3)}
    assert all(np.abs(one - other).mean() > 0.5 for one, other in pairwise(frames))
