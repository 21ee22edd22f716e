"""Convert videos labelled in Label Studio (VideoRectangle) to CocoVID."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from tsm_det.cocovid.builder import Box, CocoVIDBuilder, ConversionReport, number_classes
from tsm_det.cocovid.convert.frame_files import video_frames
from tsm_det.cocovid.convert.json_object import JsonObject, read_objects
from tsm_det.cocovid.convert.labelled_videos import LabelledVideo, labels_of, write_videos
from tsm_det.errors import InputError

_EXPORT = 'export the project as JSON'


def convert_label_studio(file: str | os.PathLike, videos: str | os.PathLike, out: str | os.PathLike,
                         classes: list[str] | None = None, ignore: Sequence[str] = (),
                         progress: Callable[[list], Iterable] = iter) -> ConversionReport:
    """Write the CocoVID file of a project with video rectangles, exported as JSON.

    Frames count from 1 in Label Studio. As its player does, a region has a box in each frame from a key frame that is
    enabled to the next key frame (that one included), or to the end of the video; positions between are interpolated. A
    region is a track. A rotated box becomes the upright one around it. Other results are counted and left out.

    Args:
        file: the JSON file.
        videos: the folder of the videos; the prefix of 8 hexadecimal digits that uploading adds may be missing.
        out: the JSON file to write; its file names are relative to ``videos``.
        classes: the categories in order; None takes the labels in use, sorted.
        ignore: labels whose boxes are regions in which nothing counts.
        progress: wraps the list of videos.

    Raises InputError when the file is not such an export, a task has several annotations, its video is missing or
    has another number of frames than in Label Studio, or a label is not in ``classes``.
    """
    left_out: Counter[str] = Counter()
    sources: dict[Path, list[JsonObject]] = {}
    labelled = []
    for task in read_objects(file, 'tasks'):
        if (results := _results(task)) is None:
            left_out['tasks without an annotation left out'] += 1
        elif sources.setdefault(path := _find_video(task, Path(videos)), results) is not results:
            raise InputError(f'{task.place} is of {path.name}, like another task: keep one')
    for path, results in progress(list(sources.items())):
        frames = video_frames(path, path.name)
        boxes = list(_boxes(results, len(frames), frames[0].size, left_out))
        labelled.append(LabelledVideo(path.stem, Path(file), boxes, partial(list, frames)))
    categories = number_classes(labels_of(labelled, 'region'), classes, ignore)
    builder = CocoVIDBuilder(categories, first_frame=1, counted_by='region', ignore=ignore)
    builder.report.left_out.update(left_out)
    return write_videos(labelled, builder, out, iter)


class _KeyFrame(NamedTuple):
    """A box in percent of the frame, rotated about its top left corner by degrees."""

    frame: int
    enabled: bool
    shape: tuple[float, ...]  # x, y, width, height, rotation

    def towards(self, other: _KeyFrame, frame: int) -> tuple[float, ...]:
        share = (frame - self.frame) / (other.frame - self.frame)
        return tuple(here + share * (there - here) for here, there in zip(self.shape, other.shape, strict=True))


def _find_video(task: JsonObject, folder: Path) -> Path:
    data = task.child('data')
    address = data.text(data.first('video', 'video_url', 'url'))
    # An address, or a path on another machine, or one behind "local-files/?d=": only its last part counts.
    path, _, query = address.replace('\\', '/').partition('?')
    name = unquote(query.removeprefix('d=') if path.endswith('/') else path).split('/')[-1]
    names = [name, re.sub('^[0-9a-f]{8}-', '', name)]
    found = next((folder / each for each in names if each not in ('', '.', '..') and (folder / each).is_file()), None)
    if found is None:
        raise InputError(f'{task.place} is of the video {name!r}, which is not in {folder}: put it there under this '
                         'name')
    return found


def _results(task: JsonObject) -> list[JsonObject] | None:
    """Return the results of the only annotation; None where nobody has labelled the task."""
    annotations = [each for each in task.objects('annotations') if not each.flag('was_cancelled', False)]
    if len(annotations) > 1:
        raise InputError(f'{task.place} has {len(annotations)} annotations, which may contradict each other: keep one, '
                         f'and {_EXPORT} again')
    return annotations[0].objects('result') if annotations else None


def _boxes(results: list[JsonObject], length: int, size: tuple[int, int], left_out: Counter[str]) -> Iterator[Box]:
    for number, result in enumerate(results, start=1):
        if result.text('type') != 'videorectangle':
            left_out[f'results of type {result.text("type")} left out'] += 1
            continue
        value = result.child('value')
        labels, stated = value.texts('labels'), value.number('framesCount', length)
        if len(labels) != 1 or abs(stated - length) > max(1, length // 100):
            raise InputError(f'{value.place} has {len(labels)} labels and is of a video with {stated:g} frames, but one'
                             f' label is required and the video has {length}: give each region a label, and the tag '
                             '<Video> the frameRate of the video')
        for frame, shape in _path(value, length):
            yield Box(number, frame - 1, labels[0], _upright(shape, size), result.identifier('id', str(number)))


def _path(value: JsonObject, length: int) -> Iterator[tuple[int, tuple[float, ...]]]:
    """Yield the frames (from 1) in which a region is visible, and its shape there."""
    keys = sorted((_KeyFrame(key.whole('frame'), key.flag('enabled', True), _shape(key))
                   for key in value.objects('sequence')), key=lambda key: key.frame)
    if len({key.frame for key in keys}) < len(keys):
        raise InputError(f'{value.place} has two key frames of one frame: {_EXPORT} again')
    previous = None
    for key, following in zip_longest(keys, keys[1:]):
        # The player shows the box in a key frame that ends a span, too.
        if key.enabled or (previous is not None and previous.enabled):
            yield key.frame, key.shape
        previous = key
        if key.enabled:
            for frame in range(key.frame + 1, min(following.frame if following else length + 1, length + 1)):
                yield frame, key.towards(following, frame) if following else key.shape


def _shape(key: JsonObject) -> tuple[float, ...]:
    return *(key.number(name) for name in ('x', 'y', 'width', 'height')), key.number('rotation', 0)


def _upright(shape: tuple[float, ...], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return the box in px around a shape in percent."""
    x, y, width, height = (share * length / 100 for share, length in zip(shape, size[::-1] * 2, strict=False))
    cos, sin = math.cos(math.radians(shape[4])), math.sin(math.radians(shape[4]))
    across, down = [0, width * cos, -height * sin, width * cos - height * sin], [
        0, width * sin, height * cos, width * sin + height * cos]
    left, top, wide, high = (round(length, 4) for length in (
        x + min(across), y + min(down), max(across) - min(across), max(down) - min(down)))
    return left, top, wide, high
