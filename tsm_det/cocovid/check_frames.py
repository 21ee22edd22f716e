"""Order and gaps of the frames of each video."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise

from tsm_det.cocovid.check_report import Problem
from tsm_det.cocovid.records import Records


def check_frames(records: Records) -> Iterator[Problem]:
    """Frame ids that a video has twice, and files that are a video for some images only."""
    first = {}
    for number, image in records.images.items():
        place = image.get('video_id'), image.get('frame_id')
        if None not in place and (other := first.setdefault(place, number)) != number:
            yield Problem('frame id twice', 'image', number,
                          f'frame_id {place[1]} of video {place[0]} is that of image {other}')
    has_place = {number: image.get('frame_in_file') is not None for number, image in records.images.items()
                 if image.get('video_id') is not None}
    is_rare = sum(has_place.values()) * 2 < len(has_place)
    if len(set(has_place.values())) == 2:
        for number in (number for number, has in has_place.items() if has == is_rare):
            text = 'a frame_in_file, unlike most images' if is_rare else 'no frame_in_file, unlike most images'
            yield Problem('frame_in_file on a part of the images', 'image', number, f'has {text}: give all one or none')


def note_frames(records: Records) -> Iterator[str]:
    """Gaps, frames out of order, and videos without frames: all allowed."""
    frames = defaultdict(list)
    for image in records.images.values():
        if None not in (image.get('video_id'), image.get('frame_id')):
            frames[image['video_id']].append(image['frame_id'])
    if unordered := [video for video, ids in frames.items() if ids != sorted(ids)]:
        yield f'{_videos(unordered, records)} list their frames out of order: they will be sorted by frame_id'
    if empty := [video for video in records.videos if video not in frames]:
        yield f'{_videos(empty, records)} have no frame'
    steps = {video: Counter(later - earlier for earlier, later in pairwise(sorted(set(ids))))
             for video, ids in frames.items()}
    gaps = {video: max(its) for video, its in steps.items() if its and max(its) > 1}
    if gaps:
        usual = Counter(min(its) for its in steps.values() if its).most_common()[0][0]
        widest = max(gaps, key=gaps.get)
        advice = (f'the usual step is {usual}, so set max_gap={usual} of ConsecutiveFrames' if usual > 1 else
                  f'clips do not span a gap unless max_gap of ConsecutiveFrames is set, to {gaps[widest]} for all')
        yield (f'{_videos(gaps, records)} have gaps in their frame ids, the largest is {gaps[widest]} in '
               f'{_name(widest, records)}: {advice}')


def _videos(ids: Iterable[int], records: Records) -> str:
    names = [_name(number, records) for number in ids]
    return f'{len(names)} videos ({", ".join(names[:3])}{", ..." * (len(names) > 3)})'


def _name(number: int, records: Records) -> str:
    return str(records.videos.get(number, {}).get('name') or f'video {number}')
