"""Hold out whole groups of videos of a CocoVID file, e.g. scenes."""

from __future__ import annotations

import csv
import os
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from tsm_det.cocovid.read import read_coco_vid
from tsm_det.errors import InputError
from tsm_det.files import write_json


@dataclass
class Split:
    """The two parts of a CocoVID file; ``str()`` counts the frames and boxes of each class held out."""

    kept: dict
    held_out: dict

    def __str__(self) -> str:
        return '\n'.join(f'{what}: {held} of {kept + held} held out ({100 * held / max(kept + held, 1):.1f} %)'
                         for what, kept, held in self.counts())

    def counts(self) -> list[tuple[str, int, int]]:
        """Return rows (name, number kept, number held out): videos, frames, and the boxes of each class."""
        kept, held_out = (Counter(annotation['category_id'] for annotation in part['annotations'])
                          for part in (self.kept, self.held_out))
        return [('videos', len(self.kept['videos']), len(self.held_out['videos'])),
                ('frames', len(self.kept['images']), len(self.held_out['images'])),
                *((f'{category["name"]} boxes', kept[category['id']], held_out[category['id']])
                  for category in self.kept['categories'])]


def split_file(file: str | os.PathLike, out: tuple[str, str], groups: str | os.PathLike | None = None,
               video_column: str = 'clip', group_column: str = 'scene', fraction: float = 0.2, seed: int = 0) -> Split:
    """Split a CocoVID file into two, by groups of videos that a CSV file names, or by videos.

    Args:
        file: the CocoVID file.
        out: the files to write: kept part, held-out part.
        groups: a CSV file with one row per video, see ``read_groups``; None makes each video its own group.
        fraction: share of the frames to hold out; see ``split_by_group``.

    Raises InputError when a file cannot be read, an input would be overwritten, or no split is possible.
    """
    if len({Path(path).resolve() for path in (file, *out)}) < 3:
        raise InputError(f'{file} is to be split into {" and ".join(map(str, out))}: give three different files')
    coco_vid = read_coco_vid(file)
    group_of = ({_name(video): _name(video) for video in coco_vid['videos']} if groups is None
                else read_groups(groups, video_column, group_column))
    kept, held_out = split_by_group(coco_vid, group_of, fraction, seed)
    write_json(kept, out[0])
    write_json(held_out, out[1])
    return Split(kept, held_out)


def read_groups(path: str | os.PathLike, video_column: str, group_column: str) -> dict[str, str]:
    """Read the group of each video from two columns of a CSV file.

    Spaces around values and empty lines do not count.

    Raises InputError when the file, a column or a group is missing, or a video is in two groups.
    """
    groups: dict[str, str] = {}
    try:
        with Path(path).open(newline='', encoding='utf-8-sig') as file:
            reader = csv.DictReader(file)
            for record in reader:
                video, group = ((record[column] or '').strip() for column in (video_column, group_column))
                if not group and any(record.values()):
                    raise InputError(f'{path} has no {group_column} in line {reader.line_num} ({video}): add it')
                if groups.setdefault(video, group) != group:
                    raise InputError(f'{path} puts the video {video} into the groups {groups[video]} and {group}: '
                                     'keep one')
    except KeyError as error:
        raise InputError(f'{path} has no column {error}, only {", ".join(reader.fieldnames or ())}: name another '
                         'column') from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f'{path} cannot be read ({error}): name a CSV file in UTF-8') from error
    return groups


def split_by_group(coco_vid: dict, groups: dict[str, str], fraction: float, seed: int = 0) -> tuple[dict, dict]:
    """Hold out whole groups of videos, about the same share of every class.

    A group counts for the class of most of its boxes. Of each class with two groups or more, at least one group is held
    out and one kept; the only group of a class is kept. Ids and other parts of the file do not change. Images without
    ``video_id`` are kept.

    Args:
        coco_vid: a CocoVID file's content.
        groups: group of each video by the video's name, or by its id without one; extra entries are ignored.
        fraction: share of the frames to hold out, between 0 and 1.
        seed: of the random choice of groups.

    Returns:
        The kept part, the held-out part.

    Raises InputError when a video has no group, no class has two groups, or the fraction is out of range.
    """
    if not 0 < fraction < 1:
        raise InputError(f'the fraction to hold out is {fraction} but must lie between 0 and 1: try 0.2')
    if lost := [_name(video) for video in coco_vid['videos'] if _name(video) not in groups]:
        raise InputError(f'{len(lost)} videos are in no group ({", ".join(lost[:5])}{", ..." * (len(lost) > 5)}): '
                         'add them to the CSV file')
    group_of = {video['id']: groups[_name(video)] for video in coco_vid['videos']}
    chosen = _choose(coco_vid, group_of, fraction, random.Random(seed))
    if not chosen:
        raise InputError(f'the videos are in {len(set(group_of.values()))} groups, at most one per class, but a class '
                         'needs two: split by a column with more groups')
    held_out = {video_id for video_id, group in group_of.items() if group in chosen}
    return _part(coco_vid, lambda video_id: video_id not in held_out), _part(coco_vid, held_out.__contains__)


def _choose(coco_vid: dict, group_of: dict[int, str], fraction: float, rng: random.Random) -> set[str]:
    """Draw the groups to hold out, class by class."""
    video_of = {image['id']: image.get('video_id') for image in coco_vid['images']}
    frames = Counter(group_of[video_id] for video_id in video_of.values() if video_id in group_of)
    boxes: defaultdict[str, Counter[int]] = defaultdict(Counter, {group: Counter() for group in group_of.values()})
    for annotation in coco_vid['annotations']:
        if (video_id := video_of[annotation['image_id']]) in group_of:
            boxes[group_of[video_id]][annotation['category_id']] += 1
    strata = defaultdict(list)
    for group, counts in boxes.items():
        strata[max(counts, key=counts.__getitem__, default=None)].append(group)
    return {group for members in strata.values() for group in _draw(members, frames, fraction, rng)}


def _draw(members: list[str], frames: Counter[str], fraction: float, rng: random.Random) -> list[str]:
    """Draw a hundred choices of some of a class's groups; return the one closest to the fraction of its frames."""
    if len(members) < 2:
        return []
    target, choices = fraction * sum(frames[group] for group in members), []
    for _ in range(100):
        order = rng.sample(members, len(members))
        misses = [abs(target - reached) for reached in accumulate(frames[group] for group in order[:-1])]
        choices.append((min(misses), order[:misses.index(min(misses)) + 1]))
    return min(choices)[1]


def _name(video: dict) -> str:
    return video.get('name') or str(video['id'])


def _part(coco_vid: dict, belongs: Callable[[int | None], bool]) -> dict:
    """Return the selected videos with their images and annotations."""
    images = [image for image in coco_vid['images'] if belongs(image.get('video_id'))]
    ids = {image['id'] for image in images}
    return {**coco_vid, 'videos': [video for video in coco_vid['videos'] if belongs(video['id'])], 'images': images,
            'annotations': [annotation for annotation in coco_vid['annotations'] if annotation['image_id'] in ids]}
