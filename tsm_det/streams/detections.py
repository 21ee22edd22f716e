"""The detections of a frame as plain values, as they stand in a line of JSON."""

from __future__ import annotations

from collections.abc import Sequence

from mmdet.structures import DetDataSample


def detections_of(sample: DetDataSample, classes: Sequence[str], score_thr: float = 0.0) -> list[dict]:
    """Detections of at least ``score_thr``, the surest first.

    Returns:
        ``{'bbox': [x1, y1, x2, y2], 'score', 'label', 'class'}`` each: px, label 0-based.
    """
    found = sample.pred_instances.cpu()
    order = found.scores.argsort(descending=True)
    return [
        {'bbox': [round(side, 2) for side in box], 'score': round(score, 4), 'label': label, 'class': classes[label]}
        for box, score, label in zip(found.bboxes[order].tolist(), found.scores[order].tolist(),
                                     found.labels[order].tolist(), strict=True)
        if score >= score_thr]
