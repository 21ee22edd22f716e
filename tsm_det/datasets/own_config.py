"""Write the config of a detector for one's own data; docs/own_data.md explains its lines."""

from __future__ import annotations

import math
import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from tsm_det.cocovid.check_contents import usual_step
from tsm_det.cocovid.read import TRAINING, read_coco_vid
from tsm_det.errors import InputError
from tsm_det.files import write_text

_SMALLEST_SIDE, _LARGEST_SIDE = 10, 60  # px of objects that the base config is meant for
_SCALE, _WINDOW = (320, 256), (128, 160)  # of the base config: (width, height) and (height, width) in px
_HELD_OUT = 'None of these videos is trained on.'
_TRAINED_ON = ('These videos are trained on, so their scores are too high: hold some out by `tsm-det convert split` '
               'and name them here.')
_TEMPLATE = '''"""The small detector of tsm_det on {num_videos} videos of {num_frames} frames with {num_boxes} boxes."""
# 'faster_rcnn_r18_thermal' is the 2D baseline.
_base_ = __import__('tsm_det').config_path('tsm_faster_rcnn_r18_thermal')
classes = {classes}
dataset = dict(metainfo=dict(classes=classes), hint='see docs/own_data.md')
train_dataloader = dict(dataset=dict(
    ann_file={data!r}, data_prefix=dict(img_path={images!r}), **dataset))
# {about_val}
val_dataloader = dict(dataset=dict(
    ann_file={val!r}, data_prefix=dict(img_path={val_images!r}), **dataset))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file={val!r})
test_evaluator = val_evaluator
model = dict(roi_head=dict(bbox_head=dict(num_classes=len(classes))))
# Number of training steps; each step has 16 clips of 4 frames.
max_iters = 2000
train_cfg = dict(max_iters=max_iters, val_interval=1000)
param_scheduler = dict(total_steps=max_iters)
# Frames are scaled to fit into (width, height) px. Objects should still be at least 10 px afterwards.
scale = {scale}
_base_.train_dataloader.dataset.pipeline[1].transforms[2].scale = scale  # of RandomResize
_base_.val_dataloader.dataset.pipeline[0].transforms[2].scale = scale
_base_.test_dataloader.dataset.pipeline[0].transforms[2].scale = scale
# Training crops windows (height, width) px, most of them around an object.
_base_.train_dataloader.dataset.pipeline[1].transforms[3].size = {window}
# Largest difference of neighbouring frame ids in a clip.
_base_.train_dataloader.dataset.pipeline[0].max_gap = {max_gap}
'''


def write_config(path: str, data: str, val: str | None = None, images: Sequence[str] | None = None) -> str:
    """Write a config that trains on a CocoVID file and scores another.

    Args:
        path: ``.py`` file to write.
        data: CocoVID file to train on; its categories are the classes.
        val: CocoVID file to validate and test on; None takes ``data``.
        images: folder that the file names are relative to, or one for each file; None is the folder of each file.

    Returns:
        What was written, and the command that trains it.

    Raises:
        InputError: ``path`` exists or does not end in ``.py``; a CocoVID file is invalid, has no box or a category
            that the other lacks; or its images are not in the folder.
    """
    if os.path.exists(path) or not path.endswith('.py'):
        raise InputError(f'{path} {"exists" if os.path.exists(path) else "does not end in .py"}: give the name of a '
                         'new config, such as birds.py')
    if images is not None and len(images) > 2:
        raise InputError(f'--images names {len(images)} folders but there are two files: name one or two')
    files = data, val or data
    folders = [*images, *images][:2] if images else [os.path.dirname(file) for file in files]
    content, scored = [_read(file, folder) for file, folder in zip(files, folders, strict=True)]
    classes = tuple(category['name'] for category in content['categories'])
    if lacking := set(classes) ^ {category['name'] for category in scored['categories']}:
        raise InputError(f'{", ".join(sorted(lacking))} is a category of only one of {data} and {val}: convert both '
                         'with the same --classes')
    boxes = _box_sizes(data, content)
    scale, window = _sizes(content['images'], boxes)
    write_text(_TEMPLATE.format(
        classes=classes, data=data, images=folders[0], val=files[1], val_images=folders[1], scale=scale, window=window,
        max_gap=_max_gap(content['images']), about_val=_HELD_OUT if val else _TRAINED_ON, num_boxes=len(boxes),
        num_videos=len(content['videos']), num_frames=len(content['images'])), path)
    return f'{path}: {len(boxes)} boxes of {", ".join(classes)}; train it by\ntsm-det train {path}'


def _read(file: str, folder: str) -> dict:
    """Read a CocoVID file and look for the first image of each video."""
    content = read_coco_vid(file, TRAINING, 'tsm-det convert makes it')
    first = {image.get('video_id'): image['file_name'] for image in reversed(content['images'])}
    if missing := [name for name in first.values() if not Path(folder, name).is_file()]:
        raise InputError(f'{len(missing)} of the files that {file} names are not in {folder or "this folder"}, for '
                         f'example {missing[0]}: give the folder that they are in as --images')
    return content


def _box_sizes(file: str, content: dict) -> np.ndarray:
    """Square roots of the areas of the boxes that have one, ``(n,)`` px."""
    boxes = np.array([annotation['bbox'] for annotation in content['annotations'] if not annotation.get('iscrowd')],
                     float).reshape(-1, 4)
    boxes = boxes[np.isfinite(boxes).all(1) & (boxes[:, 2:] > 0).all(1)]
    if not len(boxes):
        raise InputError(f'{file} has no box with an area: convert videos with boxes')
    return np.sqrt(boxes[:, 2:].prod(axis=1))


def _sizes(images: Sequence[dict], boxes: np.ndarray) -> tuple[tuple[int, int], tuple[int, int]]:
    """The base config's scale, enlarged for small objects, and its window, enlarged for large ones."""
    [(shape, _)] = Counter((image['width'], image['height']) for image in images).most_common(1)
    small, large = np.percentile(boxes, [10, 90])
    fit = min(most / side for most, side in zip(_SCALE, shape, strict=True))
    factor = max(fit, min(1, _SMALLEST_SIDE / small))
    times = math.ceil(max(1, large * factor / _LARGEST_SIDE))
    scale = _SCALE if factor == fit else tuple(math.ceil(side * factor) for side in shape)
    return scale, tuple(side * times for side in _WINDOW)


def _max_gap(images: Sequence[dict]) -> int:
    """The largest usual step between frame ids of a video."""
    frames = defaultdict(set)
    for image in images:
        frames[image.get('video_id')].add(image.get('frame_id') or 0)
    steps = [Counter(later - earlier for earlier, later in pairwise(sorted(ids))) for ids in frames.values()]
    return max((usual_step(counts) for counts in steps if counts), default=1)
