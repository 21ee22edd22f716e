"""Draw a clip as a contact sheet: frames side by side with their boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import get_box_tensor
from torch import Tensor

from tsm_det.video.drawing import label_colour

FRAMES_PER_ROW = 4
_CELL_INCHES, _LINE_INCHES, _LABELS_PER_LINE, _DPI = 6.0, 0.35, 8, 100
_IGNORED = (0.6, 0.6, 0.6)


def clip_figure(frames: Sequence[Tensor], clip: Sequence[DetDataSample], classes: Sequence[str]) -> Figure:
    """Draw the frames of a clip in rows, oldest first, under a title and a legend of tracks.

    A track has one colour over the clip. Boxes that training ignores are grey.

    Args:
        frames: T of ``(C, H, W)``, BGR in 0 to 255, as the pipeline packs them.
        clip: T samples with ``gt_instances`` in px of those frames.
        classes: names of the labels.
    """
    tracks = sorted({track for sample in clip for track in _boxes(sample)[1]})
    colours = {track: tuple(np.array(label_colour(place)[::-1]) / 255) for place, track in enumerate(tracks)}
    columns = min(len(clip), FRAMES_PER_ROW)
    rows, (height, width) = math.ceil(len(clip) / columns), frames[0].shape[-2:]
    lines = 1 + max(1, math.ceil(len(tracks) / _LABELS_PER_LINE))
    figure = Figure((FRAMES_PER_ROW * _CELL_INCHES, rows * (_CELL_INCHES * height / width + _LINE_INCHES)
                     + lines * _LINE_INCHES), dpi=_DPI, layout='compressed')
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, frame, sample in zip(axes, frames, clip, strict=False):
        axis.imshow(np.clip(frame.permute(1, 2, 0).numpy()[..., ::-1].round(), 0, 255).astype(np.uint8))
        axis.set_title(f'frame {sample.frame_id}', loc='left')
        for box in _boxes(sample, 'ignored_instances')[0]:
            _draw_box(axis, box, _IGNORED)
        for box, track in zip(*_boxes(sample), strict=True):
            _draw_box(axis, box, colours[track])
    for axis in axes:
        axis.set_axis_off()
    handles = [Patch(color=colour, label=f'{classes[label]} #{track}') for (track, label), colour in colours.items()]
    if any(len(_boxes(sample, 'ignored_instances')[0]) for sample in clip):
        handles.append(Patch(color=_IGNORED, label='ignored'))
    figure.suptitle(_title(clip, (height, width)))
    figure.legend(handles=handles or [Patch(alpha=0, label='no boxes')], loc='outside lower left',
                  ncols=_LABELS_PER_LINE)
    return figure


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
    """Return boxes ``(n, 4)`` x1, y1, x2, y2 in px, and (track id, label) of each."""
    instances = sample.get(field, {})
    if 'bboxes' not in instances:  # the pipeline loads no annotations
        return np.zeros((0, 4)), []
    labels = instances.labels.tolist()
    ids = instances.instances_ids.tolist() if 'instances_ids' in instances else range(1, 1 + len(labels))
    return get_box_tensor(instances.bboxes).numpy(), list(zip(ids, labels, strict=True))


def _draw_box(axis: Axes, box: np.ndarray, colour: tuple[float, float, float]) -> None:
    # Edges of pixels are at half numbers. The black line makes dark colours visible on dark frames.
    left, top, right, bottom = (box - 0.5).tolist()
    for line, edge in ((4, 'black'), (2, colour)):
        axis.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=edge, linewidth=line))
