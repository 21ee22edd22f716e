"""Results for the package supervision: its zones, lines, counters and heat maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from mmdet.structures import DetDataSample

from tsm_det.errors import InputError

if TYPE_CHECKING:
    from supervision import Detections


def to_supervision(sample: DetDataSample, classes: Sequence[str] | None = None) -> Detections:
    """Turn a result into ``supervision.Detections``.

    Args:
        sample: a result of a detector. With a tracker, detections without a track are left out: a counter would take
            them all for one object.
        classes: names of the labels, ``detector.classes``, for ``data['class_name']``; None leaves it out.

    Raises InputError when supervision is not installed.
    """
    try:
        from supervision import Detections
    except ImportError as error:
        raise InputError("to_supervision needs the package supervision: pip install 'tsm_det[supervision]'") from error
    instances = sample.pred_instances.cpu()
    if is_tracked := 'track_ids' in instances:
        instances = instances[instances.track_ids > 0]
    labels = instances.labels.numpy()
    return Detections(
        xyxy=instances.bboxes.numpy(), confidence=instances.scores.numpy(), class_id=labels,
        tracker_id=instances.track_ids.numpy() if is_tracked else None,
        data={} if classes is None else {'class_name': np.array([classes[label] for label in labels], dtype=str)})
