"""Hits, misses and false positives of each video over time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from tsm_det.evaluation.coco_ap import MatchedEvaluation
from tsm_det.evaluation.evaluation_set import EvaluationSet

NO_FRAME, NO_BOX, DETECTED, BELOW, MISSED = range(5)  # the worse, the higher
COLOURS = ('#FFFFFF', '#EEEEEE', '#9BD0F0', '#E69F00', '#A01800')
FALSE_COLOUR = '#CC79A7'
_MOST_COLUMNS = 1000  # below the width of a strip in px, so that no frame falls between two pixels
_VIDEOS_PER_PAGE, _ROWS_PER_PAGE = 20, 60
_WIDTH, _LEFT, _RIGHT, _TOP, _ROW, _BETWEEN = 13.5, 1.8, 0.3, 0.9, 0.17, 0.62  # inches


class Strip(NamedTuple):
    """A video over time: increasing ``frame_ids`` ``(F,)``, and R ``tracks``, one per row.

    ``outcomes`` ``(R, F)`` are ``NO_BOX``, ``DETECTED``, ``BELOW`` (detected with a score below the threshold) and
    ``MISSED``; ``false_positives`` ``(F,)`` count the unmatched detections from the threshold on.
    """

    name: str
    frame_ids: np.ndarray
    tracks: list[str]
    outcomes: np.ndarray
    false_positives: np.ndarray

    def count(self, outcome: int) -> int:
        """Boxes with that outcome."""
        return int((self.outcomes == outcome).sum())


def strips_of(data: EvaluationSet, evaluation: MatchedEvaluation, score_thr: float = 0.3) -> list[Strip]:
    """A strip per video, those with the most boxes missed or below the threshold first.

    ``evaluation`` is that of all boxes at IoU 0.5, from :func:`tsm_det.evaluation.coco_ap.matched_ranges`.
    """
    above = evaluation.detections.scores >= score_thr
    outcomes = np.full(len(data.annotations), MISSED)
    for chosen, outcome in ((~above, BELOW), (above, DETECTED)):
        outcomes[evaluation.matches[0][chosen & evaluation.hit[0]]] = outcome
    outcomes[evaluation.ignored_truth] = NO_BOX
    false_positives = np.bincount(evaluation.detections.frames[above & ~evaluation.hit[0] & ~evaluation.ignored[0]],
                                  minlength=len(data.images))
    of_image, videos = defaultdict(list), defaultdict(list)
    for annotation, frame, label, outcome in zip(data.annotations, evaluation.truth.frames, evaluation.truth.labels,
                                                 outcomes, strict=True):
        if outcome != NO_BOX:
            of_image[frame].append((data.classes[label], annotation.get('instance_id'), outcome))
    for place, image in enumerate(data.images):
        videos[image.get('video_id')].append((image, of_image[place], false_positives[place]))
    strips = [_strip('stills' if video is None else str(data.videos.get(video, {}).get('name') or video), frames)
              for video, frames in videos.items()]
    return sorted(strips, key=lambda strip: -strip.count(MISSED) - strip.count(BELOW))


def pages(strips: Sequence[Strip]) -> Iterator[list[Strip]]:
    """Strips in order, as many as a picture has room for."""
    page: list[Strip] = []
    for strip in strips:
        rows = sum(len(other.tracks) for other in page) + len(strip.tracks)
        if page and (len(page) == _VIDEOS_PER_PAGE or rows > _ROWS_PER_PAGE):
            yield page
            page = []
        page.append(strip)
    if page:
        yield page


def draw_strips(strips: Sequence[Strip], title: str, score_thr: float = 0.3) -> Figure:
    """Draw strips below each other: a row per track, then false positives; frame ids run to the right."""
    heights = [(len(strip.tracks) + 2) * _ROW for strip in strips]
    height = _TOP + sum(heights) + _BETWEEN * len(strips)
    figure = Figure(figsize=(_WIDTH, height), dpi=110)
    figure.text(0.15 / _WIDTH, 1 - 0.3 / height, title, fontsize=13)
    names = {DETECTED: 'detected', BELOW: f'detected with a score below {score_thr:g}', MISSED: 'missed',
             NO_BOX: 'no object'}
    patches = [Patch(color=COLOURS[outcome], label=name) for outcome, name in names.items()]
    patches.append(Patch(color=FALSE_COLOUR, label='false positives (height: how many)'))
    figure.legend(handles=patches, ncols=5, loc='upper left', bbox_to_anchor=(0, 1 - 0.35 / height), frameon=False,
                  fontsize=10)
    top = height - _TOP
    for strip, inches in zip(strips, heights, strict=True):
        top -= _BETWEEN + inches
        axes = figure.add_axes((_LEFT / _WIDTH, (top + 0.3) / height, 1 - (_LEFT + _RIGHT) / _WIDTH, inches / height))
        _draw_strip(axes, strip)
    return figure


def _strip(name: str, frames: Sequence[tuple[dict, list[tuple], int]]) -> Strip:
    """A video out of the image, the boxes (class, track, outcome) and the false positives of each frame."""
    frames = sorted(frames, key=lambda frame: frame[0].get('frame_id') or 0)
    # Stills have no time: their places in the file stand in for it.
    frame_ids = [place if image.get('video_id') is None else image['frame_id']
                 for place, (image, _, _) in enumerate(frames)]
    rows: dict[str, np.ndarray] = defaultdict(lambda: np.full(len(frames), NO_BOX))
    for column, (_, boxes, _) in enumerate(frames):
        nameless = 0
        for class_name, track, outcome in boxes:
            nameless += not track
            row = rows[f'{class_name} #{track or nameless}']
            row[column] = max(outcome, row[column])
    return Strip(name, np.array(frame_ids), list(rows), np.array(list(rows.values()), int).reshape(-1, len(frames)),
                 np.array([count for *_, count in frames]))


def _draw_strip(axes: Axes, strip: Strip) -> None:
    table, counts, edges = _columns(strip)
    rows = len(strip.tracks)
    if rows:
        axes.imshow(table, cmap=ListedColormap(COLOURS), vmin=NO_FRAME, vmax=MISSED, interpolation='nearest',
                    aspect='auto', extent=(edges[0], edges[-1], rows, 0))
    most = max(1, int(counts.max()))
    axes.stairs(rows + 2 - 1.7 * counts / most, edges, baseline=rows + 2, fill=True, color=FALSE_COLOUR)
    axes.hlines(range(1, rows), edges[0], edges[-1], color='white', linewidth=1.5)
    axes.set(xlim=(edges[0], edges[-1]), ylim=(rows + 2, 0), yticks=[*(k + 0.5 for k in range(rows)), rows + 1.2])
    axes.set_yticklabels([*(name[-24:] for name in strip.tracks), f'false positives, 0 to {most}'], fontsize=8)
    axes.tick_params(axis='x', labelsize=8, pad=2)
    axes.tick_params(axis='y', length=0)
    boxes = np.count_nonzero(strip.outcomes != NO_BOX)
    axes.set_title(f'{strip.name}:  of {boxes:,} boxes {strip.count(MISSED):,} missed, {strip.count(BELOW):,} below '
                   f'the threshold;  {int(strip.false_positives.sum()):,} false positives', loc='left', fontsize=9.5,
                   pad=4)


def _columns(strip: Strip) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcomes ``(R, C)``, false positives ``(C,)`` and borders ``(C + 1,)`` in frame ids of columns one step wide.

    Where there are too many columns, neighbours share one, which shows the worst of them.
    """
    first, steps = strip.frame_ids[0], np.diff(strip.frame_ids)
    step = max(1, int(steps.min())) if len(steps) else 1
    places = (strip.frame_ids - first) // step
    together = -(-(int(places[-1]) + 1) // _MOST_COLUMNS)
    places, number = places // together, int(places[-1]) // together + 1
    table, counts = np.full((number, len(strip.tracks)), NO_FRAME), np.zeros(number, int)
    np.maximum.at(table, places, strip.outcomes.T)
    np.maximum.at(counts, places, strip.false_positives)
    return table.T, counts, first - step / 2 + step * together * np.arange(number + 1)
