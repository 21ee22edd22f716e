"""Track ids: a tracker of mmdet as a function of one frame's detections and the tracks of its stream."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from addict import Dict
from mmdet.models.trackers import OCSORTTracker
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox_cxcyah_to_xyxy
from mmengine.structures import InstanceData

from tsm_det.errors import InputError

# With the settings of mmdet's configs for MOT17.
TRACKERS = {
    'bytetrack': dict(type='ByteTracker', motion=dict(type='KalmanFilter'), num_frames_retain=30),
    'ocsort': dict(type='OCSORTTracker', motion=dict(type='KalmanFilter'), num_frames_retain=30),
    'sort': dict(type='SORTTracker', motion=dict(type='KalmanFilter'), obj_score_thr=0.5, match_iou_thr=0.5,
                 reid=None)}
# Held as arrays by mmdet, as tensors in a Tracks.
_KALMAN = ('mean', 'covariance')


class Tracks(NamedTuple):
    """The tracks of a stream after a frame: tensors and plain values only, never changed once made."""

    step: int = 0  # frames since the stream started over
    first_id: int = 1
    num_ids: int = 0  # given since the stream started over
    by_number: dict[int, dict] | None = None  # track ids less first_id: what mmdet remembers of each track

    @classmethod
    def checked(cls, *values: Any) -> Tracks:
        """Tracks of a state file; raises TypeError when a value is of another kind."""
        tracks = cls(*values)
        if not (all(isinstance(number, int) and number >= 0 for number in tracks[:3])
                and isinstance(tracks.by_number, dict | None)
                and all(isinstance(track, dict) for track in (tracks.by_number or {}).values())):
            raise TypeError(f'tracks of {tracks[:3]}')
        return tracks

    def restarted(self) -> Tracks:
        """No tracks, and ids that the stream did not have yet."""
        return Tracks(first_id=self.first_id + self.num_ids)


class Tracker:
    """Gives detections the ids of their tracks; holds settings and no tracks.

    Args:
        settings: 'bytetrack', 'ocsort', 'sort', or the config of a tracker of mmdet that needs boxes only.

    Raises InputError when there is no such tracker, or a package is missing.
    """

    def __init__(self, settings: str | dict) -> None:
        if isinstance(settings, str) and settings not in TRACKERS:
            raise InputError(f'the tracker is {settings!r} but must be one of {", ".join(TRACKERS)}, or the config of '
                             'a tracker of mmdet')
        self._settings = TRACKERS[settings] if isinstance(settings, str) else dict(settings)
        try:
            self._tracker = MODELS.build(copy.deepcopy(self._settings))
            # mmdet keeps all boxes of a track; it looks back this far, or to its last box.
            self._looks_back = max(self._tracker.num_tentatives, getattr(self._tracker, 'vel_delta_t', 0) + 1)
            self._tracker.kf = self._tracker.motion
        except RuntimeError as error:  # how mmdet reports a missing package
            raise InputError(f'the tracker {self._settings["type"]} needs the package lap: '
                             "pip install 'tsm_det[track]'") from error
        except (TypeError, KeyError, AttributeError) as error:
            raise InputError(f'the tracker {self._settings} cannot be used ({error}): check its keys') from error
        if self._tracker.with_reid and not isinstance(self._tracker, OCSORTTracker):  # it inherits reid and ignores it
            raise InputError(f'the tracker {self._settings} compares the looks of objects but gets boxes only: set '
                             'reid=None')

    def __repr__(self) -> str:
        return f'{self._settings}'

    def __call__(self, sample: DetDataSample, past: Tracks | None) -> Tracks:
        """Set ``pred_instances.track_ids`` of the next frame of a stream: from 1, 0 where a detection has no track.

        Detections without an area have none. mmdet sees the frames numbered from 0, so that frames that were left out
        by a stride or a camera do not break tracks.

        Args:
            sample: its detections stay as they are; ``metainfo['reset']`` is None while the stream continues.
            past: what the frame before gave; None at the first frame of the stream.

        Returns the tracks after this frame.
        """
        past = past or Tracks()
        if sample.metainfo['reset']:
            past = past.restarted()
        tracker = copy.copy(self._tracker)
        tracker.num_tracks = past.num_ids
        tracker.tracks = {number: _to_mmdet(track) for number, track in (past.by_number or {}).items()}
        detections = sample.pred_instances.cpu()
        frame = DetDataSample(metainfo={'frame_id': past.step})
        frame.pred_instances = InstanceData(
            **{key: detections[key] for key in ('bboxes', 'scores', 'labels')})[_have_area(detections.bboxes)]
        tracked = tracker.track(model=None, img=None, data_sample=frame)
        ids = torch.zeros(len(detections), dtype=torch.int64)
        places: dict[tuple, list[int]] = {}
        for place, row in enumerate(_rows(detections)):
            places.setdefault(row, []).append(place)
        for row, number in zip(_rows(tracked), tracked.instances_id.tolist(), strict=True):
            ids[places[row].pop()] = past.first_id + number  # mmdet reorders the detections and leaves some out
        sample.pred_instances.track_ids = ids.to(sample.pred_instances.labels.device)
        return Tracks(past.step + 1, past.first_id, int(tracker.num_tracks),
                      {number: self._to_plain(track) for number, track in tracker.tracks.items()})

    def _to_plain(self, track: Dict) -> dict:
        return {key: self._to_plain(value) if isinstance(value, Dict) else
                torch.from_numpy(value) if isinstance(value, np.ndarray) else
                self._recent(value) if isinstance(value, list) else value for key, value in track.items()}

    def _recent(self, values: list) -> list:
        """The end of a list, with its last box: None stands for a frame without one."""
        last = max(place for place, value in enumerate(values) if value is not None)
        return values[max(0, min(last, len(values) - self._looks_back)):]


def predict_tracks(tracks: Tracks, ahead: float, size: tuple[int, int]) -> InstanceData:
    """Move the boxes of the last frame, by their filtered velocities, a part ``ahead`` of a step.

    ``size`` is (H, W) of the frame: boxes are cut at its border, and left out beyond it.

    Returns ``bboxes``, ``scores`` and ``labels`` of the last detections, and ``track_ids``.
    """
    seen = {tracks.first_id + number: track for number, track in (tracks.by_number or {}).items()
            if track['frame_ids'][-1] == tracks.step - 1}
    means = torch.stack([track['mean'].double() for track in seen.values()]) if seen else torch.zeros(0, 8)
    boxes = bbox_cxcyah_to_xyxy(means[:, :4] + ahead * means[:, 4:]).float()
    boxes = boxes.clamp(torch.zeros(4), torch.tensor([*reversed(size)] * 2))
    predicted = InstanceData(
        bboxes=boxes, scores=torch.tensor([float(track['scores'][-1]) for track in seen.values()]),
        labels=torch.tensor([int(track['labels'][-1]) for track in seen.values()], dtype=torch.int64),
        track_ids=torch.tensor([*seen], dtype=torch.int64))
    return predicted[_have_area(boxes)]


def _to_mmdet(track: dict) -> Dict:
    """Copies of all that mmdet changes in place."""
    return Dict({key: value.numpy().copy() if key in _KALMAN else
                 _to_mmdet(value) if isinstance(value, dict) else value for key, value in track.items()})


def _have_area(boxes: torch.Tensor) -> torch.Tensor:
    sides = boxes[:, 2:] - boxes[:, :2]
    return ((sides > 0) & sides.isfinite()).all(dim=1)


def _rows(instances: InstanceData) -> Iterator[tuple]:
    for box, score, label in zip(instances.bboxes.tolist(), instances.scores.tolist(), instances.labels.tolist(),
                                 strict=True):
        yield *box, score, label
