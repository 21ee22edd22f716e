"""Convert TAO (Tracking Any Object) to CocoVID."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from tsm_det.cocovid.builder import Box, CocoVIDBuilder, ConversionReport
from tsm_det.cocovid.convert.frame_files import parse_track
from tsm_det.cocovid.convert.json_object import JsonObject
from tsm_det.cocovid.convert.labelled_videos import LabelledVideo, write_videos
from tsm_det.cocovid.convert.listed_images import ListedImages
from tsm_det.cocovid.read import read_json
from tsm_det.errors import InputError


def convert_tao(file: str | os.PathLike, images: str | os.PathLike, out: str | os.PathLike,
                ignore: Sequence[str] = (), progress: Callable[[list], Iterable] = iter) -> ConversionReport:
    """Write the CocoVID file of a JSON file of TAO.

    ``frame_index`` is the frame id. TAO labels one frame per second: only the images in the file become images, and
    frames between them are left out and counted. Category ids are kept. In some videos not all objects of a category
    are labelled (``not_exhaustive_category_ids``): these videos are counted.

    Args:
        file: the JSON file, e.g. ``annotations/train.json``.
        images: the folder of the images, e.g. ``frames``.
        out: the JSON file to write; its file names are relative to ``images``.
        ignore: labels whose boxes are regions in which nothing counts.
        progress: wraps the list of videos.

    Raises InputError when the file is not of this format, or an image is missing or has another size.
    """
    content, listed = JsonObject(read_json(file), str(file)), ListedImages(Path(images))
    names = {category.whole('id'): category.text('name') for category in content.objects('categories')}
    frames: defaultdict[int, dict[int, str]] = defaultdict(dict)
    boxes, places = defaultdict(list), {}
    for image in content.objects('images'):
        video, frame = image.whole('video_id'), image.whole('frame_index')
        if frame in frames[video]:
            raise InputError(f'{image.place} is a second frame {frame} of video {video}: remove one')
        frames[video][frame] = listed.find([image.text('file_name')], image.place)
        places[image.whole('id')] = video, frame
    videos = {video.whole('id'): video for video in content.objects('videos')}
    if unknown := frames.keys() ^ videos.keys():
        raise InputError(f'{file} has videos without images, or images of a video that is not listed (video '
                         f'{min(unknown)}): fetch the file again, or fix video_id')
    for annotation in content.objects('annotations'):
        video, box = _box(annotation, places, names)
        boxes[video].append(box)
    labelled = [LabelledVideo(video.text('name'), Path(file), boxes[number],
                              partial(listed.frames, frames[number], _size(video), video.place))
                for number, video in videos.items()]
    categories = {name: number for number, name in names.items() if name not in ignore}
    builder = CocoVIDBuilder(categories, counted_by='annotation', ignore=ignore)
    partly = sum(bool(video.array('not_exhaustive_category_ids', [])) for video in videos.values())
    builder.report.left_out.update(listed.left_out() + Counter({
        'videos have categories of which not every object is labelled': partly}))
    return write_videos(labelled, builder, out, progress)


def _box(annotation: JsonObject, places: dict[int, tuple[int, int]], names: dict[int, str]) -> tuple[int, Box]:
    image, category, number = (annotation.whole(key) for key in ('image_id', 'category_id', 'id'))
    if image not in places or category not in names:
        raise InputError(f'{annotation.place} is of image {image} and category {category} but the file lacks one of '
                         'them: fix the ids, or fetch the file again')
    video, frame = places[image]
    return video, Box(number, frame, names[category], annotation.box('bbox'),
                      parse_track(annotation.identifier('track_id')), is_crowd=bool(annotation.whole('iscrowd', 0)))


def _size(video: JsonObject) -> tuple[int, int] | None:
    size = video.whole('height', -1), video.whole('width', -1)
    return None if -1 in size else size
