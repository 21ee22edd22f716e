"""Two detectors on the same video, as one animated picture."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from tsm_det.errors import InputError
from tsm_det.files import write_bytes
from tsm_det.locks import locked
from tsm_det.streams.detections import detections_of
from tsm_det.streams.online_detector import OnlineDetector
from tsm_det.video.drawing import draw_detections
from tsm_det.video.sources import Source

_BAR, _GAP = 26, 6  # px: height of the line of names, space between the pictures


def write_side_by_side(detectors: Sequence[OnlineDetector], names: Sequence[str], source: Source,
                       out: str | os.PathLike, frames: range, score_thr: float = 0.3, fps: float = 5.0,
                       height: int = 256) -> None:
    """Write an animated GIF of a video with the detections of several detectors, one beside the other.

    Every detector streams the video from frame 0; the picture shows a part of it. Raises InputError when ``out`` is not
    a .gif, cannot be written or is another run's output, or the video ends before ``frames`` begin.

    Args:
        detectors: in order from left to right.
        names: their titles.
        source: a recorded video.
        out: path of the GIF.
        frames: frame ids to show, with a step of 1.
        score_thr: lowest score of a detection that is drawn.
        fps: frames per second of the picture.
        height: of each frame in it, px.
    """
    if Path(out).suffix.lower() != '.gif':
        raise InputError(f'--out is {out} but the picture is an animated GIF: give a name that ends in .gif')
    with locked(out):
        pictures = _pictures(detectors, names, source, frames, score_thr, height)
        buffer = io.BytesIO()
        pictures[0].save(buffer, 'GIF', save_all=True, append_images=pictures[1:], duration=round(1000 / fps), loop=0)
        write_bytes(buffer.getvalue(), out)


def _pictures(detectors: Sequence[OnlineDetector], names: Sequence[str], source: Source, frames: range,
              score_thr: float, height: int) -> list[Image.Image]:
    pictures = []
    for frame in islice(source.frames(), frames.stop):
        results = [detections_of(detector(frame.image), detector.classes, score_thr) for detector in detectors]
        if frame.frame_id in frames:
            cells = [_cell(frame.image, detections, f'{name}: frame {frame.frame_id}', height)
                     for detections, name in zip(results, names, strict=True)]
            pictures.append(Image.fromarray(np.hstack(cells)[..., ::-1]).quantize(96, dither=Image.Dither.NONE))
    if not pictures:
        raise InputError(f'{source.name} has {source.num_frames} frames but frame {frames.start} should be the first: '
                         'give an earlier --first')
    return pictures


def _cell(image: np.ndarray, detections: list[dict], title: str, height: int) -> np.ndarray:
    scale = height / image.shape[0]
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    scaled = [{**detection, 'bbox': [side * scale for side in detection['bbox']]} for detection in detections]
    picture = cv2.copyMakeBorder(draw_detections(image, scaled), _BAR, 0, 0, _GAP, cv2.BORDER_CONSTANT,
                                 value=(255, 255, 255))
    return cv2.putText(picture, title, (4, _BAR - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
