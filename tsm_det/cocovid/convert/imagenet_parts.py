"""Convert one ImageNet video, or a few hundred stills, to a part of a CocoVID file."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from tsm_det.cocovid.convert.imagenet_lists import Video
from tsm_det.cocovid.convert.imagenet_xml import Annotation, ImageObject, XmlProblem, read_annotation


def video_part(root: Path, video: Video) -> dict:
    """Convert the frames of a video that have a JPEG and a readable XML file; see ``make_parts``."""
    part = _empty_part()
    folder = root / 'Data' / 'VID' / video.folder
    files = {entry.name for entry in os.scandir(folder)} if folder.is_dir() else set()
    tracks = _Tracks()
    for frame in range(video.length):
        name = f'VID/{video.folder}/{frame:06d}'
        if f'{frame:06d}.JPEG' not in files:
            part['problems'].append(XmlProblem('missing JPEG', f'Data/{name}.JPEG'))
        elif annotation := _annotation(root, name, part):
            key = {} if video.key_frames is None else {'is_vid_train_frame': frame in video.key_frames}
            image = _add_image(part, name, annotation, video_id=1, frame_id=frame, **key)
            part['counts']['key frames'] += sum(key.values())
            numbers = tracks.number(annotation.objects, frame)
            for item, (number, wrong) in zip(annotation.objects, numbers, strict=True):
                part['problems'] += [XmlProblem(wrong, f'Annotations/{name}.xml', item.track or '')] if wrong else []
                _add_object(part, image, item, instance_id=number, video_id=1)
    for file in sorted(files - {f'{frame:06d}.JPEG' for frame in range(video.length)}):
        part['problems'].append(XmlProblem('file not in the list', f'Data/VID/{video.folder}/{file}'))
    if part['images']:
        size = {side: part['images'][0][side] for side in ('width', 'height')}
        part['videos'].append({'id': 1, 'name': video.folder, **size})
    return part


def stills_part(root: Path, stills: tuple[str, ...]) -> dict:
    """Convert stills with their boxes of the 30 classes; count boxes of other classes."""
    part = _empty_part()
    for still in stills:
        name = f'DET/{still}'
        if not (root / 'Data' / f'{name}.JPEG').is_file():
            part['problems'].append(XmlProblem('missing JPEG', f'Data/{name}.JPEG'))
        elif annotation := _annotation(root, name, part):
            image = _add_image(part, name, annotation)
            for item in annotation.objects:
                _add_object(part, image, item, instance_id=len(part['annotations']) + 1)
    # DET has 200 classes, so other classes than the 30 are not a problem.
    part['counts']['objects of other classes'] = sum(
        problem.kind == 'unknown synset' for problem in part['problems'])
    part['problems'] = [problem for problem in part['problems'] if problem.kind != 'unknown synset']
    return part


def _empty_part() -> dict:
    return {'videos': [], 'images': [], 'annotations': [], 'problems': [], 'counts': Counter()}


def _annotation(root: Path, name: str, part: dict) -> Annotation | None:
    annotation = read_annotation(root / 'Annotations' / f'{name}.xml', f'Annotations/{name}.xml')
    if isinstance(annotation, XmlProblem):
        part['problems'].append(annotation)
        return None
    part['problems'] += annotation.problems
    return annotation


def _add_image(part: dict, name: str, annotation: Annotation, **fields) -> dict:
    image = {'id': len(part['images']) + 1, 'file_name': f'{name}.JPEG', 'width': annotation.width,
             'height': annotation.height, **fields}
    part['images'].append(image)
    return image


class _Tracks:
    """Numbers the tracks of a video; a track that changes its class becomes two."""

    def __init__(self) -> None:
        self._numbers: dict[tuple, int] = {}
        self._classes: dict[str, int] = {}

    def number(self, objects: list[ImageObject], frame: int) -> list[tuple[int, str]]:
        """Return the track number of each object of a frame, and the problem of its track or an empty text."""
        numbered, taken = [], set()
        for place, item in enumerate(objects):
            track: tuple = item.track, item.category_id
            wrong = ''
            if item.track is None:
                wrong = 'object without trackid'
            elif track in taken:
                wrong = 'track twice in a frame'
            elif self._classes.setdefault(item.track, item.category_id) != item.category_id:
                wrong = 'track of several classes'
            if item.track is None or track in taken:
                track = frame, place, 'alone'
            taken.add(track)
            numbered.append((self._numbers.setdefault(track, len(self._numbers) + 1), wrong))
        return numbered


def _add_object(part: dict, image: dict, item: ImageObject, **fields) -> None:
    part['annotations'].append({
        'id': len(part['annotations']) + 1, 'image_id': image['id'], 'category_id': item.category_id,
        'bbox': item.box, 'area': item.box[2] * item.box[3], 'iscrowd': 0, 'occluded': item.occluded,
        'generated': item.generated, **fields})
