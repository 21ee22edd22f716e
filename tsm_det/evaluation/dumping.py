"""Write the detections of a test run, and the frames with detections drawn in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import mmengine
from mmdet.evaluation.metrics import BaseVideoMetric
from mmdet.structures import TrackDataSample
from mmengine.hooks import Hook
from mmengine.runner import Runner

from tsm_det.datasets.load_frame import LoadFrame
from tsm_det.errors import InputError
from tsm_det.files import write_bytes
from tsm_det.streams.detections import detections_of
from tsm_det.video.drawing import draw_detections


class DumpDetections(BaseVideoMetric):
    """Writes the detections of all frames of all videos to one pickle file, a dict per frame as in mmdet."""

    def __init__(self, out: str) -> None:
        super().__init__()
        self.out = out

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keep the predictions and the meta information of all frames of the clips."""
        for clip in data_samples:
            for frame in clip['video_data_samples']:
                self.results.append({key: value for key, value in frame.cpu().to_dict().items()
                                     if key not in ('gt_instances', 'ignored_instances', 'instances')})

    def compute_metrics(self, results: list[dict]) -> dict:
        """Write the file; there are no scores."""
        write_bytes(mmengine.dump(results, file_format='pkl'), self.out)
        return {}


class DrawDetections(Hook):
    """Writes every test frame as ``FOLDER/VIDEO_ID-NAME/FRAME_ID.jpg``, with its detections from ``score_thr`` on."""

    def __init__(self, folder: str, score_thr: float = 0.3) -> None:
        self.folder, self.score_thr, self.load = Path(folder), score_thr, LoadFrame()

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                        outputs: Sequence[TrackDataSample] | None = None) -> None:
        """Read the frames of a batch from their files again, and draw on them."""
        classes = runner.test_loop.dataloader.dataset.metainfo['classes']
        for clip in outputs:
            for frame in clip:
                image = self.load({key: frame.metainfo.get(key) for key in ('img_path', 'frame_in_file')})['img']
                # Names of files and folders may repeat, ids do not; the id of a still is a tuple.
                video, path = frame.video_id, Path(frame.img_path)
                name = path.parent.name if frame.metainfo.get('frame_in_file') is None else path.stem
                name = '-'.join(map(str, [*(video if isinstance(video, tuple) else [video]), name]))
                path = self.folder / name / f'{frame.frame_id:06d}.jpg'
                path.parent.mkdir(parents=True, exist_ok=True)
                if not cv2.imwrite(str(path), draw_detections(image, detections_of(frame, classes, self.score_thr))):
                    raise InputError(f'{path} cannot be written: give a --show-dir with room that you may write to')
