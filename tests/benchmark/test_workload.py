"""Options are checked first; all arms get the same frames and limits."""

from itertools import islice

import numpy as np
import pytest

from tests.benchmark.conftest import tiny_config
from tsm_det.benchmark.workload import BenchmarkOptions, batches_of, frames_of, source_size
from tsm_det.errors import InputError


@pytest.mark.parametrize(('wrong', 'facts'), [
    (dict(frames=0), '--frames is 0'), (dict(warmup=-1), '--warmup is -1'), (dict(streams=0), '--streams is 0'),
    (dict(proposals=0), '--proposals is 0'), (dict(detections=0), '--detections is 0'), (dict(train=0), '--train is 0'),
    (dict(clip_length=0), '--clip-length is 0'), (dict(threads=0), '--threads is 0'),
    (dict(size=(0, 4)), '--size is 0 4'), (dict(score_thr=1.0), '--score-thr is 1.0'),
    (dict(score_thr=float('nan')), '--score-thr is nan'), (dict(source='a.mp4', size=(4, 4)), '--source and --size'),
    (dict(engine='steam'), 'steam.*eager, fast'), (dict(device='abacus'), 'abacus'),
    (dict(device='cuda:99'), 'cuda:99'), (dict(plot='plot.jpg'), r'plot\.jpg.*\.png'),
    (dict(json='/'), '/ '), (dict(report='/'), '/ ')])
def test_wrong_options_are_refused(wrong, facts):
    with pytest.raises(InputError, match=facts):
        BenchmarkOptions('config.py', 'baseline.py', **wrong).check()


def test_good_options_pass(tmp_path):
    BenchmarkOptions('config.py', 'baseline.py', warmup=0, streams=1, json=str(tmp_path / 'new' / 'a.json')).check()


@pytest.mark.parametrize(('proposals', 'nms_pre'), [(10, 50), (70, 70)])
def test_limits_are_set_in_a_copy_and_nms_pre_is_large_enough(proposals, nms_pre):
    config = tiny_config()
    options = BenchmarkOptions('', '', proposals=proposals, detections=5, score_thr=0.1)
    limited = options.limit(config).model.test_cfg
    assert (limited.rpn.max_per_img, limited.rpn.nms_pre) == (proposals, nms_pre)
    assert (limited.rcnn.max_per_img, limited.rcnn.score_thr) == (5, 0.1)
    assert config.model.test_cfg.rpn.max_per_img == 20


def test_a_detector_without_proposals_has_its_detections_limited():
    config = tiny_config()
    config.model.test_cfg = dict(nms_pre=100, score_thr=0.5, max_per_img=100)
    limited = BenchmarkOptions('', '', detections=7).limit(config).model.test_cfg
    assert limited == dict(nms_pre=100, score_thr=BenchmarkOptions('', '').score_thr, max_per_img=7)


def test_each_stream_is_one_frame_later_than_the_one_before():
    assert list(batches_of(iter(range(5)), 3)) == [[0, 1, 2], [1, 2, 3], [2, 3, 4]]


def test_random_frames_repeat_exactly_and_never_end():
    first, again = (list(islice(frames_of(None, (8, 12)), 20)) for _ in range(2))
    assert first[0].shape == (8, 12, 3)
    np.testing.assert_array_equal(first, again)
    assert len({frame.tobytes() for frame in first}) > 1


def test_a_video_starts_over_where_it_ends(video_file, video_number):
    frames = frames_of(str(video_file(n=3)), (1, 1))
    assert [video_number(frame) for frame in islice(frames, 7)] == [0, 1, 2, 0, 1, 2, 0]


def test_a_missing_source_is_refused(tmp_path):
    with pytest.raises(InputError, match='nowhere.mp4'):
        next(frames_of(str(tmp_path / 'nowhere.mp4'), (1, 1)))


def test_frames_have_the_size_that_the_pipeline_resizes_to():
    config = tiny_config()
    config.test_dataloader.dataset.pipeline[0].transforms[2].scale = (1000, 600)
    assert source_size(config) == (600, 1000)
    del config.test_dataloader.dataset.pipeline[0].transforms[2]
    assert source_size(config) == (256, 320)
