"""Average precision over all frames of all videos, also by motion and size of the objects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmdet.evaluation.metrics import BaseVideoMetric
from mmdet.registry import METRICS
from mmengine.logging import print_log

from tsm_det.cocovid.motion import MOTION_RANGES, has_tracks
from tsm_det.errors import InputError
from tsm_det.evaluation.coco_ap import coco_metrics
from tsm_det.evaluation.evaluation_set import read_evaluation_set
from tsm_det.evaluation.stability import stability_metrics
from tsm_det.evaluation.subsets import BURSTS, subsets_of
from tsm_det.evaluation.tables import places_in_videos
from tsm_det.evaluation.vid_ap import AREA_RANGES, fgfa_metrics, mega_metrics

PROTOCOLS = ('coco', 'fgfa', 'mega', 'stability')
_RESERVED = {*MOTION_RANGES, *(f'area_{name}' for name in AREA_RANGES), 'first', 'rest', *BURSTS}


@METRICS.register_module()
class VIDMetric(BaseVideoMetric):
    """AP of every frame of every video, scored once, under three protocols that must not be compared.

    ``coco`` is pycocotools' AP, see :mod:`~tsm_det.evaluation.coco_ap`; ``fgfa`` and ``mega`` are the AP50 of the
    evaluations released with those papers, see :mod:`~tsm_det.evaluation.vid_ap`. Values are from 0 to 1:

    - ``coco/AP50``, ``fgfa/AP50``, ``mega/AP50``;
    - the same with ``_slow``, ``_medium``, ``_fast``: motion IoU of 0.9 to 1, 0.7 to 0.9, 0 to 0.7;
    - ``coco`` and ``fgfa`` with ``_area_small``, ``_area_medium``, ``_area_large``: up to 32^2 and 96^2 px (coco),
      50^2 and 150^2 px (fgfa);
    - ``coco/AP50_<subset>`` of each subset, ``coco/AP50_first`` and ``coco/AP50_rest``;
    - with each ``coco/AP50``, ``coco/AP`` over IoU 0.5 to 0.95 and ``coco/AP75``;
    - ``stability/...``, of data with tracks, lower is steadier: see :mod:`~tsm_det.evaluation.stability`;
    - ``frames_scored`` and ``frames_total``.

    NaN without a box. Motion is computed from the tracks (``instance_id``); a box without another of its track within
    10 frames has none and belongs to no range of motion. Raises InputError when ``protocols`` or ``first_frames`` is
    invalid, or a subset has the name of another score.

    Args:
        ann_file: the CocoVID file of the test dataset.
        subsets: name to the image fields in ``ann_file`` that define the subset, e.g.
            ``dict(clean=dict(degraded=False))``.
        protocols: some of ``coco``, ``fgfa``, ``mega`` and ``stability``.
        bursts: the Bursts of the test pipeline, if it has some: subsets ``burst`` and ``between``.
        first_frames: also score this many first frames of each video, by frame id, and the rest; None: do not.
        count_key_frame: whether the motion IoU's mean includes the box itself, with IoU 1.
        kwargs: keys of ``BaseMetric``.
    """

    def __init__(self, ann_file: str, subsets: dict[str, dict] | None = None, bursts: dict | None = None,
                 protocols: Sequence[str] = PROTOCOLS, first_frames: int | None = None, count_key_frame: bool = False,
                 **kwargs) -> None:
        super().__init__(**kwargs)
        unknown = sorted(set(protocols) - set(PROTOCOLS))
        if unknown or isinstance(protocols, str):
            raise InputError(f'protocols={protocols!r} but must be a list of names out of {", ".join(PROTOCOLS)}')
        if first_frames is not None and first_frames < 1:
            raise InputError(f'first_frames={first_frames} but must be at least 1, or None')
        if taken := sorted(_RESERVED & set(subsets or ())):
            raise InputError(f'subsets has {", ".join(taken)}, a name of other scores: rename the subset')
        self.ann_file, self.subsets, self.bursts, self.protocols = ann_file, subsets, bursts, tuple(protocols)
        self.first_frames, self.count_key_frame = first_frames, count_key_frame

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keep the detections of all frames of the clips."""
        for clip in data_samples:
            for frame in clip['video_data_samples']:
                boxes = frame.pred_instances.cpu().numpy()
                self.results.append((frame.img_id, boxes.bboxes, boxes.scores, boxes.labels))

    def compute_metrics(self, results: list[tuple]) -> dict[str, float]:
        """Score the collected frames; raise InputError unless they are those of a readable ``ann_file``, each once."""
        data = read_evaluation_set(self.ann_file, self.dataset_meta['classes'], self.count_key_frame)
        scored = data.ground_truth, data.detections(results, 'the test run'), len(data.classes)
        print_log(f'scoring {len(results)} frames by {", ".join(self.protocols)}', 'current')
        if not has_tracks(data.annotations):
            print_log(f'no AP of slow, medium and fast objects and no stability: they need instance_id on every '
                      f'annotation of {self.ann_file}, which tools/convert_dataset.py writes', 'current')
        metrics = {}
        if 'coco' in self.protocols:
            metrics |= coco_metrics(*scored, self._parts(data.images))
        if 'fgfa' in self.protocols:
            metrics |= fgfa_metrics(*scored)
        if 'mega' in self.protocols:
            metrics |= mega_metrics(*scored)
        if 'stability' in self.protocols and has_tracks(data.annotations):
            metrics |= stability_metrics(scored[0], *data.tracks(), scored[1])
        return metrics | {'frames_scored': len(results), 'frames_total': len(data.images)}

    def _parts(self, images: list[dict]) -> dict[str, np.ndarray]:
        parts = {'': np.ones(len(images), bool)}
        if self.first_frames is not None:
            first = places_in_videos(images) < self.first_frames
            parts |= {'_first': first, '_rest': ~first}
        marks = subsets_of(images, self.subsets, self.bursts)
        return parts | {f'_{name}': mark for name, mark in marks.items()}
