"""Select frames of each video of a CocoVID file."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

from tsm_det.cocovid.motion import video_key
from tsm_det.cocovid.read import read_coco_vid
from tsm_det.errors import InputError
from tsm_det.files import write_json


def select_frames(file: str | os.PathLike, out: str | os.PathLike, every: int = 1, first: int | None = None,
                  renumber: bool = False) -> str:
    """Write a CocoVID file with every n-th frame of each video, or with its first frames only.

    Args:
        file: the CocoVID file.
        out: file to write.
        every: keep the frames at places 0, n, 2n, ... of each video, in order of time.
        first: keep these many frames of each video; None keeps all.
        renumber: number the kept frames 0, 1, 2, ..., as a video of its own at a lower rate; else they keep their
            ``frame_id``.

    Returns:
        One line: how many frames and boxes were kept.

    Raises InputError when a number is below 1, ``out`` is ``file``, or a file cannot be read or written.
    """
    for flag, number in (('--every', every), ('--first', first)):
        if number is not None and number < 1:
            raise InputError(f'{flag} is {number} but a number from 1 is required')
    if Path(file).resolve() == Path(out).resolve():
        raise InputError(f'--out is {out}, the file to read: name another file')
    content = read_coco_vid(file)
    videos = defaultdict(list)
    for image in sorted(content['images'], key=lambda image: image.get('frame_id') or 0):
        videos[video_key(image)].append(image)
    kept = []
    for images in videos.values():
        for number, image in enumerate(images[::every][:first]):
            kept.append({**image, 'frame_id': number} if renumber else image)
    ids = {image['id'] for image in kept}
    boxes = [annotation for annotation in content['annotations'] if annotation['image_id'] in ids]
    write_json({**content, 'images': kept, 'annotations': boxes}, out)
    return (f'{len(kept)} of {len(content["images"])} frames, {len(boxes)} of {len(content["annotations"])} boxes: '
            f'{out}')
