"""Boxes against their frames, and tracks against themselves."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tsm_det.cocovid.check_report import Problem, list_ids
from tsm_det.cocovid.records import Records


def check_boxes(records: Records) -> Iterator[Problem]:
    """Boxes that training would drop without a word, and areas that are not theirs."""
    for number, annotation in records.annotations.items():
        image = records.images.get(annotation['image_id'])
        if image is not None and (found := _wrong(annotation, image)):
            yield Problem(found[0], 'annotation', number, f'{found[0]}: {found[1]}')


def check_tracks(records: Records) -> Iterator[Problem]:
    """Boxes of videos without a track, and tracks with two boxes in a frame, two classes or two videos."""
    boxes, owners = {}, {}
    for number, annotation in records.annotations.items():
        image = records.images.get(annotation['image_id'], {})
        if image.get('video_id') is None:
            continue
        if not (track := annotation.get('instance_id')):
            state = 'is 0, which mmdet takes for none' if track == 0 else 'is missing'
            yield Problem('no instance_id', 'annotation', number, f'instance_id {state}: number tracks from 1')
            continue
        if (other := boxes.setdefault((track, annotation['image_id']), number)) != number:
            yield Problem('track twice in a frame', 'annotation', number,
                          f'instance_id {track} is that of annotation {other} on the same image')
        owner = owners.setdefault(track, (image['video_id'], annotation['category_id'], number))
        for what, here, there in zip(('video', 'category'), (image['video_id'], annotation['category_id']), owner,
                                     strict=False):
            if here != there:
                yield Problem(f'track that changes its {what}', 'annotation', number,
                              f'instance_id {track} is of {what} {here} here and of {there} in annotation {owner[2]}')


def note_boxes(records: Records) -> Iterator[str]:
    """Boxes over the edge of their frames, and categories without a box."""
    over = {}
    for number, annotation in records.annotations.items():
        if (image := records.images.get(annotation['image_id'])) is not None:
            x, y, width, height = annotation['bbox']
            over[number] = max(-x, -y, x + width - image['width'], y + height - image['height'])
    # Sums of decimal fractions are off by less than this.
    if beyond := {number: far for number, far in over.items() if 0.01 < far < math.inf}:
        yield (f'{len(beyond)} boxes reach over the edge of their frame, by {max(beyond.values()):.4g} px at most '
               f'(annotation {max(beyond, key=beyond.get)})')
    used = {annotation['category_id'] for annotation in records.annotations.values()}
    if unused := [number for number in records.categories if number not in used]:
        names = ', '.join(records.categories[number]['name'] for number in unused)
        yield f'{len(unused)} categories have no box: {names} (ids {list_ids(unused)})'


def _wrong(annotation: dict, image: dict) -> tuple[str, str] | None:
    """The kind of what is wrong with a box, and how; the first of all."""
    box = x, y, width, height = annotation['bbox']
    if not all(map(math.isfinite, box)):
        return 'box not finite', f'bbox is {box}'
    if width <= 0 or height <= 0:
        return 'box without area', f'bbox is {box}'
    if x >= image['width'] or y >= image['height'] or x + width <= 0 or y + height <= 0:
        return 'box outside its image', f'bbox is {box} but the image has {image["width"]}x{image["height"]} px'
    if width < 1 or height < 1:
        return 'box below 1 px', f'bbox is {box} and mmdet leaves it out of training without a word'
    if not math.isclose(annotation['area'], width * height, rel_tol=0.01):
        return 'area is not width times height', f'area is {annotation["area"]} but the box has {width * height:.6g}'
    return None
