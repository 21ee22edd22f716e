"""Average precision over all frames of all videos, by how much objects move and how large they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmdet.evaluation.metrics import BaseVideoMetric
from mmdet.registry import METRICS
from mmengine.logging import print_log

from tsm_det.cocovid.motion import MOTION_RANGES
from tsm_det.cocovid.truth_file import read_truth
from tsm_det.errors import InputError
from tsm_det.evaluation.coco_ap import coco_metrics
from tsm_det.evaluation.tables import (
    annotations_of,
    found_table,
    frames_with,
    has_tracks,
    places_in_videos,
    truth_table,
)
from tsm_det.evaluation.vid_ap import AREA_RANGES, fgfa_metrics, mega_metrics

PROTOCOLS = ('coco', 'fgfa', 'mega')
_TAKEN = {*MOTION_RANGES, *(f'area_{name}' for name in AREA_RANGES), 'first', 'rest'}


@METRICS.register_module()
class VIDMetric(BaseVideoMetric):
    """AP of every frame of every video, scored once, under three protocols that must not be compared.

    ``coco`` is pycocotools' AP, ``fgfa`` and ``mega`` are the AP50 of the evaluations released with those papers;
    :func:`~tsm_det.evaluation.coco_ap.coco_metrics`, :func:`~tsm_det.evaluation.vid_ap.fgfa_metrics` and
    :func:`~tsm_det.evaluation.vid_ap.mega_metrics` say what differs. Gives, in parts from 0 to 1:

    - ``coco/AP50``, ``fgfa/AP50``, ``mega/AP50``;
    - the same with ``_slow``, ``_medium``, ``_fast``: motion IoU of 0.9 to 1, 0.7 to 0.9, 0 to 0.7, and with
      ``_area_small``, ``_area_medium``, ``_area_large``: up to 32^2 and 96^2 px (coco), 50^2 and 150^2 px;
    - ``coco/AP50_<subset>`` of each subset, ``coco/AP50_first`` and ``coco/AP50_rest``;
    - beside each ``coco/AP50`` the ``coco/AP`` over IoU 0.5 to 0.95 and ``coco/AP75``;
    - ``frames_scored`` and ``frames_total``.

    NaN where there is no box to find. Motion is computed from the tracks (``instance_id``); a box without another of
    its track within 10 frames has none and belongs to no range of motion.

    Args:
        ann_file: the CocoVID file that the test dataset reads.
        subsets: name to the fields that an image has in ``ann_file`` to belong to the subset, e.g.
            ``dict(clean=dict(degraded=False))``.
        protocols: those wanted of ``coco``, ``fgfa`` and ``mega``.
        first_frames: score the first so many frames of each video, by frame id, against the rest; None does not.
        count_key_frame: whether the motion IoU's mean counts a box itself, with IoU 1.
        kwargs: keys of ``BaseMetric``.

    Raises:
        InputError: ``protocols`` or ``first_frames`` is none, or a subset has the name of another score.
    """

    def __init__(self, ann_file: str, subsets: dict[str, dict] | None = None, protocols: Sequence[str] = PROTOCOLS,
                 first_frames: int | None = None, count_key_frame: bool = False, **kwargs) -> None:
        super().__init__(**kwargs)
        unknown = sorted(set(protocols) - set(PROTOCOLS))
        if unknown or isinstance(protocols, str):
            raise InputError(f'protocols={protocols!r} but a list of names out of {", ".join(PROTOCOLS)} is needed: '
                             'name those that the scores should follow')
        if first_frames is not None and first_frames < 1:
            raise InputError(f'first_frames={first_frames} but a number from 1 or None is needed: '
                             'say how many frames of each video are its first ones')
        taken = sorted(_TAKEN & set(subsets or ()))
        if taken:
            raise InputError(f'subsets has {", ".join(taken)} but that names other scores: call it otherwise')
        self.ann_file = ann_file
        self.subsets = subsets or {}
        self.protocols = tuple(protocols)
        self.first_frames = first_frames
        self.count_key_frame = count_key_frame

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keep the detections of all frames of the clips."""
        for clip in data_samples:
            for frame in clip['video_data_samples']:
                found = frame.pred_instances.cpu().numpy()
                self.results.append((frame.img_id, found.bboxes, found.scores, found.labels))

    def compute_metrics(self, results: list[tuple]) -> dict[str, float]:
        """Score the collected frames.

        Raises:
            InputError: the annotation file cannot be scored by, or the frames are not those in it, each once.
        """
        content = read_truth(self.ann_file)
        images = sorted(content['images'], key=lambda image: image['id'])
        scored = [img_id for img_id, *_ in results]
        if len(scored) != len(set(scored)) or set(scored) != {image['id'] for image in images}:
            raise InputError(
                f'{len(scored)} frames ({len(set(scored))} different ones) were scored but {self.ann_file} has '
                f'{len(images)}: test on the whole file, by TrackImgSampler, without indices or filters')
        print_log(f'scoring {len(scored)} frames by {", ".join(self.protocols)}', 'current')
        category = {entry['name']: entry['id'] for entry in content['categories']}
        cat_ids = [category[name] for name in self.dataset_meta['classes']]
        truth = truth_table(images, self._annotations(content, cat_ids), cat_ids, self.count_key_frame)
        found = found_table(images, results)
        metrics = {}
        if 'coco' in self.protocols:
            metrics |= coco_metrics(truth, found, len(cat_ids), self._parts(images))
        if 'fgfa' in self.protocols:
            metrics |= fgfa_metrics(truth, found, len(cat_ids))
        if 'mega' in self.protocols:
            metrics |= mega_metrics(truth, found, len(cat_ids))
        return metrics | {'frames_scored': len(scored), 'frames_total': len(images)}

    def _annotations(self, content: dict, cat_ids: list[int]) -> list[dict]:
        annotations = annotations_of(content['annotations'], cat_ids)
        if not has_tracks(annotations):
            print_log(f'no AP of slow, medium and fast objects: motion needs instance_id on every annotation of '
                      f'{self.ann_file}, which tools/convert_dataset.py writes', 'current')
        return annotations

    def _parts(self, images: list[dict]) -> dict[str, np.ndarray]:
        parts = {'': np.ones(len(images), bool)}
        if self.first_frames is not None:
            first = places_in_videos(images) < self.first_frames
            parts |= {'_first': first, '_rest': ~first}
        for name, fields in self.subsets.items():
            parts[f'_{name}'] = frames_with(images, fields)
        return parts
