"""Which frames a clip is made of."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsm_det.datasets.clips import ConsecutiveFrames, SegmentedFrames
from tsm_det.errors import InputError


@st.composite
def requests(draw):
    """A video's frame ids, a key in it, and how to sample."""
    steps = draw(st.lists(st.integers(1, 3), max_size=30))
    frame_ids = np.cumsum([draw(st.integers(0, 5)), *steps])
    sampler = dict(num_frames=draw(st.integers(1, 8)), stride=draw(st.integers(1, 3)),
                   max_gap=draw(st.integers(1, 3)))
    return frame_ids, draw(st.integers(0, len(frame_ids) - 1)), sampler, draw(st.integers(0, 2**32 - 1))


@settings(max_examples=300)
@given(requests())
def test_a_clip_is_in_order_strided_around_its_key_and_spans_no_gap(request):
    frame_ids, key, sampler, seed = request
    np.random.seed(seed)
    indices = ConsecutiveFrames(**sampler).indices(frame_ids, key)
    steps = np.diff(indices)
    assert len(indices) == sampler['num_frames']
    assert key in indices
    assert min(indices) >= 0 and max(indices) < len(frame_ids)
    repeated = int(np.sum(steps == 0))
    assert list(steps) == [0] * repeated + [sampler['stride']] * (len(steps) - repeated)
    neighbours = np.diff(frame_ids[min(indices):max(indices) + 1])
    assert not len(neighbours) or max(neighbours) <= sampler['max_gap']


@settings(max_examples=300)
@given(requests())
def test_frames_are_repeated_only_where_no_full_clip_around_the_key_fits(request):
    frame_ids, key, sampler, seed = request
    np.random.seed(seed)
    indices = ConsecutiveFrames(**sampler).indices(frame_ids, key)
    if len(set(indices)) < len(indices):
        span = (sampler['num_frames'] - 1) * sampler['stride']
        for place in range(sampler['num_frames']):
            start = key - place * sampler['stride']
            inside = start >= 0 and start + span < len(frame_ids)
            assert not inside or max(np.diff(frame_ids[start:start + span + 1])) > sampler['max_gap']


def test_every_place_of_the_key_in_the_clip_occurs():
    np.random.seed(0)
    sampler = ConsecutiveFrames(num_frames=4)
    assert {sampler.indices(np.arange(20), 10).index(10) for _ in range(200)} == {0, 1, 2, 3}


def video(frame_ids):
    return dict(video_id=1, name='first', video_length=len(frame_ids),
                images=[dict(frame_id=k, img_id=k) for k in frame_ids])


def test_the_sampled_frames_are_collated():
    results = ConsecutiveFrames(num_frames=2)(dict(video([4, 5]), key_frame_id=1))
    assert results['frame_id'] == [4, 5]
    assert results['video_length'] == [2, 2]


def test_subsampled_data_needs_max_gap_and_says_so():
    with pytest.raises(InputError, match='first.*max_gap.*ConsecutiveFrames.* 5'):
        ConsecutiveFrames(num_frames=2)(video([0, 5, 10]))
    assert len(ConsecutiveFrames(num_frames=2, max_gap=5)(video([0, 5, 10]))['frame_id']) == 2


def test_a_video_of_two_frames_with_one_missing_between_is_no_subsampled_data():
    assert ConsecutiveFrames(num_frames=2)(dict(video([0, 2]), key_frame_id=1))['frame_id'] == [2, 2]


@pytest.mark.parametrize('key', ['num_frames', 'stride', 'max_gap'])
def test_a_number_below_one_is_refused(key):
    with pytest.raises(ValueError, match=f'{key} is 0'):
        ConsecutiveFrames(**{'num_frames': 2, key: 0})


@pytest.mark.parametrize('key', [0, 9, 25, 39])
def test_segments_are_a_distance_apart_and_contain_the_key(key):
    indices = np.array(SegmentedFrames(6, segments=3, distance=8).indices(np.arange(40), key))
    assert key in indices
    assert np.array_equal(np.diff(indices.reshape(3, 2)[:, 0]), [8, 8])
    assert np.array_equal(np.diff(indices.reshape(3, 2), axis=1), np.ones((3, 1)))


def test_segments_repeat_the_first_frame_where_a_gap_leaves_no_room():
    frame_ids = np.array([0, 1, 2, *range(100, 112)])
    assert SegmentedFrames(6, segments=3, distance=8).indices(frame_ids, 14) == [3, 3, 5, 6, 13, 14]


def test_frames_know_their_segment():
    video = dict(video_id=1, video_length=40, images=[dict(frame_id=k) for k in range(40)])
    frames = SegmentedFrames(6, segments=3, distance=8).transform({**video, 'key_frame_id': 5})
    assert frames['segment'] == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize('wrong', [
    dict(segments=4, distance=8), dict(segments=3, distance=1), dict(segments=6, distance=8),
    dict(segments=3, distance=9, stride=2)])
def test_segments_out_of_range_are_refused(wrong):
    with pytest.raises(InputError):
        SegmentedFrames(6, **wrong)
