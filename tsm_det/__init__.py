"""Online video object detection with the Temporal Shift Module, as an mmdetection plugin.

Importing this package registers its models, datasets, transforms and metrics with mmdet.
"""

import contextlib
import io
import warnings

try:
    # mmdet prints about optional packages (OneDL, faster_coco_eval) that nothing here uses.
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.filterwarnings('ignore', 'faster_coco_eval')
        import mmcv.ops  # noqa: F401
        import mmdet.datasets
        import mmdet.evaluation
        import mmdet.models  # noqa: F401
        import mmengine  # noqa: F401
except (ImportError, OSError, AssertionError) as error:  # mmdet asserts the versions it works with
    raise ImportError(
        f'tsm_det needs torch, mmengine, mmcv with its compiled ops, and mmdet, but importing them failed: {error}\n'
        "Install torch first, then the maintained stack: pip install --no-build-isolation 'tsm_det[onedl]'\n"
        "(or upstream's: 'tsm_det[openmmlab]'); in a clone, `make setup` does all of it.", name='tsm_det') from error

from tsm_det import mixed_precision, randomness  # noqa: F401
from tsm_det.config import config_path
from tsm_det.datasets import (  # noqa: F401
    augmentation,
    clips,
    coco_vid,
    degrade,
    imagenet_vid,
    key_frames,
    load_frame,
    pasting,
    synthetic_vid,
)
from tsm_det.evaluation import vid_metric  # noqa: F401
from tsm_det.models import (  # noqa: F401
    backbones,
    box_selection,
    clip_preprocessor,
    detectors,
    memory_roi_head,
    necks,
    roi_align,
    tps_swin_transformer,
)
from tsm_det.shift import ShiftState, map_state, temporal_shift
from tsm_det.stream_bank import StreamBank
from tsm_det.streams.offline_detector import OfflineDetector
from tsm_det.streams.online_detector import OnlineDetector
from tsm_det.streams.to_supervision import to_supervision
from tsm_det.version import __version__

__all__ = [
    'OfflineDetector', 'OnlineDetector', 'ShiftState', 'StreamBank', '__version__', 'config_path', 'map_state',
    'temporal_shift', 'to_supervision']
