"""A tiny tree in the layout of ImageNet VID and DET."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

BEAR, DOG, TRAIN = 'n02131653', 'n02084071', 'n04468005'


class Box(NamedTuple):
    """An object of an XML file."""

    synset: str
    corners: tuple[float, float, float, float]
    track: int | None = 0
    occluded: int = 0
    generated: int = 0


def annotation(boxes, size=(64, 48)) -> str:
    """The text of an XML file; size is width, height."""
    objects = ''.join(
        f'<object>{"" if box.track is None else f"<trackid>{box.track}</trackid>"}<name>{box.synset}</name><bndbox>'
        f'<xmax>{box.corners[2]}</xmax><xmin>{box.corners[0]}</xmin><ymax>{box.corners[3]}</ymax>'
        f'<ymin>{box.corners[1]}</ymin></bndbox><occluded>{box.occluded}</occluded>'
        f'<generated>{box.generated}</generated></object>' for box in boxes)
    return (f'<annotation><folder>f</folder><filename>n</filename><source><database>ILSVRC_2015</database></source>'
            f'<size><width>{size[0]}</width><height>{size[1]}</height></size>{objects}</annotation>')


def add_image(root: Path, name: str, boxes, size=(64, 48)) -> None:
    """Write ``Data/NAME.JPEG`` and ``Annotations/NAME.xml``."""
    for folder in ('Data', 'Annotations'):
        (root / folder / name).parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(abs(hash(name)) % 2 ** 32).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    cv2.imwrite(str(root / 'Data' / f'{name}.JPEG'), pixels)
    (root / 'Annotations' / f'{name}.xml').write_text(annotation(boxes, size))


def add_video(root: Path, folder: str, frames, key_frames=(), size=(64, 48)) -> None:
    """Write a video, a list of boxes a frame, and its lines in the list of its split."""
    for number, boxes in enumerate(frames):
        add_image(root, f'VID/{folder}/{number:06d}', boxes, size)
    if folder.startswith('train'):
        add_lines(root, 'VID_train_15frames.txt', [f'{folder} 1 {key} {len(frames)}' for key in key_frames])
    else:
        add_lines(root, 'VID_val_videos.txt', [f'{folder} 1 0 {len(frames)}'])


def add_lines(root: Path, name: str, lines) -> None:
    (root / 'ImageSets').mkdir(parents=True, exist_ok=True)
    with (root / 'ImageSets' / name).open('a') as file:
        file.write(''.join(f'{line}\n' for line in lines))


def write_tree(root: Path) -> Path:
    """Three videos to train on (two with gaps in boxes, one with key frame 0), three to test on, three stills."""
    moving = [[Box(DOG, (4 + k, 6, 30 + k, 40), track=5)] for k in range(12)]
    hidden = [boxes if k not in (3, 4, 7) else [] for k, boxes in enumerate(moving)]
    two = [[*boxes, Box(BEAR, (30, 20, 60, 44), track=1, occluded=1, generated=1)] if k % 3 else boxes
           for k, boxes in enumerate(moving)]
    add_video(root, 'train/ILSVRC2015_VID_train_0000/ILSVRC2015_train_00000000', moving[:10], key_frames=(0, 3, 9))
    add_video(root, 'train/ILSVRC2015_VID_train_0000/ILSVRC2015_train_00001000', hidden, key_frames=(2, 7))
    add_video(root, 'train/ILSVRC2015_VID_train_0001/ILSVRC2015_train_00010001', two, key_frames=(5,))
    add_video(root, 'val/ILSVRC2015_val_00000000', hidden[:6])
    add_video(root, 'val/ILSVRC2015_val_00000001', two[:5])
    add_video(root, 'val/ILSVRC2015_val_00000002', moving[:1])
    stills = ['train/ILSVRC2013_train/n02131653/n02131653_1', 'train/ILSVRC2014_train_0006/ILSVRC2014_train_00060036',
              'train/ILSVRC2013_train/n02084071/n02084071_10']
    for still in stills:
        add_image(root, f'DET/{still}', [Box(BEAR, (2, 2, 50, 40), None), Box('n03642806', (1, 1, 9, 9), None)])
    add_lines(root, 'DET_train_30classes.txt', [f'{still} 1' for still in [*stills, stills[0]]])
    return root
