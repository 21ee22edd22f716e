"""Track ids: those of mmdet's tracker, one set per stream, part of the stream's state."""

import copy
import io

import numpy as np
import pytest
import torch
from mmdet.models.trackers import byte_tracker
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from tsm_det.errors import InputError
from tsm_det.streams.tracking import TRACKERS, Tracker, Tracks, predict_tracks

# With thresholds that the scores of random weights reach.
LOW = {
    'bytetrack': {**TRACKERS['bytetrack'], 'obj_score_thrs': dict(high=0.2, low=0.05), 'init_track_thr': 0.2},
    'ocsort': {**TRACKERS['ocsort'], 'obj_score_thr': 0.05, 'init_track_thr': 0.2, 'weight_iou_with_det_scores': False},
    'sort': {**TRACKERS['sort'], 'obj_score_thr': 0.05, 'match_iou_thr': 0.3}}
EVERY_TRACKER = pytest.mark.parametrize('name', TRACKERS)


def instances(boxes, scores, labels):
    return InstanceData(bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
                        scores=torch.tensor(scores, dtype=torch.float32), labels=torch.tensor(labels).long())


def scene(seed, num_frames=30, num_objects=5):
    """Objects that move and are missed at times, with clutter, frames without any box, and twins."""
    rng = np.random.default_rng(seed)
    centres, steps = rng.uniform(50, 250, (num_objects, 2)), rng.normal(0, 4, (num_objects, 2))
    halves, labels = rng.uniform(8, 30, (num_objects, 2)), rng.integers(0, 3, num_objects)
    for _ in range(num_frames):
        centres += steps
        seen = rng.random(num_objects) < 0.85 * (rng.random() < 0.95)
        middle = centres[seen] + rng.normal(0, 1, (seen.sum(), 2))
        clutter = rng.uniform(0, 250, (2, 2))
        boxes = np.concatenate([np.c_[middle - halves[seen], middle + halves[seen]],
                                np.c_[clutter, clutter + rng.uniform(5, 40, (2, 2))]])
        scores = rng.uniform(0.05, 1, len(boxes))
        kept = slice(0, len(boxes) * bool(seen.any()))
        twice = [*range(len(boxes))[kept], *range(len(boxes))[kept][:1]]
        yield instances(boxes[twice], scores[twice], np.r_[labels[seen], 0, 1][twice])


def sample_of(found, reset=None):
    sample = DetDataSample(metainfo={'reset': reset})
    sample.pred_instances = found
    return sample


def through_a_file(tracks):
    """What a state file makes of tracks."""
    file = io.BytesIO()
    torch.save(tuple(tracks), file)
    file.seek(0)
    return Tracks.checked(*torch.load(file, weights_only=True))


@EVERY_TRACKER
@pytest.mark.parametrize('seed', range(3))
def test_ids_are_those_of_mmdets_tracker_fed_with_the_same_boxes(name, seed):
    tracker, theirs, tracks = Tracker(name), MODELS.build(copy.deepcopy(TRACKERS[name])), None
    for frame_id, found in enumerate(scene(seed)):
        frame = DetDataSample(metainfo={'frame_id': frame_id})
        frame.pred_instances = copy.deepcopy(found)
        expected = theirs.track(model=None, img=None, data_sample=frame)
        sample = sample_of(found, None if frame_id else 'new')
        tracks = through_a_file(tracker(sample, tracks))
        rows = sorted((*box, track_id) for box, track_id in zip(
            found.bboxes.tolist(), sample.pred_instances.track_ids.tolist(), strict=True) if track_id)
        assert rows == sorted((*box, number + 1) for box, number in zip(
            expected.bboxes.tolist(), expected.instances_id.tolist(), strict=True))
    assert tracks.num_ids > 3


