"""Hits and misses over time."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from tests.evaluation.conftest import match
from tsm_det.evaluation.strips import (
    BELOW,
    COLOURS,
    DETECTED,
    FALSE_COLOUR,
    MISSED,
    NO_BOX,
    NO_FRAME,
    Strip,
    draw_strips,
    pages,
    strips_of,
)
from tsm_det.png import rendered

CAT = dict.fromkeys(range(6), (4, 4, 16, 16))
DOG = dict.fromkeys((0, 1, 4), (30, 20, 20, 20))


def bgr(colour):
    return tuple(round(255 * part) for part in reversed(to_rgb(colour)))


def seen(figure, frame_id, row, place=0):
    """The colour in the middle of a cell."""
    image = rendered(figure)
    x, y = figure.axes[place].transData.transform((frame_id, row))
    return tuple(int(part) for part in image[round(image.shape[0] - y), round(x)])


def of(scene, tracks, detections=(), score_thr=0.3, **keys):
    data, ranges = match(*scene(tracks, detections, **keys))
    return strips_of(data, ranges[''], score_thr)


@pytest.fixture
def strips(scene):
    """Cat: detected in 0, 1, 5, below the threshold in 2; a cat in place of the dog in 0; a false positive in 5."""
    detections = [('a', k, CAT[k], 'cat', 0.9) for k in (0, 1, 5)] + [('a', 2, CAT[2], 'cat', 0.2)]
    detections += [('a', 0, DOG[0], 'cat', 0.8), ('a', 1, DOG[1], 'dog', 0.5), ('a', 5, (40, 2, 9, 9), 'dog', 0.7),
              ('a', 4, (40, 2, 9, 9), 'dog', 0.1)]
    return of(scene, {'a': {(1, 'cat'): CAT, (2, 'dog'): DOG}}, detections, 0.5)


def test_a_strip_marks_exactly_the_missed_frames(strips):
    (strip,) = strips
    assert strip.tracks == ['cat #1', 'dog #2']
    assert strip.outcomes.tolist() == [
        [DETECTED, DETECTED, BELOW, MISSED, MISSED, DETECTED], [MISSED, DETECTED, NO_BOX, NO_BOX, MISSED, NO_BOX]]
    assert strip.false_positives.tolist() == [1, 0, 0, 0, 0, 1]


def test_the_picture_shows_each_outcome_at_its_frame_and_track(strips):
    figure = draw_strips(strips, 'a title')
    for row, outcomes in enumerate(strips[0].outcomes):
        for frame_id, outcome in enumerate(outcomes):
            assert seen(figure, frame_id, row + 0.4) == bgr(COLOURS[outcome])
    false = [seen(figure, frame_id, 3.5) == bgr(FALSE_COLOUR) for frame_id in range(6)]
    assert false == [True, False, False, False, False, True]


def test_the_title_of_a_strip_counts(strips):
    assert draw_strips(strips, 'a title').axes[0].get_title(loc='left') == (
        'a:  of 9 boxes 4 missed, 1 below the threshold;  2 false positives')


def test_the_videos_with_most_misses_come_first(scene):
    tracks = {name: {(number, 'cat'): CAT} for number, name in enumerate('abc', 1)}
    detections = [(name, k, CAT[k], 'cat', 0.9) for name, count in (('a', 4), ('b', 1), ('c', 6)) for k in range(count)]
    assert [strip.name for strip in of(scene, tracks, detections)] == ['b', 'a', 'c']


def test_without_instance_ids_the_boxes_of_a_frame_are_rows_in_their_order(scene):
    (strip,) = of(scene, {'a': {(1, 'cat'): CAT, (2, 'cat'): DOG}}, with_ids=False)
    assert strip.tracks == ['cat #1', 'cat #2']
    assert (strip.outcomes == MISSED).sum(axis=1).tolist() == [6, 3]


def test_a_video_without_boxes_and_a_detection_at_the_threshold_are_no_error(scene):
    strips = of(scene, {'a': {}, 'b': {(1, 'cat'): CAT}}, [('a', 3, (3, 3, 9, 9), 'cat', 0.5)], 0.5)
    empty = strips[1]
    assert empty.tracks == []
    assert empty.false_positives.tolist() == [0, 0, 0, 1, 0, 0]
    assert rendered(draw_strips(strips, 'a title')).size


def long_strip(frame_ids, missed):
    outcomes = np.full((1, len(frame_ids)), DETECTED)
    outcomes[0, missed] = MISSED
    return Strip('long', np.array(frame_ids), ['cat #1'], outcomes, np.zeros(len(frame_ids), int))


def test_one_missed_frame_among_five_thousand_stays_visible():
    figure = draw_strips([long_strip(range(5000), 3141)], 'a title')
    image = rendered(figure)
    assert (image == bgr(COLOURS[MISSED])).all(axis=-1)[150:].any()
    assert seen(figure, 3141, 0.5) == bgr(COLOURS[MISSED])
    assert seen(figure, 3100, 0.5) == bgr(COLOURS[DETECTED])


def test_frames_that_are_not_annotated_are_blank_and_every_fifth_frame_fills_five():
    figure = draw_strips([long_strip([10, 15, 20, 40, 45], 1)], 'a title')
    colours = [seen(figure, frame_id, 0.5) for frame_id in (10, 12, 13, 17, 20, 30, 40, 45)]
    assert colours == [bgr(COLOURS[outcome]) for outcome in (
        DETECTED, DETECTED, MISSED, MISSED, DETECTED, NO_FRAME, DETECTED, DETECTED)]


def test_a_video_of_one_frame_is_a_strip_of_one_column():
    figure = draw_strips([long_strip([7], 0)], 'a title')
    assert seen(figure, 7, 0.5) == bgr(COLOURS[MISSED])


def test_a_page_ends_at_twenty_videos_or_sixty_tracks():
    one, many = long_strip([0], 0), long_strip([0], 0)._replace(tracks=['cat'] * 70)
    assert [len(page) for page in pages([one] * 45)] == [20, 20, 5]
    assert [len(page) for page in pages([one, many, one])] == [1, 1, 1]


def test_labels_and_titles_lie_inside_the_picture_and_strips_do_not_overlap(strips):
    named = strips[0]._replace(tracks=['domestic_cat #123456', 'a very long class name indeed #1234567'])
    figure = draw_strips([named] * 20, 'a title')
    image = rendered(figure)
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    assert min(box.x0 for box in boxes) >= 0
    assert min(box.y0 for box in boxes) >= 0
    assert max(box.x1 for box in boxes) <= image.shape[1]
    assert all(above.y0 >= below.y1 for above, below in pairwise(boxes))
