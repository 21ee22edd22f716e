"""Convert a folder of frames with boxes in a COCO file to CocoVID."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from tsm_det.cocovid.builder import Box, CocoVIDBuilder, ConversionReport
from tsm_det.cocovid.convert.frame_files import Frame, check_size, image_size, parse_track
from tsm_det.cocovid.convert.image_videos import images_below, name_groups, order_time_stamps
from tsm_det.cocovid.convert.name_numbers import split_numbers
from tsm_det.cocovid.read import COCO, is_whole, read_coco_vid
from tsm_det.errors import InputError

_RULES = {'video_id': lambda value: isinstance(value, str) or is_whole(value), 'frame_id': is_whole}


def convert_coco_frames(file: str | os.PathLike, images: str | os.PathLike, out: str | os.PathLike, max_gap: int = 5,
                        ignore: Sequence[str] = (), labelled_frames_only: bool = False,
                        progress: Callable[[list], Iterable] = iter) -> ConversionReport:
    """Write the CocoVID file of a COCO file whose images are frames of videos.

    Images with ``video_id`` and ``frame_id`` are ordered by these. Else the number at the end of a file's name is its
    frame id, or its place in order where numbers are time stamps. Files with the same folder and the same name before
    the number are a video. It is named after its folder, or after its files where there is no folder or the folder has
    several videos: ``cam1/000123.jpg`` and ``cam1_000123.jpg`` are frame 123 of ``cam1``. Images that the file does not
    list are left out and counted, because nothing says what is in them. Category ids are kept. Boxes without
    ``instance_id``, ``track_id`` and ``attributes.track_id``, or with a negative one, are linked into tracks of one
    label.

    Args:
        file: the COCO file.
        images: the folder that its file names are relative to.
        out: the JSON file to write; its file names are the same.
        max_gap: largest gap in a linked track, see :func:`~tsm_det.cocovid.linking.link_tracks`.
        ignore: names of categories whose boxes are regions in which nothing counts.
        labelled_frames_only: leave out images without an annotation, because nobody labelled them.
        progress: wraps the list of videos.

    Raises InputError when the file is not COCO, an image is missing, has another size, or has neither a number in its
    name nor a ``frame_id``.
    """
    folder, content = Path(images), read_coco_vid(file, COCO, 'name the file with the annotations')
    names = {category['id']: category['name'] for category in content['categories']}
    builder = CocoVIDBuilder({name: number for number, name in names.items() if name not in ignore}, max_gap,
                             counted_by='annotation', ignore=ignore, labelled_frames_only=labelled_frames_only)
    videos = _videos(content, file, builder.report.notes)
    _check_files(content['images'], folder, file)
    if (more := len(images_below(folder)) - len(content['images'])) > 0:
        builder.report.left_out[f'images in {folder} that {Path(file).name} does not list left out'] = more
    boxes = defaultdict(list)
    for annotation in content['annotations']:
        if annotation.get('bbox'):
            boxes[annotation['image_id']].append(annotation)
        else:
            builder.report.left_out['annotations without a box left out'] += 1
    for name, frames in progress(videos):
        its_boxes = [_box(annotation, number, names) for number, image in frames.items()
                     for annotation in boxes[image['id']]]
        builder.add_video(name, _frames(frames, folder, file), its_boxes, file)
    return builder.write(out)


def _videos(content: dict, file: str | os.PathLike, notes: list[str]) -> list[tuple[str, dict[int, dict]]]:
    """Return the name of each video, and its images by frame id; note what their names alone do not tell."""
    images = content['images']
    groups: defaultdict[Any, dict[int, dict]] = defaultdict(dict)
    stated = {key for key in _RULES if _is_stated(key, images, file)}
    splits = [None] * len(images) if len(stated) == 2 else split_numbers([image['file_name'] for image in images])
    for image, split in zip(images, splits, strict=True):
        video, frame = _place(image, split, stated, file)
        if (other := groups[video].setdefault(frame, image)) is not image:
            raise InputError(f'the images {other["file_name"]} and {image["file_name"]} of {file} are the same frame: '
                             'rename one, or fix its video_id and frame_id')
    names: dict[Any, str] = (_stated_names(content.get('videos'), groups) if 'video_id' in stated
                             else name_groups(sorted(groups), Path(file).stem))
    videos = {name: dict(sorted(groups[video].items())) for video, name in names.items()}
    return list(videos.items()) if 'frame_id' in stated else order_time_stamps(videos, notes)


def _is_stated(key: str, images: list[dict], file: str | os.PathLike) -> bool:
    """Whether the images have a valid key; raise InputError when only some of them do."""
    given = [image for image in images if image.get(key) is not None]
    if given and len(given) < len(images):
        raise InputError(f'{len(given)} of the {len(images)} images of {file} have a {key}: give it to all or to none')
    for image in given:
        if not _RULES[key](image[key]):
            raise InputError(f'the image {image["file_name"]} of {file} has the {key} {image[key]!r} but a whole '
                             'number from 0 is required: fix it, or remove the key from all images')
    return bool(given)


def _place(image: dict, split: tuple[str, int] | None, stated: set[str],
           file: str | os.PathLike) -> tuple[Hashable, int]:
    """Return what identifies the video of an image, and the image's number in it."""
    path = PurePosixPath(image['file_name'])
    if split is None and 'frame_id' not in stated:
        raise InputError(f'the image {path} of {file} has neither a frame_id nor a number at the end of its name, '
                         'which give the order of frames: rename the files cam1_000001.jpg, cam1_000002.jpg, ...')
    prefix, number = split or ('', 0)
    return (image['video_id'] if 'video_id' in stated else (path.parent, prefix),
            image['frame_id'] if 'frame_id' in stated else number)


