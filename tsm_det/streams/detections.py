"""The detections of a frame as plain values, the form of a line of JSON."""

from __future__ import annotations

from collections.abc import Sequence

from mmdet.structures import DetDataSample


def detections_of(sample: DetDataSample, classes: Sequence[str], score_thr: float = 0.0) -> list[dict]:
    """Detections of at least ``score_thr``, the highest-scoring first.

    Returns:
        ``{'bbox': [x1, y1, x2, y2], 'score', 'label', 'class'}`` per detection: px, label 0-based.
    """
    instances = sample.pred_instances.cpu()
    instances = instances[instances.scores.argsort(descending=True)]
    return [
        {'bbox': [round(side, 2) for side in box], 'score': round(score, 4), 'label': label, 'class': classes[label]}
        for box, score, label in zip(
            instances.bboxes.tolist(), instances.scores.tolist(), instances.labels.tolist(), strict=True)
        if score >= score_thr]
