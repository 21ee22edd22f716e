"""Class scores averaged over time."""

import json

import pytest
import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine import dump
from mmengine.structures import InstanceData

from tsm_det.evaluation.evaluation_set import read_evaluation_set
from tsm_det.evaluation.score_averaging import ScoreAveraging, average_scores


def frame(img_id, *detections, video_id=0):
    boxes, scores, labels = zip(*detections, strict=True) if detections else ((), (), ())
    return dict(img_id=img_id, video_id=video_id, pred_instances=dict(
        bboxes=torch.tensor(boxes, dtype=torch.float).reshape(-1, 4), scores=torch.tensor(scores, dtype=torch.float),
        labels=torch.tensor(labels, dtype=torch.long)))


HERE, MOVED, AWAY = [0., 0., 10., 10.], [2., 0., 12., 10.], [50., 50., 60., 60.]


def scores_of(frames, memory):
    return [result['pred_instances']['scores'].reshape(-1, 2).tolist() for result in average_scores(frames, 2, memory)]


@pytest.mark.parametrize(('memory', 'last'), [(1, [0.0, 0.3]), (2, [0.225, 0.325]), (9, [0.3, 1.0 / 3])])
def test_a_place_that_moves_keeps_its_mean(memory, last):
    frames = [frame(0, (HERE, 0.9, 0)), frame(1, (MOVED, 0.7, 1)), frame(2, (MOVED, 0.3, 1))]
    assert scores_of(frames, memory)[-1][0] == pytest.approx(last, abs=1e-6)


def test_new_places_and_new_videos_start_over():
    frames = [frame(0, (HERE, 0.9, 0)), frame(1, (AWAY, 0.5, 1)), frame(2), frame(3, (AWAY, 0.6, 1)),
              frame(4, (AWAY, 0.2, 0), video_id=1)]
    assert [scores and pytest.approx(scores[0], abs=1e-6) for scores in scores_of(frames, 10)] == [
        [0.9, 0], [0, 0.5], [], [0, 0.6], [0.2, 0]]


def test_overlapping_detections_are_one_place_with_a_score_per_class():
    [result] = average_scores([frame(0, (HERE, 0.9, 0), (MOVED, 0.8, 1), (MOVED, 0.4, 1), (AWAY, 0.1, 1))], 2, 1)
    assert result['pred_instances']['bboxes'][::2].tolist() == [HERE, AWAY]
    assert result['pred_instances']['scores'].tolist() == pytest.approx([0.9, 0.8, 0, 0.1])
    assert result['pred_instances']['labels'].tolist() == [0, 1, 0, 1]


def test_a_box_without_area_keeps_its_score():
    [result] = average_scores([frame(0, ([5., 5., 5., 9.], 0.9, 0), (HERE, 0.5, 1))], 2, 1)
    assert result['pred_instances']['scores'].tolist() == pytest.approx([0.9, 0, 0, 0.5])


def clip_of(frame, reset=None):
    sample, clip = DetDataSample(metainfo=dict(video_id=frame['video_id'], reset=reset)), TrackDataSample()
    sample.pred_instances = InstanceData(**frame['pred_instances'])
    clip.video_data_samples = [sample]
    return clip


def test_a_detectors_streams_are_averaged_as_they_come_and_start_over_with_it():
    one = [frame(0, (HERE, 0.9, 0)), frame(1, (MOVED, 0.7, 1)), frame(2, (MOVED, 0.3, 1))]
    two = [frame(10 + k, (HERE, 0.2 * k, 1), video_id=1) for k in range(3)]
    averaging, clips = ScoreAveraging(2, 9), []
    for pair in zip(one, two, strict=True):
        clips.append([clip_of(given, reset='gap' if given is two[2] else None) for given in pair])
        averaging(None, (), clips[-1])
    expected = [[*average_scores(one, 2, 9)], [*average_scores(two[:2], 2, 9), *average_scores(two[2:], 2, 9)]]
    for video in range(2):
        for pair, result in zip(clips, expected[video], strict=True):
            found = pair[video][0].pred_instances
            assert all(torch.equal(found[key], result['pred_instances'][key]) for key in ('bboxes', 'scores', 'labels'))


@pytest.mark.parametrize('ids', [[3, 2, 1, 7, 6, 5], [1, 3, 5, 2, 4, 6]])
def test_files_are_averaged_in_the_order_of_time_whatever_the_ids(tmp_path, ids):
    images = [dict(id=number, file_name=f'{number}.png', width=64, height=64, video_id=1 + k // 3, frame_id=k % 3)
              for k, number in enumerate(ids)]
    (tmp_path / 'truth.json').write_text(json.dumps(dict(
        images=images, videos=[dict(id=1), dict(id=2)], annotations=[],
        categories=[dict(id=1, name='cat'), dict(id=2, name='dog')])))
    dump([frame(image['id'], (HERE, score, 0), video_id=image['video_id'])
          for image, score in zip(images, [0.9, 0.3, 0.6, 0.2, 0.4, 0.6], strict=True)], str(tmp_path / 'found.pkl'))
    data = read_evaluation_set(tmp_path / 'truth.json')
    found = data.read_detections(tmp_path / 'found.pkl', average=9)
    by_id = {data.images[place]['id']: score for place, score, label in zip(
        found.frames, found.scores, found.labels, strict=True) if label == 0}
    assert [by_id[number] for number in ids] == pytest.approx([0.9, 0.6, 0.6, 0.2, 0.3, 0.4], abs=1e-6)
