"""Build CocoVID files video by video from frames and boxes; all converters use this."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from tsm_det.cocovid.convert.frame_files import Frame
from tsm_det.cocovid.linking import link_tracks
from tsm_det.config import class_names
from tsm_det.errors import InputError
from tsm_det.files import write_json


class Box(NamedTuple):
    """A box as a file states it, xywh in px; a box without a track will be linked into one.

    ``is_crowd`` marks an ignored region: training and scoring count no detection in it. Without a label, which only an
    ignored region may lack, it holds for every class.
    """

    line: int  # number of its row; see ConversionReport.counted_by
    frame: int  # frame id
    label: str | None
    box: tuple[float, float, float, float]
    track: str | int | None = None
    occluded: bool = False
    is_crowd: bool = False


class Dropped(NamedTuple):
    """A row without an annotation, and why."""

    video: str
    line: int
    why: str


@dataclass
class ConversionReport:
    """Counts of a conversion; ``str()`` is a short summary."""

    videos: int = 0
    frames: int = 0
    clipped: int = 0
    boxes: Counter[str] = field(default_factory=Counter)  # per label, as are the tracks
    tracks: Counter[str] = field(default_factory=Counter)
    ignored: int = 0  # ignored regions
    dropped: list[Dropped] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)  # what the format's own rules exclude
    sparse: dict[str, int] = field(default_factory=dict)  # step of the labelled frames of a video, where above 1
    notes: list[str] = field(default_factory=list)
    counted_by: str = 'line'  # what ``Box.line`` numbers

    def __str__(self) -> str:
        lines = [f'{self.videos} videos, {self.frames} frames, {self.boxes.total()} boxes '
                 f'({self.clipped} clipped to the frame), {self.tracks.total()} tracks']
        lines += [f'  {label}: {count} boxes, {self.tracks[label]} tracks' for label, count in self.boxes.items()]
        lines += [f'{count} {what}' for what, count in self.left_out.items()]
        lines += [f'{self.ignored} ignored regions'] * bool(self.ignored)
        if self.sparse:
            video, step = next(iter(self.sparse.items()))
            lines.append(f'note: {len(self.sparse)} videos have labels on some frames at equal distances only, such as '
                         f'every {step} frames of {video}. The others count as empty: if nobody labelled them, give '
                         '--labelled-frames-only')
        lines += [f'note: {note}' for note in self.notes]
        lines.append(f'{len(self.dropped)} rows dropped')
        lines += [f'  {video} {self.counted_by} {line}: {why}' for video, line, why in self.dropped[:20]]
        return '\n'.join([*lines, '  ...'] if len(self.dropped) > 20 else lines)


class CocoVIDBuilder:
    """Collects videos; ids of videos, images, annotations and instances count from 1 over the file.

    Args:
        categories: id of each label, in order; see ``number_classes``.
        max_gap: largest gap in a linked track, see :func:`~tsm_det.cocovid.linking.link_tracks`.
        first_frame: the format's number of frame 0, for messages.
        counted_by: what ``Box.line`` numbers, for the report.
        ignore: labels whose boxes are ignored regions for every class.
        labelled_frames_only: leave out the frames that no row of the source names.
    """

    def __init__(self, categories: dict[str, int], max_gap: int = 5, first_frame: int = 0, counted_by: str = 'line',
                 ignore: Sequence[str] = (), labelled_frames_only: bool = False) -> None:
        self.report = ConversionReport(boxes=Counter(dict.fromkeys(categories, 0)), counted_by=counted_by)
        self._categories, self._max_gap, self._first_frame = categories, max_gap, first_frame
        self._ignore, self._labelled_frames_only = set(ignore), labelled_frames_only
        self._ignored_labels: set[str | None] = set()
        self._content = {'videos': [], 'images': [], 'annotations': [],
                         'categories': [{'id': number, 'name': label} for label, number in categories.items()]}
        self._instances: dict[tuple, int] = {}

    def add_video(self, name: str, frames: list[Frame], boxes: Iterable[Box], source: str | os.PathLike) -> None:
        """Append a video: every frame becomes an image, every box an annotation, clipped to its frame.

        The report lists dropped boxes: those of frames that are not in the video, and boxes that are not finite, empty,
        or less than 1 px wide or high inside their frame.

        Args:
            frames: in order, with different frame ids.
            boxes: in any order; boxes of one frame keep theirs.
            source: the file that the boxes come from, for messages.

        Raises InputError when a track has two boxes in a frame.
        """
        boxes = sorted((self._ignored(box) for box in boxes), key=lambda box: box.frame)
        self._refuse_shared_tracks(boxes, source)
        kept = self._fit(boxes, frames, name)
        frames = self._labelled(frames, {box.frame for box in boxes}, name)
        if not frames:
            self.report.left_out['videos without a labelled frame left out'] += 1
            return
        shape = dict(zip(('height', 'width'), frames[0].size, strict=True))
        self._content['videos'].append({'id': len(self._content['videos']) + 1, 'name': name, **shape})
        image_ids = {frame.frame_id: self._add_image(frame) for frame in frames}
        for box in _linked(kept, self._max_gap):
            self._add_annotation(box, image_ids[box.frame])

    def write(self, path: str | os.PathLike) -> ConversionReport:
        """Write the file and return the report; raise InputError when it would have no box to learn from."""
        if all(annotation['iscrowd'] for annotation in self._content['annotations']):
            dropped = '; '.join(f'{row.video} {self.report.counted_by} {row.line}: {row.why}'
                                for row in self.report.dropped[:1])
            raise InputError(f'{path} would have {len(self._content["images"])} frames but not one box, as '
                             f'{dropped or "the files have none"}: convert videos with boxes')
        self.report.tracks = Counter(label for _, label, _, (own, _) in self._instances if own is not None)
        self.report.videos, self.report.frames = len(self._content['videos']), len(self._content['images'])
        if unused := sorted(self._ignore - self._ignored_labels):
            self.report.notes.append(f'no box has the label {", ".join(unused)}, which was to be ignored: check its '
                                     'spelling')
        write_json(self._content, path)
        return self.report

    def _ignored(self, box: Box) -> Box:
        """Turn a box of a label to ignore into a region of every class."""
        if box.label not in self._ignore:
            return box
        self._ignored_labels.add(box.label)
        return box._replace(label=None, is_crowd=True, track=None)

    def _labelled(self, frames: list[Frame], labelled: set[int], video: str) -> list[Frame]:
        """Select the labelled frames, or all of them; report what this does."""
        places = [place for place, frame in enumerate(frames) if frame.frame_id in labelled]
        if self._labelled_frames_only:
            self.report.left_out['frames without a label left out'] += len(frames) - len(places)
            return [frames[place] for place in places]
        if len(places) > 2 and (step := math.gcd(*(later - earlier for earlier, later in pairwise(places)))) > 1:
            self.report.sparse[video] = step
        return frames

    def _refuse_shared_tracks(self, boxes: list[Box], source: str | os.PathLike) -> None:
        tracks = Counter((box.frame, box.label, box.track) for box in boxes if box.track is not None)
        for (frame, label, track), count in tracks.items():
            if count > 1:
                raise InputError(f'{source} has {count} boxes of {label} track {track} in frame '
                                 f'{frame + self._first_frame}: give each object of a frame a track of its own')

    def _add_image(self, frame: Frame) -> int:
        image_id = len(self._content['images']) + 1
        place = {} if frame.frame_in_file is None else {'frame_in_file': frame.frame_in_file}
        self._content['images'].append({
            'id': image_id, 'file_name': frame.file_name, 'width': frame.size[1], 'height': frame.size[0],
            'video_id': len(self._content['videos']), 'frame_id': frame.frame_id, **place})
        return image_id

    def _add_annotation(self, box: Box, image_id: int) -> None:
        self.report.ignored += box.is_crowd
        if box.label is not None:
            self.report.boxes[box.label] += 1
        video_id = len(self._content['videos'])
        # A region of every class is one annotation per class: readers of COCO files ignore it for each.
        for label in self._categories if box.label is None else [box.label]:
            instance = self._instances.setdefault(
                (video_id, label, box.is_crowd, (box.label, box.track)), len(self._instances) + 1)
            self._content['annotations'].append({
                'id': len(self._content['annotations']) + 1, 'image_id': image_id, 'video_id': video_id,
                'category_id': self._categories[label], 'instance_id': instance, 'bbox': box.box,
                'area': box.box[2] * box.box[3], 'iscrowd': int(box.is_crowd), 'occluded': box.occluded,
                'generated': False})

    def _fit(self, boxes: list[Box], frames: list[Frame], video: str) -> list[Box]:
        """Return the valid boxes, clipped to the frame; report the others."""
        sizes = {frame.frame_id: frame.size for frame in frames}
        kept = []
        for box in boxes:
            size, frame = sizes.get(box.frame, (0, 0)), f'frame {box.frame + self._first_frame}'
            clipped = _clip(box.box, size)
            if box.frame not in sizes:
                first, last = (place + self._first_frame for place in (min(sizes), max(sizes)))
                why = (f'{frame} is not in the video, which has frames {first} to {last}'
                       + ' with gaps' * (len(sizes) <= last - first))
            elif not all(map(math.isfinite, box.box)):
                why = f'{frame}: box {box.box} is not finite'
            elif min(clipped[2:]) <= 0:
                why = f'{frame}: box {box.box} is empty or outside the frame of {size[1]}x{size[0]} px'
            elif min(clipped[2:]) < 1:
                why = f'{frame}: box {box.box} has less than 1 px inside the frame, which mmdet ignores'
            else:
                self.report.clipped += clipped != box.box
                kept.append(box._replace(box=clipped))
                continue
            self.report.dropped.append(Dropped(video, box.line, why))
        return kept


def number_classes(labels: dict[str, str], classes: list[str] | None, ignore: Sequence[str] = ()) -> dict[str, int]:
    """Number the categories from 1: the classes in order, or the labels in use, sorted.

    Args:
        labels: for each label in use, a place where it occurs, for messages.
        classes: the categories; None takes the labels.
        ignore: labels that are no categories.

    Raises InputError when a label is not among the classes, there is no class, or a class occurs twice.
    """
    labels = {label: place for label, place in labels.items() if label not in ignore}
    named = class_names(classes)
    classes = sorted(labels) if named is None else [name for name in named if name not in ignore]
    if not classes:
        raise InputError(f'the files have no box{" but of ignored labels" * bool(ignore)} and no class is named: '
                         'convert videos with boxes')
    if len(set(classes)) < len(classes):
        raise InputError(f'the classes are {classes} but no two may be alike: name each once')
    if unknown := sorted(labels.keys() - set(classes)):
        raise InputError(f'{labels[unknown[0]]} has the label {unknown[0]!r}, which is not among the classes '
                         f'{", ".join(classes)}: add it to the classes or fix the row')
    return {label: number for number, label in enumerate(classes, start=1)}


def _clip(box: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[float, float, float, float]:
    x, y, width, height = box
    left, top = max(x, 0.0), max(y, 0.0)
    # In this form a box inside the frame keeps its exact values.
    return left, top, min(width, x + width, size[1] - left), min(height, y + height, size[0] - top)


def _linked(boxes: list[Box], max_gap: int) -> list[Box]:
    """Give each box of a video a track, unique within its label."""
    for kind in {(box.label, box.is_crowd) for box in boxes if box.track is None}:
        places = [place for place, box in enumerate(boxes) if box.track is None and (box.label, box.is_crowd) == kind]
        tracks = link_tracks([boxes[place].frame for place in places], [boxes[place].box for place in places], max_gap)
        for place, track in zip(places, tracks, strict=True):
            boxes[place] = boxes[place]._replace(track=int(track))
    return boxes
