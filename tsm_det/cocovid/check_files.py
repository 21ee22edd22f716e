"""Whether the frames that a CocoVID file names are there, can be decoded and have the size it states."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

from tsm_det.cocovid.check_report import Problem
from tsm_det.cocovid.records import Records
from tsm_det.errors import InputError
from tsm_det.video.sources import ImageFiles
from tsm_det.video.video_file import VideoFile


def check_files(records: Records, folder: Path, every_frame: bool,
                progress: Callable[[list], Iterable]) -> Iterator[Problem]:
    """Look for all files; decode the first, the middle and the last frame of each video or folder, or all."""
    videos, folders = defaultdict(list), defaultdict(list)
    for image in records.images.values():
        if image.get('frame_in_file') is None:
            folders[str(PurePosixPath(image['file_name']).parent)].append(image)
        else:
            videos[image['file_name']].append(image)
    groups = [(_frames_there, images) for images in videos.values()]
    groups += [(_images_there, images) for images in folders.values()]
    for find, images in progress(groups):
        there = []
        for found in find(images, folder):
            if isinstance(found, Problem):
                yield found
            else:
                there.append(found)
        yield from _decode(there if every_frame else _some(there), folder)


def _frames_there(images: list[dict], folder: Path) -> Iterator[Problem | dict]:
    """Of the frames of a video file, those that it has; else the problem."""
    name = images[0]['file_name']
    try:
        length = len(VideoFile(folder / name))
    except InputError as error:
        yield Problem('video not readable', 'file', name, str(error))
        return
    for image in sorted(images, key=lambda image: image['frame_in_file']):
        if image['frame_in_file'] < length:
            yield image
        else:
            yield Problem('frame outside its file', 'image', image['id'],
                          f'frame_in_file is {image["frame_in_file"]} but {name} has frames 0 to {length - 1}')


def _images_there(images: list[dict], folder: Path) -> Iterator[Problem | dict]:
    for image in images:
        if os.path.isfile(folder / image['file_name']):
            yield image
        else:
            yield Problem('file missing', 'image', image['id'], f'{folder / image["file_name"]} is missing')


def _some(images: list[dict]) -> list[dict]:
    return [images[k] for k in sorted({0, len(images) // 2, len(images) - 1})] if images else []


def _decode(images: list[dict], folder: Path) -> Iterator[Problem]:
    """Decode frames of one video file, or of one folder of images."""
    video = None
    for image in images:
        path, place = str(folder / image['file_name']), image.get('frame_in_file')
        try:
            if place is None:
                height, width = ImageFiles([path]).read(0).shape[:2]
            else:
                video = video or VideoFile(path)
                height, width = video.read(place).shape[:2]
        except InputError as error:
            yield Problem('not decodable', 'image', image['id'], str(error))
            continue
        if (width, height) != (image['width'], image['height']):
            yield Problem('other size than stated', 'image', image['id'],
                          f'the file states {image["width"]}x{image["height"]} px but {image["file_name"]} has '
                          f'{width}x{height}')
