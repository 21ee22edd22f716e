"""Convert YouTube-VIS, and other data sets in its format (OVIS, UVO), to CocoVID."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

from tsm_det.cocovid.builder import Box, CocoVIDBuilder, ConversionReport
from tsm_det.cocovid.convert.frame_numbers import are_time_stamps
from tsm_det.cocovid.convert.json_object import JsonObject
from tsm_det.cocovid.convert.labelled_videos import LabelledVideo, write_videos
from tsm_det.cocovid.convert.listed_images import ListedImages
from tsm_det.cocovid.convert.name_numbers import split_numbers
from tsm_det.cocovid.read import read_json
from tsm_det.errors import InputError


def convert_youtube_vis(file: str | os.PathLike, images: str | os.PathLike, out: str | os.PathLike,
                        ignore: Sequence[str] = (), progress: Callable[[list], Iterable] = iter) -> ConversionReport:
    """Write the CocoVID file of a JSON file whose annotations are tracks with a list of ``bboxes``.

    The number at the end of an image's name is its frame id: YouTube-VIS names every fifth frame of a video. Where the
    numbers do not increase, frames count from 0. An annotation becomes a track, with a box in each frame where it is
    not null. Category ids are kept. Masks are not read.

    Args:
        file: the JSON file, e.g. ``instances.json``.
        images: the folder of the images, e.g. ``JPEGImages``.
        out: the JSON file to write; its file names are relative to ``images``.
        ignore: labels whose boxes are regions in which nothing counts.
        progress: wraps the list of videos.

    Raises InputError when the file is not of this format, or an image is missing or has another size.
    """
    content, listed = JsonObject(read_json(file), str(file)), ListedImages(Path(images))
    names = {category.whole('id'): category.text('name') for category in content.objects('categories')}
    tracks = defaultdict(list)
    for annotation in content.objects('annotations'):
        tracks[annotation.whole('video_id')].append(annotation)
    videos = [_video(video, tracks.pop(video.whole('id'), []), names, listed, Path(file))
              for video in content.objects('videos')]
    if tracks:
        first = next(iter(tracks.values()))[0]
        raise InputError(f'{first.place} is of video {first.whole("video_id")}, which is not in the file: fix '
                         'video_id, or fetch the file again')
    categories = {name: number for number, name in names.items() if name not in ignore}
    builder = CocoVIDBuilder(categories, counted_by='annotation', ignore=ignore)
    builder.report.left_out.update(listed.left_out())
    return write_videos(videos, builder, out, progress)


def _video(video: JsonObject, tracks: list[JsonObject], names: dict[int, str], listed: ListedImages,
           file: Path) -> LabelledVideo:
    files = [listed.find([name], video.place) for name in video.texts('file_names')]
    if not files:
        raise InputError(f'{video.place} has no file_names: remove the video, or fetch the file again')
    numbers = _numbers(files)
    boxes = [box for track in tracks for box in _boxes(track, numbers, names)]
    size = video.whole('height'), video.whole('width')
    frames = partial(listed.frames, dict(zip(numbers, files, strict=True)), size, video.place)
    return LabelledVideo(os.path.dirname(files[0]) or str(video.whole('id')), file, boxes, frames)


def _numbers(files: list[str]) -> list[int]:
    numbers = [split[1] for split in split_numbers(files, is_one_video=True) if split is not None]
    rising = len(numbers) == len(files) and all(earlier < later for earlier, later in pairwise(numbers))
    return numbers if rising and not are_time_stamps(numbers) else list(range(len(files)))


def _boxes(track: JsonObject, numbers: list[int], names: dict[int, str]) -> Iterator[Box]:
    boxes, category, number = track.array('bboxes'), track.whole('category_id'), track.whole('id')
    if len(boxes) != len(numbers) or category not in names:
        raise InputError(f'{track.place} has {len(boxes)} bboxes and category {category} but its video has '
                         f'{len(numbers)} file_names and the categories are {", ".join(map(str, names))}: fetch the '
                         'file again')
    for frame, box in zip(numbers, boxes, strict=True):
        if box is not None:
            values = JsonObject({'bboxes': box}, f'{track.place}, frame {frame}').box('bboxes')
            yield Box(number, frame, names[category], values, str(number), is_crowd=bool(track.whole('iscrowd', 0)))
