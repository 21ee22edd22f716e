"""The same frames and the same limits for all arms."""

from itertools import islice

import numpy as np
import pytest

from tests.benchmark.conftest import tiny_config
from tsm_det.benchmark.workload import Workload, batches_of, frames_of, source_size
from tsm_det.errors import InputError


@pytest.mark.parametrize(('proposals', 'nms_pre'), [(10, 50), (70, 70)])
def test_limits_are_fixed_and_the_nms_of_the_rpn_is_given_enough(proposals, nms_pre):
    config = tiny_config()
    fixed = Workload(proposals, 5, 0.1).fix(config).model.test_cfg
    assert (fixed.rpn.max_per_img, fixed.rpn.nms_pre) == (proposals, nms_pre)
    assert (fixed.rcnn.max_per_img, fixed.rcnn.score_thr) == (5, 0.1)
    assert config.model.test_cfg.rpn.max_per_img == 20


def test_a_detector_without_proposals_is_refused():
    config = tiny_config()
    config.model.test_cfg = dict(nms_pre=100)
    with pytest.raises(InputError, match='two-stage'):
        Workload(10, 5, 0.1).fix(config)


def test_every_stream_sees_the_video_one_frame_later_than_the_one_before():
    assert list(batches_of(iter(range(5)), 3)) == [[0, 1, 2], [1, 2, 3], [2, 3, 4]]


def test_random_frames_are_the_same_each_time_and_have_no_end():
    first, again = (list(islice(frames_of(None, (8, 12)), 20)) for _ in range(2))
    assert first[0].shape == (8, 12, 3)
    np.testing.assert_array_equal(first, again)
    assert len({frame.tobytes() for frame in first}) > 1


def test_a_video_starts_again_where_it_ends(video_file, video_number):
    frames = frames_of(str(video_file(n=3)), (1, 1))
    assert [video_number(frame) for frame in islice(frames, 7)] == [0, 1, 2, 0, 1, 2, 0]


def test_a_missing_source_is_one_sentence(tmp_path):
    with pytest.raises(InputError):
        next(frames_of(str(tmp_path / 'nowhere.mp4'), (1, 1)))


def test_frames_have_the_size_that_the_pipeline_leaves_as_it_is():
    config = tiny_config()
    config.test_dataloader.dataset.pipeline[0].transforms[2].scale = (1000, 600)
    assert source_size(config) == (600, 1000)
    del config.test_dataloader.dataset.pipeline[0].transforms[2]
    assert source_size(config) == (256, 320)
