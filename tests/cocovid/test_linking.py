"""Boxes without track ids are linked as an eye would link them."""

import numpy as np
import pytest

from tsm_det.cocovid.linking import link_tracks
from tsm_det.errors import InputError


def boxes_at(centres, side=10.0):
    centres = np.asarray(centres, dtype=float)
    return np.concatenate([centres - side / 2, np.full_like(centres, side)], axis=1)


def line(frames, start, velocity):
    """Boxes of an object of 10 px that moves evenly."""
    return boxes_at([np.add(start, np.multiply(velocity, frame)) for frame in frames])


def link_objects(objects, **options):
    """Tracks of several objects, each given by its frames and boxes, with the rows in order of time."""
    frames = np.concatenate([frames for frames, _ in objects])
    boxes = np.concatenate([boxes for _, boxes in objects])
    order = np.argsort(frames, kind='stable')
    numbers = np.empty(len(frames), int)
    numbers[order] = link_tracks(frames[order], boxes[order], **options)
    return np.split(numbers, np.cumsum([len(frames) for frames, _ in objects])[:-1])


def test_no_boxes_give_no_tracks():
    assert link_tracks(np.zeros(0), np.zeros((0, 4))).shape == (0,)


def test_a_moving_object_is_one_track():
    assert set(link_tracks(np.arange(20), line(range(20), (30, 30), (4, -1)))) == {0}


def test_boxes_of_one_frame_never_share_a_track():
    assert sorted(link_tracks([3, 3, 3], boxes_at([(20, 20), (20, 20), (21, 20)]))) == [0, 1, 2]


def test_tracks_are_numbered_in_the_order_in_which_they_start():
    late, early = link_objects([(np.arange(5, 9), line(range(4), (200, 20), (1, 0))),
                                (np.arange(9), line(range(9), (20, 20), (1, 0)))])
    assert (set(early), set(late)) == ({0}, {1})


@pytest.mark.parametrize('speed', [0.5, 1.0, 3.0, 4.0])
def test_objects_that_cross_keep_their_tracks(speed):
    frames = np.arange(40)  # half a step apart, they swap places from frame 19 to 20
    right = line(frames - 19.5, (0, 0), (speed, 0))
    left = line(frames - 19.5, (0, 0.1), (-speed, 0))
    tracks = link_objects([(frames, right), (frames, left)])
    assert [len(set(track)) for track in tracks] == [1, 1]
    assert tracks[0][0] != tracks[1][0]


@pytest.mark.parametrize(('gap', 'expected'), [(1, 1), (5, 1), (6, 2)])
def test_a_track_survives_as_many_frames_without_box_as_it_is_told(gap, expected):
    frames = np.concatenate([np.arange(5), np.arange(5 + gap, 10 + gap)])
    assert len(set(link_tracks(frames, line(frames, (20, 20), (3, 0)), max_gap=5))) == expected


@pytest.mark.parametrize(('jump', 'expected'), [(9.0, 1), (11.0, 2)])
def test_a_jump_beyond_the_longer_side_of_the_box_starts_a_new_track(jump, expected):
    frames = np.arange(6)
    centres = [(20 + jump * (frame >= 3), 20) for frame in frames]
    assert len(set(link_tracks(frames, boxes_at(centres), reach=1.0))) == expected


def test_the_reach_grows_with_the_frames_between():
    assert len(set(link_tracks([0, 3], boxes_at([(20, 20), (45, 20)])))) == 1
    assert len(set(link_tracks([0, 2], boxes_at([(20, 20), (45, 20)])))) == 2


def test_a_lost_track_does_not_take_the_box_of_one_that_is_there():
    lost = np.arange(3), line(range(3), (20, 20), (0, 0))
    there = np.arange(8), boxes_at([(38, 20)] * 6 + [(29, 20)] * 2)  # it steps by 0.9 sides towards the lost one
    tracks = link_objects([lost, there])
    assert len(set(tracks[1])) == 1


def test_every_k_th_frame_is_linked_when_the_gap_allows_it():
    frames = np.arange(0, 100, 10)
    assert set(link_tracks(frames, line(frames, (20, 20), (1, 0)), max_gap=9)) == {0}


@pytest.mark.parametrize(('frames', 'boxes'), [
    ([0, 1], [[0, 0, 5, 5]]), ([0], [[0, 0, 0, 5]]), ([0], [[np.nan, 0, 5, 5]])])
def test_boxes_that_cannot_be_linked_are_refused(frames, boxes):
    with pytest.raises(ValueError, match='boxes'):
        link_tracks(frames, boxes)


def test_a_negative_gap_is_refused():
    with pytest.raises(InputError, match='-1'):
        link_tracks([0], [[0, 0, 5, 5]], max_gap=-1)


def smooth_objects(rng):
    """Two objects that move smoothly, with boxes missing here and there, and are never close; or None."""
    time = np.arange(rng.integers(15, 50))
    sides = rng.uniform(6, 20, size=2)
    paths = []
    for side in sides:
        start, velocity = rng.uniform(0, 300, size=2), rng.uniform(-0.3, 0.3, size=2) * side
        bend, phase = rng.uniform(-1, 1, size=2) * side, rng.uniform(0, 6)
        paths.append(start + velocity * time[:, None] + bend * np.sin(time[:, None] / 8 + phase))
    if np.linalg.norm(paths[0] - paths[1], axis=1).min() < 4 * sides.max():
        return None
    objects = []
    for side, path in zip(sides, paths, strict=True):
        seen = rng.random(len(time)) > 0.15
        seen[[0, -1]] = True
        if np.diff(time[seen]).max() > 4:
            return None
        objects.append((time[seen], boxes_at(path, side)[seen]))
    return objects


def test_linking_recovers_smooth_tracks_that_never_come_close_whatever_the_order_of_rows():
    rng = np.random.default_rng(0)
    cases = [objects for objects in (smooth_objects(rng) for _ in range(400)) if objects]
    assert len(cases) > 150
    for objects in cases:
        truth = np.repeat([0, 1], [len(frames) for frames, _ in objects])
        frames, boxes = (np.concatenate(parts) for parts in zip(*objects, strict=True))
        shuffle = rng.permutation(len(frames))
        found = link_tracks(frames[shuffle], boxes[shuffle])
        assert len(set(zip(truth[shuffle], found, strict=True))) == len(set(found)) == 2
