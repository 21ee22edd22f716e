"""Convert frames with boxes in text files of YOLO to CocoVID."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import yaml

from tsm_det.cocovid.builder import Box, CocoVIDBuilder, ConversionReport, number_classes
from tsm_det.cocovid.convert.frame_files import Frame, files_below, image_size, parse_track, parse_whole
from tsm_det.cocovid.convert.image_videos import group_images, images_below
from tsm_det.cocovid.convert.labelled_videos import LabelledVideo, write_videos
from tsm_det.cocovid.convert.text_records import parse_record, read_lines
from tsm_det.config import class_names
from tsm_det.errors import InputError

_NAME_FILES = ('data.yaml', 'dataset.yaml', 'classes.txt', 'obj.names')
_COLUMNS = {'class': int, 'cx': float, 'cy': float, 'width': float, 'height': float}


def convert_yolo(root: str | os.PathLike, out: str | os.PathLike, classes: list[str] | None = None, max_gap: int = 5,
                 ignore: Sequence[str] = (), labelled_frames_only: bool = False,
                 progress: Callable[[list], Iterable] = iter) -> ConversionReport:
    """Write the CocoVID file of a folder of images with a text file each.

    The text file of ``images/train/cam_0001.jpg`` is ``labels/train/cam_0001.txt``, else ``cam_0001.txt`` beside the
    image. Its rows are ``class cx cy width height [track]``, in shares of the image, class from 0. The number at the
    end of an image's name is its frame id; images are grouped into videos as by ``coco-frames``. An image without text
    file is empty, as in YOLO; these are counted.

    Args:
        root: the folder.
        out: the JSON file to write; its file names are relative to ``root``.
        classes: names of the classes 0, 1, ...; None takes ``names`` of data.yaml, or classes.txt or obj.names.
        max_gap: largest gap in a linked track, see :func:`~tsm_det.cocovid.linking.link_tracks`.
        ignore: labels whose boxes are regions in which nothing counts.
        labelled_frames_only: leave out frames without a box, because nobody labelled them.
        progress: wraps the list of videos.

    Raises InputError when there are no names, a text file has no image, or a row is not YOLO's.
    """
    root = Path(root)
    names = list(class_names(classes) or _names(root))
    categories = number_classes({}, names, ignore)
    images = images_below(root)
    texts = [_text_file(root, name) for name in images]
    _refuse_other_texts(root, {path for path in texts if path is not None})
    videos, builder = [], CocoVIDBuilder(categories, max_gap, ignore=ignore, labelled_frames_only=labelled_frames_only)
    for name, places in group_images(images, root, builder.report.notes):
        frames = [Frame(frame_id, images[place], image_size(root / images[place]))
                  for frame_id, place in places.items()]
        boxes = [box for frame, place in zip(frames, places.values(), strict=True) if (text := texts[place]) is not None
                 for box in _boxes(text, frame, names)]
        videos.append(LabelledVideo(name, root, boxes, partial(list, frames)))
    builder.report.left_out.update(Counter({'images without a text file, taken as empty': texts.count(None)}))
    return write_videos(videos, builder, out, progress)


def _names(root: Path) -> list[str]:
    """Return the class names of the first file that has them."""
    for path in (folder / name for folder in (root, root / 'labels') for name in _NAME_FILES):
        if path.is_file():
            names = _yaml_names(path) if path.suffix == '.yaml' else [
                line.strip() for line in read_lines(path) if line.strip()]
            if names:
                return names
    raise InputError(f'{root} has no class names: give them in order with --classes, or add {" or ".join(_NAME_FILES)}')


def _yaml_names(path: Path) -> list[str]:
    try:
        # As text, as a class may be named no, 1e3 or 2026-01-01.
        content = yaml.load('\n'.join(read_lines(path)), yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f'{path} cannot be read as YAML ({" ".join(str(error).split())}): fix it, or give the names '
                         'with --classes') from error
    names = content.get('names') if isinstance(content, dict) else None
    if isinstance(names, dict) and set(names) == set(map(str, range(len(names)))):
        names = [names[str(number)] for number in range(len(names))]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise InputError(f'{path} has no list of names, or numbers with gaps: write "names: [bird, drone]", or give '
                         'them with --classes')
    return names


def _text_file(root: Path, image: str) -> Path | None:
    """Find the text file of an image: the last folder ``images`` replaced by ``labels``, or beside it."""
    *folders, name = image.split('/')
    candidates = [[*folders, name]]
    if 'images' in folders:
        place = len(folders) - 1 - folders[::-1].index('images')
        candidates.insert(0, [*folders[:place], 'labels', *folders[place + 1:], name])
    paths = (root.joinpath(*parts).with_suffix('.txt') for parts in candidates)
    return next((path for path in paths if path.is_file()), None)


def _refuse_other_texts(root: Path, known: set[Path]) -> None:
    """Refuse text files with rows of boxes that belong to no image."""
    for path in files_below(root, '.txt'):
        is_label = 'labels' in path.relative_to(root).parts[:-1] or path.stem[-1].isdigit()
        if is_label and path not in known and path.name not in _NAME_FILES:
            raise InputError(f'{path} has no image of the same name: add the image, or remove the text file')


def _boxes(path: Path, frame: Frame, names: list[str]) -> Iterator[Box]:
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        place, rest = f'{path} line {number}', line.split()[len(_COLUMNS):]
        values = parse_record(line, _COLUMNS, place)
        if len(rest) > 1 or any(abs(values[key]) > 2 for key in ('cx', 'cy', 'width', 'height')):
            raise InputError(f'{place} is {line.strip()!r} but must be class, cx, cy, width, height as shares of the '
                             'image, and perhaps a track: export boxes, not polygons or px')
        if not 0 <= values['class'] < len(names):
            raise InputError(f'{place} has class {values["class"]} but there are names for 0 to {len(names) - 1} '
                             f'({", ".join(names)}): name all classes in order with --classes')
        track = parse_whole(rest[0], 'track (scores are not read)', place) if rest else None
        yield Box(number, frame.frame_id, names[values['class']], _pixels(values, frame.size), parse_track(track))


def _pixels(values: dict, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return left, top, width, height in px; rounding removes the noise of sums that would reach over the edge."""
    (height, width), (wide, high) = size, (values['width'], values['height'])
    left, top, across, down = (round(length, 4) for length in (
        (values['cx'] - wide / 2) * width, (values['cy'] - high / 2) * height, wide * width, high * height))
    return left, top, across, down
