"""Order and gaps of frames, boxes against their frames, tracks against themselves."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from statistics import median_low

from tsm_det.cocovid.check_report import list_ids
from tsm_det.cocovid.read import Problem, Records


def check_frames(records: Records) -> Iterator[Problem]:
    """Find images with ``frame_in_file`` among images without, which no converter writes."""
    has = {number: image.get('frame_in_file') is not None for number, image in records.images.items()
           if image.get('video_id') is not None}
    is_rare = sum(has.values()) * 2 < len(has)
    if len(set(has.values())) == 2:
        text = f'has {"a" if is_rare else "no"} frame_in_file, unlike most images: give it to all of them or to none'
        yield from (Problem('frame_in_file on a part of the images', 'image', number, text)
                    for number, given in has.items() if given == is_rare)


def check_boxes(records: Records) -> Iterator[Problem]:
    """Find boxes that training would silently drop, areas that do not fit their boxes, and a file without a box."""
    ignored = sum(annotation['iscrowd'] for annotation in records.annotations.values())
    if ignored == len(records.annotations):
        yield Problem('no box', 'list', 'annotations', f'has no box, {ignored} ignored regions: convert videos with '
                      'boxes, or hold out or select other ones')
    for number, annotation in records.annotations.items():
        image = records.images.get(annotation['image_id'])
        if image is not None and (wrong := _wrong_box(annotation, image)):
            yield Problem(wrong[0], 'annotation', number, f'{wrong[0]}: {wrong[1]}')


def check_tracks(records: Records) -> Iterator[Problem]:
    """Find boxes of videos without a track, and tracks with two boxes in a frame, two classes or two videos."""
    boxes: dict[tuple[int, int], int] = {}
    owners: dict[int, tuple[int, int, int]] = {}
    for number, annotation in records.annotations.items():
        image = records.images.get(annotation['image_id'], {})
        if image.get('video_id') is None:
            continue
        if not (track := annotation.get('instance_id')):
            state = 'is 0, which mmdet reads as missing' if track == 0 else 'is missing'
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


def notes(records: Records) -> Iterator[str]:
    """Describe what is allowed but worth knowing: gaps, order, empty videos, boxes over the edge, unused categories."""
    frames = defaultdict(list)
    for image in records.images.values():
        if None not in (image.get('video_id'), image.get('frame_id')):
            frames[image['video_id']].append(image['frame_id'])
    if unordered := [video for video, ids in frames.items() if ids != sorted(ids)]:
        yield f'{_videos(unordered, records)} list their frames out of order: they will be sorted by frame_id'
    if empty := [video for video in records.videos if video not in frames]:
        yield f'{_videos(empty, records)} have no frame'
    yield from _note_gaps(frames, records)
    yield from _note_edges(records)
    used = {annotation['category_id'] for annotation in records.annotations.values() if not annotation['iscrowd']}
    if unused := [number for number in records.categories if number not in used]:
        names = ', '.join(records.categories[number]['name'] for number in unused)
        yield f'{len(unused)} categories have no box: {names} (ids {list_ids(unused)})'


def _wrong_box(annotation: dict, image: dict) -> tuple[str, str] | None:
    """The first problem of a box: its kind, and the figures."""
    box = x, y, width, height = annotation['bbox']
    if not all(map(math.isfinite, box)):
        return 'box not finite', f'bbox is {box}'
    if width <= 0 or height <= 0:
        return 'box without area', f'bbox is {box}'
    if x >= image['width'] or y >= image['height'] or x + width <= 0 or y + height <= 0:
        return 'box outside its image', f'bbox is {box} but the image has {image["width"]}x{image["height"]} px'
    if width < 1 or height < 1:
        return 'box below 1 px', f'bbox is {box} and mmdet silently leaves it out of training'
    if not math.isclose(annotation['area'], width * height, rel_tol=0.01):
        return 'area is not width times height', f'area is {annotation["area"]} but the box has {width * height:.6g}'
    return None


def _note_gaps(frames: dict[int, list[int]], records: Records) -> Iterator[str]:
    steps = {video: Counter(later - earlier for earlier, later in pairwise(sorted(set(ids))))
             for video, ids in frames.items()}
    gaps = {video: max(its) for video, its in steps.items() if its and max(its) > 1}
    if gaps:
        usual = max(usual_step(its) for its in steps.values() if its)
        widest = max(gaps, key=gaps.__getitem__)
        advice = (f'the largest usual step is {usual}, so set max_gap={usual} of ConsecutiveFrames' if usual > 1 else
                  f'clips do not span a gap unless max_gap of ConsecutiveFrames is set, to {gaps[widest]} for all')
        yield (f'{_videos(gaps, records)} have gaps in their frame ids, the largest is {gaps[widest]} in '
               f'{_name(widest, records)}: {advice}')


def usual_step(steps: Counter[int]) -> int:
    """The largest step that is not above 1.5 times the median: time stamps jitter, and a gap is longer."""
    limit = 1.5 * median_low(steps.elements())
    return max(step for step in steps if step <= limit)


def _note_edges(records: Records) -> Iterator[str]:
    over = {}
    for number, annotation in records.annotations.items():
        if (image := records.images.get(annotation['image_id'])) is not None:
            x, y, width, height = annotation['bbox']
            over[number] = max(-x, -y, x + width - image['width'], y + height - image['height'])
    # Sums of decimal fractions are off by less than this.
    if beyond := {number: far for number, far in over.items() if 0.01 < far < math.inf}:
        yield (f'{len(beyond)} boxes reach over the edge of their frame, by {max(beyond.values()):.4g} px at most '
               f'(annotation {max(beyond, key=beyond.__getitem__)})')


def _videos(ids: Iterable[int], records: Records) -> str:
    names = [_name(number, records) for number in ids]
    return f'{len(names)} videos ({", ".join(names[:3])}{", ..." * (len(names) > 3)})'


def _name(number: int, records: Records) -> str:
    return str(records.videos.get(number, {}).get('name') or f'video {number}')
