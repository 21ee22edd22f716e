"""Check that frames exist, decode, and have the stated size."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

from tsm_det.cocovid.read import Problem, Records
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
    groups = [(_check_video, images) for images in videos.values()]
    groups += [(_check_images, images) for images in folders.values()]
    for check, images in progress(groups):
        problems = list(check(images, folder))
        yield from problems
        missing = {problem.id for problem in problems}
        there = [image for image in images if not missing & {image['id'], image['file_name']}]
        some = sorted({0, len(there) // 2, len(there) - 1}) if there and not every_frame else range(len(there))
        yield from _decode([there[k] for k in some], folder)


def _check_video(images: list[dict], folder: Path) -> Iterator[Problem]:
    """Check that a video file has these frames, and sort them in place."""
    images.sort(key=lambda image: image['frame_in_file'])
    name = images[0]['file_name']
    try:
        length = len(VideoFile(folder / name))
    except InputError as error:
        yield Problem('video not readable', 'file', name, str(error))
        return
    for image in images:
        if image['frame_in_file'] >= length:
            yield Problem('frame outside its file', 'image', image['id'],
                          f'frame_in_file is {image["frame_in_file"]} but {name} has frames 0 to {length - 1}')


def _check_images(images: list[dict], folder: Path) -> Iterator[Problem]:
    for image in images:
        if not os.path.isfile(folder / image['file_name']):
            yield Problem('file missing', 'image', image['id'], f'{folder / image["file_name"]} is missing')


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