@EVERY_TRACKER
def test_an_id_stands_once_in_a_frame_and_is_never_given_again_after_a_reset(name):
    tracker, tracks, seen = Tracker(LOW[name]), None, [set(), set()]
    for k, found in enumerate(scene(0)):
        sample = sample_of(found, 'seek' if k == 15 else None)
        tracks = tracker(sample, tracks)
        ids = [track_id for track_id in found.track_ids.tolist() if track_id]
        assert len(set(ids)) == len(ids)
        seen[k >= 15].update(ids)
    assert min(map(len, seen)) > 0
    assert min(seen[1]) > max(seen[0])


@EVERY_TRACKER
def test_detections_without_an_area_have_no_track_and_break_none(name):
    tracker, with_flat, without = Tracker(LOW[name]), None, None
    flat = instances([[5, 5, 5, 9], [5, 5, 9, 5], [9, 9, 5, 5], [0, 0, float('inf'), 9]], [0.9] * 4, [0] * 4)
    for found in scene(1, 8):
        plain, mixed = sample_of(copy.deepcopy(found)), sample_of(InstanceData.cat([flat, found]))
        without, with_flat = tracker(plain, without), tracker(mixed, with_flat)
        assert mixed.pred_instances.track_ids.tolist() == [0] * 4 + plain.pred_instances.track_ids.tolist()
    assert without.num_ids > 0


@EVERY_TRACKER
def test_a_long_stream_needs_no_more_memory_than_a_short_one(name):
    def size(tracks):
        file = io.BytesIO()
        torch.save(tuple(tracks), file)
        return len(file.getvalue())
    tracker, tracks, sizes = Tracker(name), None, []
    for k in range(120):
        tracks = tracker(sample_of(instances([[k, 10, k + 40, 60]], [0.9], [0])), tracks)
        sizes.append(size(tracks))
    assert tracks.num_ids == 1
    assert max(sizes[20:]) < 1.1 * sizes[20]


@EVERY_TRACKER
def test_predicted_boxes_lie_on_the_way_of_an_object(name):
    tracker, tracks = Tracker(name), None
    for k in range(20):
        tracks = tracker(sample_of(instances([[6 * k, 3 * k, 6 * k + 30, 3 * k + 20]], [0.9], [2])), tracks)
    for ahead in (0.25, 0.5, 0.75):
        predicted, at = predict_tracks(tracks, ahead, (480, 640)), 19 + ahead
        torch.testing.assert_close(
            predicted.bboxes, torch.tensor([[6 * at, 3 * at, 6 * at + 30, 3 * at + 20]]), rtol=0, atol=1)
        assert (predicted.track_ids.tolist(), predicted.labels.tolist()) == ([1], [2])
    assert predict_tracks(tracks, 0.5, (480, 120)).bboxes[:, 2].tolist() == [120], 'cut at the border'
    assert len(predict_tracks(tracks, 0.5, (480, 100)).bboxes) == 0, 'beyond the border'


def test_a_track_without_a_box_in_the_last_frame_is_not_predicted():
    tracker, tracks = Tracker('bytetrack'), None
    for found in (instances([[10, 10, 50, 60]], [0.9], [0]), instances([], [], [])):
        tracks = tracker(sample_of(found), tracks)
    assert len(predict_tracks(tracks, 0.5, (480, 640))) == 0


@pytest.mark.parametrize(('settings', 'fact'), [
    ('deepsort', 'bytetrack, ocsort, sort'), (dict(type='ByteTracker', speed=1), 'speed'),
    (dict(type='Bytetrack'), 'Bytetrack'), (dict(type='ByteTracker'), 'motion'), (dict(num_tentatives=2), 'type'),
    (dict(type='SORTTracker', motion=dict(type='KalmanFilter')), 'reid=None'),
    (dict(type='QuasiDenseTracker'), 'num_tentatives')])
def test_settings_of_no_tracker_are_refused(settings, fact):
    with pytest.raises(InputError, match=fact):
        Tracker(settings)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(byte_tracker, 'lap', None)
    with pytest.raises(InputError, match=r'tsm_det\[track\]'):
        Tracker('bytetrack')


# The detector: images in, ids out.

def images(n, seed=0, size=(128, 128)):
    return list(np.random.default_rng(seed).integers(0, 256, (n, *size, 3), dtype=np.uint8))


