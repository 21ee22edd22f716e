"""mmdet's detectors for streams, one line each."""

from __future__ import annotations

from mmdet.models import detectors

from tsm_det.models.temporal_class import temporal_class
from tsm_det.models.temporal_detector import TemporalDetector


def temporal_detector(detector: type) -> type:
    """Make and register ``TSM`` + the name of a detector class; see :class:`TemporalDetector`."""
    return temporal_class(TemporalDetector, detector)


TSMFasterRCNN = temporal_detector(detectors.FasterRCNN)
TSMCascadeRCNN = temporal_detector(detectors.CascadeRCNN)
TSMMaskRCNN = temporal_detector(detectors.MaskRCNN)
TSMRetinaNet = temporal_detector(detectors.RetinaNet)
TSMFCOS = temporal_detector(detectors.FCOS)
TSMATSS = temporal_detector(detectors.ATSS)
TSMGFL = temporal_detector(detectors.GFL)
TSMTOOD = temporal_detector(detectors.TOOD)
TSMRTMDet = temporal_detector(detectors.RTMDet)
TSMYOLOX = temporal_detector(detectors.YOLOX)
TSMYOLOF = temporal_detector(detectors.YOLOF)
TSMDETR = temporal_detector(detectors.DETR)
TSMDeformableDETR = temporal_detector(detectors.DeformableDETR)
TSMDINO = temporal_detector(detectors.DINO)
