"""Draw clips as contact sheets: frames side by side with their boxes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import get_box_tensor
from torch import Tensor

from tsm_det.video.drawing import label_colour

SHEET_WIDTH, SHEET_HEIGHT = 2400, 2400
FRAMES_A_ROW = 4
_ENLARGED = 3  # times, at most
_LINE, _GAP, _NARROWEST = 34, 8, 640  # px: height of a line of text, space between cells, room for a title
_PAPER, _BAND, _INK, _IGNORED = (255, 255, 255), (225, 225, 225), (0, 0, 0), (150, 150, 150)
_FONT, _FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.7

Colour = tuple[int, int, int]


def clip_picture(frames: Sequence[Tensor], clip: Sequence[DetDataSample], classes: Sequence[str]) -> np.ndarray:
    """Draw the frames of a clip in rows, oldest first, under a title and the names of the tracks' colours.

    A track has one colour over the clip. Boxes that training ignores are grey. Small frames are enlarged, large
    ones reduced.

    Args:
        frames: T of ``(C, H, W)``, BGR in 0 to 255, as the pipeline packs them.
        clip: T samples with ``gt_instances`` in px of those frames.
        classes: names of the labels.

    Returns:
        ``(H', W', 3)`` BGR uint8, at most :data:`SHEET_WIDTH` wide.
    """
    tracks = sorted({track for sample in clip for track in _boxes(sample)[1]})
    colours = {track: label_colour(place) for place, track in enumerate(tracks)}
    per_row = min(len(clip), FRAMES_A_ROW)
    scale = min((SHEET_WIDTH / per_row - _GAP) / max(frames[0].shape[-2:]), _ENLARGED)
    cells = [_cell(frame, sample, colours, scale) for frame, sample in zip(frames, clip, strict=True)]
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % per_row)
    rows = [np.hstack(cells[start:start + per_row]) for start in range(0, len(cells), per_row)]
    body = _widened(np.vstack(rows), _NARROWEST)
    names = [(f'{classes[label]} #{track}', colours[track, label]) for track, label in tracks]
    if any('bboxes' in sample.get('ignored_instances', {}) and len(sample.ignored_instances) for sample in clip):
        names.append(('ignored', _IGNORED))
    return np.vstack([*_text([(_title(clip, frames[0].shape[-2:]), None)], body.shape[1], _BAND),
                      *_text(names or [('no boxes', None)], body.shape[1], _BAND), body])


def sheets(pictures: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Put pictures under each other, as many as :data:`SHEET_HEIGHT` has room for."""
    waiting: list[np.ndarray] = []
    for picture in pictures:
        if waiting and sum(map(len, waiting)) + len(picture) > SHEET_HEIGHT:
            yield _stacked(waiting)
            waiting = []
        waiting.append(picture)
    if waiting:
        yield _stacked(waiting)


def _title(clip: Sequence[DetDataSample], size: tuple[int, int]) -> str:
    first, last = clip[0].metainfo, clip[-1].metainfo
    paths = {sample.metainfo['img_path'] for sample in clip}
    # Frames of one video file, or copies of a still, share a path; others share a folder.
    path = Path(first['img_path']) if len(paths) == 1 else Path(first['img_path']).parent
    video = first['video_id']
    video = ' '.join(map(str, video)) if isinstance(video, tuple) else f'video {video}'
    flip = f', flipped {first.get("flip_direction") or ""}'.rstrip() if first.get('flip') else ''
    return (f'{video} ({"/".join(path.parts[-2:])}), frames {first["frame_id"]} to {last["frame_id"]}, '
            f'{size[1]} x {size[0]} px{flip}')


def _boxes(sample: DetDataSample, field: str = 'gt_instances') -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Boxes ``(n, 4)`` x1, y1, x2, y2 in px, and (track id, label) of each."""
    found = sample.get(field, {})
    if 'bboxes' not in found:  # a pipeline that loads no annotations
        return np.zeros((0, 4)), []
    labels = found.labels.tolist()
    ids = found.instances_ids.tolist() if 'instances_ids' in found else range(1, 1 + len(labels))
    return get_box_tensor(found.bboxes).numpy(), list(zip(ids, labels, strict=True))


def _cell(frame: Tensor, sample: DetDataSample, colours: dict[tuple[int, int], Colour], scale: float) -> np.ndarray:
    image = frame.permute(1, 2, 0).numpy()
    image = np.clip(np.round(image), 0, 255).astype(np.uint8)
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    image = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA)
    for box in _boxes(sample, 'ignored_instances')[0]:
        _draw_box(image, box * scale, _IGNORED)
    for box, track in zip(*_boxes(sample), strict=True):
        _draw_box(image, box * scale, colours[track])
    (caption,) = _text([(f'frame {sample.frame_id}', None)], image.shape[1], _PAPER)
    return np.pad(np.vstack([caption, image]), ((0, _GAP), (0, _GAP), (0, 0)), constant_values=255)


def _draw_box(image: np.ndarray, box: np.ndarray, colour: Colour) -> None:
    height, width = image.shape[:2]
    left, top, right, bottom = np.clip(box.round(), -3, [width + 3, height + 3] * 2).astype(int).tolist()
    # A line around the line, on the outside where it hides nothing of the object: dark colours show on dark frames.
    around = (0, 0, 0) if sum(colour) > 380 else (255, 255, 255)
    cv2.rectangle(image, (left - 2, top - 2), (right + 2, bottom + 2), around, 1)
    cv2.rectangle(image, (left, top), (right, bottom), colour, 2)


def _text(entries: Sequence[tuple[str, Colour | None]], width: int, paper: Colour) -> list[np.ndarray]:
    """Lines of text with as many entries as fit, those that have a colour behind a patch of it."""
    lines, x = [np.full((_LINE, width, 3), paper, np.uint8)], 6
    for text, colour in entries:
        patch = 28 if colour else 0
        length = cv2.getTextSize(text, _FONT, _FONT_SCALE, 1)[0][0]
        if x > 6 and x + patch + length > width:
            lines.append(np.full_like(lines[0], paper))
            x = 6
        if colour:
            cv2.rectangle(lines[-1], (x, 8), (x + 18, 26), colour, cv2.FILLED)
        shrunk = _FONT_SCALE * min(1, (width - 12 - patch) / length)
        cv2.putText(lines[-1], text, (x + patch, 25), _FONT, shrunk, _INK, 1, cv2.LINE_AA)
        x += patch + length + 24
    return lines


def _widened(picture: np.ndarray, width: int) -> np.ndarray:
    return np.pad(picture, ((0, 0), (0, max(0, width - picture.shape[1])), (0, 0)), constant_values=255)


def _stacked(pictures: Sequence[np.ndarray]) -> np.ndarray:
    width = max(picture.shape[1] for picture in pictures)
    return np.vstack([_widened(picture, width) for picture in pictures])