def still(n, seed=0):
    """One picture, shown n times with a little noise, so that boxes overlap from frame to frame."""
    rng, [image] = np.random.default_rng(seed), images(1, seed)
    return [np.clip(image + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8) for _ in range(n)]


def ids_of(sample):
    return sample.pred_instances.track_ids.tolist()


def run(detector, frames, stream='a', start=0):
    return [ids_of(detector.detect_batch([image], [stream], [k])[0]) for k, image in enumerate(frames, start)]


@EVERY_TRACKER
def test_tracking_changes_no_box_score_or_label(make_detector, name):
    plain, tracking = make_detector(), make_detector(tracker=LOW[name])
    for image in still(4):
        one, other = plain(image).pred_instances, tracking(image).pred_instances
        assert all(torch.equal(one[key], other[key]) for key in ('bboxes', 'scores', 'labels'))
        assert 'track_ids' not in one and len(other.track_ids) == len(other)


@EVERY_TRACKER
@pytest.mark.parametrize('cut', [1, 3])
def test_saved_and_resumed_tracks_equal_uninterrupted_ones(make_detector, tmp_path, name, cut):
    frames, detector = still(6), make_detector(tracker=LOW[name])
    whole = run(make_detector(tracker=LOW[name]), frames)
    assert set(whole[cut - 1]) & set(whole[cut]) - {0}, 'tracks go on'
    run(detector, frames[:cut])
    detector.save_state(tmp_path / 'state.pt')
    resumed = make_detector(tracker=LOW[name])
    resumed.load_state(tmp_path / 'state.pt')
    assert run(resumed, frames[cut:], start=cut) == whole[cut:]


def test_two_streams_do_not_mix(make_detector):
    frames = {'a': still(4, 1), 'b': still(4, 2)}
    alone = {name: run(make_detector(tracker=LOW['bytetrack']), its, name) for name, its in frames.items()}
    detector, interleaved = make_detector(tracker=LOW['bytetrack']), {'a': [], 'b': []}
    for k in range(4):
        for name in 'ab':
            interleaved[name] += run(detector, [frames[name][k]], name, k)
    assert interleaved == alone
    assert all(max(map(max, ids)) > 0 for ids in alone.values())


@pytest.mark.parametrize(('reason', 'interrupt', 'frame_id'), [
    ('seek', lambda detector: None, 0), ('gap', lambda detector: None, 9),
    ('manual', lambda detector: detector.reset('a'), 3),
    ('evicted', lambda detector: run(detector, images(1), 'b'), 3),
    ('size', lambda detector: detector.detect_batch(images(1, 0, (96, 128)), ['a'], [3]), 4)])
def test_a_stream_that_starts_over_has_new_ids(make_detector, reason, interrupt, frame_id):
    detector = make_detector(capacity=1, max_gap=4, tracker=LOW['bytetrack'])
    frames = still(4)
    before = run(detector, frames[:3])
    interrupt(detector)
    [sample] = detector.detect_batch(frames[3:], ['a'], [frame_id])
    assert sample.metainfo['reset'] == reason
    assert max(ids_of(sample)) > 0
    assert min(filter(None, ids_of(sample))) > max(map(max, before))


@pytest.mark.parametrize('other', [None, 'sort', dict(TRACKERS['bytetrack'], num_tentatives=2)])
def test_a_state_of_another_tracker_is_refused(make_detector, tmp_path, other):
    detector = make_detector(tracker='bytetrack')
    run(detector, images(1))
    detector.save_state(tmp_path / 'state.pt')
    with pytest.raises(InputError, match='another tracker'):
        make_detector(tracker=other).load_state(tmp_path / 'state.pt')


@pytest.mark.parametrize(('tracker', 'stream'), [(None, 'a'), ('sort', 'b')])
def test_predictions_need_a_tracker_and_a_frame(make_detector, tracker, stream):
    detector = make_detector(tracker=tracker)
    detector.detect_batch(images(1), ['a'], [0])
    with pytest.raises(InputError, match=f"'{stream}'"):
        detector.predict(stream, 1, 2)
