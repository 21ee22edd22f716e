"""A small synthetic video data set, to try things without a download.

Four classes of objects move over a panning background. Bursts of motion blur, defocus, noise and darkness make single
frames hard whose neighbours are clear, so that a memory can help.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import av
import cv2
import numpy as np
from mmdet.registry import DATASETS
from mmengine.logging import print_log
from tqdm import tqdm

from tsm_det.datasets.coco_vid import CocoVIDDataset
from tsm_det.datasets.synthetic_scene import DEGRADATIONS, SHAPES, Scene, make_scene
from tsm_det.errors import InputError
from tsm_det.files import write_atomically

LEAD = 3  # clean frames at the start of a video
BURST = (3, 8)  # degraded frames in a row, ends included
PAUSE = (5, 11)  # clean frames between bursts, ends included

VERSION = 1  # raise it when the same arguments draw other pixels
LEAST_INSIDE = 0.15  # share of an object's area that must be in the frame for a box
MOST_COVERED = 0.75  # share of the part in the frame that nearer layers may cover
OCCLUDED_FROM = 0.1  # covered share from which a box is marked occluded
_SPLITS = ('train', 'val')


@DATASETS.register_module()
class SyntheticVIDDataset(CocoVIDDataset):
    """CocoVID over :func:`make_synthetic_vid`, which writes the files at first use (some seconds).

    Args:
        data_root: folder of the videos and of ``train.json`` and ``val.json``.
        kwargs: keys of :class:`CocoVIDDataset`.

    Raises:
        InputError: ``data_root`` holds something else.
    """

    def __init__(self, *args, data_root: str, **kwargs) -> None:
        if not is_made(data_root):
            print_log(f'making synthetic video in {data_root} (some seconds)', 'current')
            make_synthetic_vid(data_root, progress=tqdm)
        super().__init__(*args, data_root=data_root, **kwargs)


def make_synthetic_vid(root: str | os.PathLike, seed: int = 0, train_videos: int = 96, val_videos: int = 24,
                       frames_per_video: int = 32, size: tuple[int, int] = (128, 128),
                       progress: Callable[[Iterable], Iterable] = iter) -> None:
    """Write ``train/*.mp4``, ``val/*.mp4`` and their CocoVID files ``train.json``, ``val.json`` into ``root``.

    The same arguments give the same annotations and pixels (files of frames much smaller than 128 px may differ by a
    few bytes). The data set appears whole or not at all. An existing one made with the same arguments is kept.

    Args:
        root: a folder that does not exist yet, is empty, or holds this data set.
        seed: at least 0.
        size: height and width, px, even for H.264.
        progress: wraps the numbers of the videos, e.g. ``tqdm``.

    Raises:
        InputError: ``root`` holds something else or cannot be written, or an argument is out of range.
    """
    root = Path(root).resolve()
    recipe = {'made_by': 'make_synthetic_vid', 'version': VERSION, 'seed': seed, 'train_videos': train_videos,
              'val_videos': val_videos, 'frames_per_video': frames_per_video, 'size': list(size)}
    _check_recipe(recipe)
    if is_made(root, recipe):
        return
    try:
        with write_atomically(root) as folder:
            for split, num_videos in zip(_SPLITS, (train_videos, val_videos), strict=True):
                _write_split(folder, split, progress(range(num_videos)), recipe)
    except InputError:
        if not is_made(root, recipe):  # otherwise another process was faster, with the same data
            raise


def plan_scene(seed: tuple[int, ...], num_frames: int, size: tuple[int, int]) -> Scene:
    """Plan a scene and its bursts of degraded frames, whose kinds take turns."""
    rng = np.random.default_rng((*seed, num_frames))
    kinds = itertools.cycle(rng.permutation(DEGRADATIONS).tolist())
    plan = ['none'] * LEAD
    while len(plan) < num_frames:
        plan += [next(kinds)] * rng.integers(*BURST, endpoint=True)
        plan += ['none'] * rng.integers(*PAUSE, endpoint=True)
    return make_scene(seed, tuple(plan[:num_frames]), size)


def annotate(scene: Scene, frame_id: int) -> list[dict]:
    """List the visible objects of a frame, farthest first.

    Returns:
        For each object its ``layer`` (index in the scene) and the CocoVID keys ``category_id``, ``bbox`` (xywh in px of
        the part in the frame, covered or not), ``area`` (of the box) and ``occluded``.
    """
    masks = scene.masks(frame_id)
    objects, nearer = [], np.zeros(scene.size, bool)
    for index, layer in reversed(list(enumerate(scene.layers))):
        mask = masks[index]
        covered = (mask & nearer).sum() / max(mask.sum(), 1)
        nearer |= mask
        if layer.shape is None or mask.sum() < LEAST_INSIDE * layer.area(frame_id) or covered > MOST_COVERED:
            continue
        x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
        objects.append({'layer': index, 'category_id': layer.shape + 1, 'bbox': [x, y, width, height],
                        'area': width * height, 'occluded': bool(covered > OCCLUDED_FROM)})
    return objects[::-1]


def _write_split(root: Path, split: str, numbers: Iterable[int], recipe: dict) -> None:
    """Write a folder of videos and its CocoVID file; names of videos are relative to ``root``."""
    (root / split).mkdir(parents=True)
    height, width = size = tuple(recipe['size'])
    videos, images, annotations, tracks = [], [], [], {}
    for number in numbers:
        scene = plan_scene((recipe['seed'], _SPLITS.index(split), number), recipe['frames_per_video'], size)
        video = {'id': number + 1, 'name': f'{split}/{number:03d}.mp4', 'width': width, 'height': height}
        videos.append(video)
        for frame_id, degradation in enumerate(scene.degradations):
            image = {'id': len(images) + 1, 'file_name': video['name'], 'width': width, 'height': height,
                     'video_id': video['id'], 'frame_id': frame_id, 'frame_in_file': frame_id,
                     'degraded': degradation != 'none', 'degradation': degradation}
            images.append(image)
            for seen in annotate(scene, frame_id):
                track = tracks.setdefault((number, seen.pop('layer')), len(tracks) + 1)
                annotations.append({'id': len(annotations) + 1, 'image_id': image['id'], 'video_id': video['id'],
                                    'instance_id': track, **seen, 'iscrowd': 0, 'generated': False})
        _encode((scene.frame(frame_id) for frame_id in range(len(scene.degradations))), root / video['name'], size)
    categories = [{'id': label, 'name': shape.name} for label, shape in enumerate(SHAPES, start=1)]
    content = {'info': recipe, 'videos': videos, 'images': images, 'annotations': annotations,
               'categories': categories}
    (root / f'{split}.json').write_text(json.dumps(content))


def _encode(frames: Iterable[np.ndarray], path: Path, size: tuple[int, int]) -> None:
    """Write BGR frames as H.264 at 25 frames per second."""
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=25, options={'crf': '16', 'g': '12', 'bf': '0', 'threads': '1'})
        stream.height, stream.width = size
        stream.pix_fmt = 'yuv420p'
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format='bgr24')))
        container.mux(stream.encode())


def is_made(root: str | os.PathLike, recipe: dict | None = None) -> bool:
    """Whether the folder holds this data set; False if it is empty or missing.

    Args:
        root: the folder.
        recipe: arguments of the data set; None accepts any, from this version.

    Raises InputError when the folder holds something else.
    """
    root, recipe = Path(root), recipe or {'made_by': 'make_synthetic_vid', 'version': VERSION}
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    try:
        infos = [json.loads((root / f'{split}.json').read_bytes())['info'] for split in _SPLITS]
    except (OSError, ValueError, TypeError, LookupError):
        infos = []
    if not all(recipe.items() <= info.items() for info in infos) or len(infos) < len(_SPLITS):
        raise InputError(f'{root} exists and is not the synthetic data set with {recipe}: give another folder, '
                         'or remove this one')
    return True


def _check_recipe(recipe: dict) -> None:
    for key in ('train_videos', 'val_videos', 'frames_per_video'):
        if recipe[key] < 1:
            raise InputError(f'{key} is {recipe[key]} but must be at least 1')
    if recipe['seed'] < 0:
        raise InputError(f'seed is {recipe["seed"]} but must be at least 0')
    if min(recipe['size']) < 64 or any(side % 2 for side in recipe['size']):
        raise InputError(f'size is {recipe["size"]} but height and width must be even and at least 64 px')
