"""Average precision over all frames of all videos."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence

import numpy as np
from mmdet.evaluation.metrics import BaseVideoMetric
from mmdet.registry import METRICS
from mmengine.logging import print_log
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tsm_det.errors import InputError


@METRICS.register_module()
class VIDMetric(BaseVideoMetric):
    """COCO's AP, AP50 and AP75 (protocol ``coco``: pycocotools), every frame of every video scored once.

    Gives ``coco/AP``, ``coco/AP50``, ``coco/AP75``, the same with ``_<subset>`` appended for each
    subset, ``frames_scored`` and ``frames_total``; NaN where there is no box to find.

    Args:
        ann_file: the CocoVID file that the test dataset reads.
        subsets: name to the fields that an image has in ``ann_file`` to belong to the subset, e.g.
            ``dict(clean=dict(degraded=False))``.
        kwargs: keys of ``BaseMetric``.
    """

    def __init__(self, ann_file: str, subsets: dict[str, dict] | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.ann_file = ann_file
        self.subsets = subsets or {}

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keep the detections of all frames of the clips."""
        for clip in data_samples:
            for frame in clip['video_data_samples']:
                found = frame.pred_instances.cpu().numpy()
                self.results.append((frame.img_id, found.bboxes, found.scores, found.labels))

    def compute_metrics(self, results: list[tuple]) -> dict[str, float]:
        """Score the collected frames.

        Raises:
            InputError: the frames are not those of the annotation file, each once.
        """
        with contextlib.redirect_stdout(io.StringIO()):
            truth = COCO(self.ann_file)
        scored = [img_id for img_id, *_ in results]
        if len(scored) != len(set(scored)) or set(scored) != set(truth.imgs):
            raise InputError(
                f'{len(scored)} frames ({len(set(scored))} different ones) were scored but {self.ann_file} has '
                f'{len(truth.imgs)}: test on the whole file, by TrackImgSampler, without indices or filters')
        print_log(f'scoring {len(scored)} frames (about a second a thousand)', 'current')
        category = {entry['name']: entry['id'] for entry in truth.dataset['categories']}
        cat_ids = [category[name] for name in self.dataset_meta['classes']]
        detections = _detections(truth, results, cat_ids)
        metrics = _average_precision(truth, detections, cat_ids, sorted(truth.imgs), suffix='')
        for name, fields in self.subsets.items():
            members = [img_id for img_id, image in sorted(truth.imgs.items())
                       if all(image.get(field) == value for field, value in fields.items())]
            metrics |= _average_precision(truth, detections, cat_ids, members, suffix=f'_{name}')
        return metrics | {'frames_scored': len(scored), 'frames_total': len(truth.imgs)}


def _detections(truth: COCO, results: list[tuple], cat_ids: list[int]) -> COCO:
    annotations = []
    for img_id, boxes, scores, labels in results:
        for (x1, y1, x2, y2), score, label in zip(boxes.tolist(), scores.tolist(), labels, strict=True):
            annotations.append({
                'id': len(annotations) + 1, 'image_id': img_id, 'category_id': cat_ids[label], 'score': score,
                'bbox': [x1, y1, x2 - x1, y2 - y1], 'area': (x2 - x1) * (y2 - y1), 'iscrowd': 0})
    found = COCO()
    found.dataset = {'images': truth.dataset['images'], 'categories': truth.dataset['categories'],
                     'annotations': annotations}
    with contextlib.redirect_stdout(io.StringIO()):
        found.createIndex()
    return found


def _average_precision(
        truth: COCO, detections: COCO, cat_ids: list[int], img_ids: list, suffix: str) -> dict[str, float]:
    evaluation = COCOeval(truth, detections, 'bbox')
    evaluation.params.catIds, evaluation.params.imgIds = cat_ids, img_ids
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    stats = np.where(evaluation.stats[:3] < 0, np.nan, evaluation.stats[:3])
    return {f'coco/{name}{suffix}': float(value) for name, value in zip(('AP', 'AP50', 'AP75'), stats, strict=True)}