def _stated_names(videos: object, ids: Iterable[int | str]) -> dict[int | str, str]:
    """Return the names of videos in the file, made different where they are not."""
    records = [video for video in (videos if isinstance(videos, list) else ()) if isinstance(video, dict)]
    names = {video['id']: str(video.get('name') or video.get('file_name') or video['id'])
             for video in records if _RULES['video_id'](video.get('id'))}
    names = {number: names.get(number, str(number)) for number in ids}
    count = Counter(names.values())
    return {number: name if count[name] == 1 else f'{name}/{number}' for number, name in names.items()}


def _check_files(images: list[dict], folder: Path, file: str | os.PathLike) -> None:
    missing = [image['file_name'] for image in images if not os.path.isfile(folder / image['file_name'])]
    if missing:
        raise InputError(f'{len(missing)} of the {len(images)} images of {file} are not in {folder}, the first is '
                         f'{missing[0]}: name the folder that the file names are relative to')


def _frames(images: dict[int, dict], folder: Path, file: str | os.PathLike) -> list[Frame]:
    """List the frames of a video; check the stated size of the first."""
    first = next(iter(images.values()))
    if (size := _stated_size(first)) is not None:
        check_size(folder / first['file_name'], size, str(file))
    return [Frame(number, image['file_name'], _stated_size(image) or image_size(folder / image['file_name']))
            for number, image in images.items()]


def _stated_size(image: dict) -> tuple[int, int] | None:
    is_stated = all(is_whole(image.get(side), 1) for side in ('height', 'width'))
    return (image['height'], image['width']) if is_stated else None


def _box(annotation: dict, frame: int, names: dict[int, str]) -> Box:
    attributes = annotation.get('attributes')
    attributes = attributes if isinstance(attributes, dict) else {}
    tracks = annotation.get('instance_id'), annotation.get('track_id'), attributes.get('track_id')
    track = next((track for track in tracks if track is not None), None)
    return Box(annotation['id'], frame, names[annotation['category_id']], tuple(annotation['bbox']), parse_track(track),
               bool(attributes.get('occluded')), bool(annotation.get('iscrowd')))
