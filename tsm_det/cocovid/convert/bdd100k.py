"""Convert the tracking videos of BDD100K to CocoVID."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import count
from pathlib import Path

from tsm_det.cocovid.builder import Box, CocoVIDBuilder, ConversionReport, number_classes
from tsm_det.cocovid.convert.frame_files import annotation_files, inner_name, parse_track
from tsm_det.cocovid.convert.json_object import JsonObject, read_objects
from tsm_det.cocovid.convert.labelled_videos import LabelledVideo, labels_of, write_videos
from tsm_det.cocovid.convert.listed_images import ListedImages
from tsm_det.errors import InputError

# The evaluation of box_track_20 ignores these as objects of another category:
# https://github.com/bdd100k/bdd100k/blob/master/bdd100k/configs/box_track.toml
DISTRACTORS = {'other person': 'pedestrian', 'other vehicle': 'car', 'trailer': 'truck'}
_WITHOUT_BOX = 'labels without box2d left out'


def convert_bdd100k(source: str | os.PathLike, images: str | os.PathLike, out: str | os.PathLike,
                    classes: list[str] | None = None, max_gap: int = 5,
                    ignore: Sequence[str] = (), progress: Callable[[list], Iterable] = iter) -> ConversionReport:
    """Write the CocoVID file of ``box_track_20``: lists of frames with ``videoName``, ``frameIndex`` and ``labels``.

    ``frameIndex`` is the frame id. The image ``name`` lies in the folder ``videoName``, or in ``images`` itself. A box
    is from x1, y1 to x2, y2. Labels with the attribute ``crowd`` are ignored in their category (``iscrowd``). So are
    ``other person``, ``other vehicle`` and ``trailer``, as pedestrian, car and truck, unless ``classes`` or ``ignore``
    names them.

    Args:
        source: a JSON file, or a folder with JSON files at any depth.
        images: the folder of the images, e.g. ``images/track/train``.
        out: the JSON file to write; its file names are relative to ``images``.
        classes: the categories in order; None takes the labels in use, sorted.
        max_gap: largest gap in a track that is linked because it has no id.
        ignore: labels whose boxes are regions in which nothing counts.
        progress: wraps the list of videos.

    Raises InputError when a file is not BDD100K's, an image is missing, or a label is not in ``classes``.
    """
    listed = ListedImages(Path(images))
    left_out: Counter[str] = Counter()
    videos = [video for file in annotation_files(Path(source), '.json')
              for video in _videos(file, listed, left_out)]
    others = {label: category for label, category in DISTRACTORS.items() if label not in (*(classes or ()), *ignore)}
    videos = [video._replace(boxes=[_without_distractor(box, others, left_out) for box in video.boxes])
              for video in videos]
    categories = number_classes(labels_of(videos, 'label'), classes, ignore)
    builder = CocoVIDBuilder(categories, max_gap, counted_by='label', ignore=ignore)
    builder.report.left_out.update(left_out + listed.left_out())
    return write_videos(videos, builder, out, progress)


def _videos(file: Path, images: ListedImages, left_out: Counter[str]) -> Iterator[LabelledVideo]:
    frames: defaultdict[str, dict[int, str]] = defaultdict(dict)
    boxes, numbers = defaultdict(list), count(1)
    for frame in read_objects(file, 'frames'):
        video = inner_name(frame.text(frame.first('videoName', 'video_name')), frame.place)
        number = frame.whole(frame.first('frameIndex', 'index'))
        if number in frames[video]:
            raise InputError(f'{frame.place} is a second frame {number} of {video}: remove one')
        frames[video][number] = images.find([f'{video}/{frame.text("name")}', frame.text('name')], frame.place)
        for label in frame.objects('labels', []):
            if label.has('box2d'):
                boxes[video].append(_box(label, number, next(numbers)))
            else:
                left_out[_WITHOUT_BOX] += 1
    for video, names in frames.items():
        yield LabelledVideo(video, file, boxes[video], partial(images.frames, names))


def _box(label: JsonObject, frame: int, number: int) -> Box:
    left, top, right, bottom = (label.child('box2d').number(key) for key in ('x1', 'y1', 'x2', 'y2'))
    category, attributes = label.text('category'), label.child('attributes', {})
    occluded, crowd = (attributes.flag(attributes.first(key, key.title()), False) for key in ('occluded', 'crowd'))
    return Box(number, frame, category, (left, top, right - left, bottom - top),
               parse_track(label.identifier('id', None)), occluded, crowd)


def _without_distractor(box: Box, others: dict[str, str], left_out: Counter[str]) -> Box:
    if box.label not in others:
        return box
    left_out[f'boxes of {box.label} ignored as {others[box.label]}, as in the evaluation of BDD100K'] += 1
    return box._replace(label=others[box.label], is_crowd=True)
