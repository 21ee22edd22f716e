"""What was found and what was missed in each video, over time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

NO_FRAME, NO_BOX, FOUND, BELOW, MISSED = range(5)  # the worse, the higher
COLOURS = ('#FFFFFF', '#EEEEEE', '#9BD0F0', '#E69F00', '#A01800')
ALARM_COLOUR = '#CC79A7'
_MOST_COLUMNS = 1000  # below the width of a strip in px, so that no frame falls between two pixels
_VIDEOS_A_PAGE, _ROWS_A_PAGE = 20, 60
_WIDTH, _LEFT, _RIGHT, _TOP, _ROW, _BETWEEN = 13.5, 1.8, 0.3, 0.9, 0.17, 0.62  # inches


class Strip(NamedTuple):
    """A video over time.

    Args:
        name: of the video.
        frame_ids: ``(F,)``, increasing.
        tracks: R names, a row each.
        outcomes: ``(R, F)`` of ``NO_BOX``, ``FOUND``, ``BELOW`` (found, but with a score below the threshold) and
            ``MISSED``.
        false_alarms: ``(F,)``, detections from the threshold that match nothing.
    """

    name: str
    frame_ids: np.ndarray
    tracks: list[str]
    outcomes: np.ndarray
    false_alarms: np.ndarray

    def count(self, outcome: int) -> int:
        """Boxes with that outcome."""
        return int((self.outcomes == outcome).sum())


def strips_of(evaluation: COCOeval, score_thr: float = 0.3) -> list[Strip]:
    """A strip a video, those with the most boxes missed or below the threshold first.

    Args:
        evaluation: from :func:`tsm_det.evaluation.matched_results.match_results`.
        score_thr: detections count from it.
    """
    outcomes, alarms = _outcomes(evaluation, score_thr)
    truth = evaluation.cocoGt
    names = {video['id']: video.get('name') for video in truth.dataset.get('videos', ())}
    videos = defaultdict(list)
    for image in truth.dataset['images']:
        videos[image.get('video_id')].append(image)
    strips = [_strip('stills' if video is None else str(names.get(video) or video), truth, images, outcomes, alarms)
              for video, images in videos.items()]
    return sorted(strips, key=lambda strip: -strip.count(MISSED) - strip.count(BELOW))


def pages(strips: Sequence[Strip]) -> Iterator[list[Strip]]:
    """Strips in order, as many as a picture has room for."""
    page: list[Strip] = []
    for strip in strips:
        rows = sum(len(other.tracks) for other in page) + len(strip.tracks)
        if page and (len(page) == _VIDEOS_A_PAGE or rows > _ROWS_A_PAGE):
            yield page
            page = []
        page.append(strip)
    if page:
        yield page


def draw_strips(strips: Sequence[Strip], title: str, score_thr: float = 0.3) -> Figure:
    """Draw strips under each other: a row a track, false alarms beneath, frame ids to the right."""
    heights = [(len(strip.tracks) + 2) * _ROW for strip in strips]
    height = _TOP + sum(heights) + _BETWEEN * len(strips)
    figure = Figure(figsize=(_WIDTH, height), dpi=110)
    figure.text(0.15 / _WIDTH, 1 - 0.3 / height, title, fontsize=13)
    names = {FOUND: 'found', BELOW: f'found with a score below {score_thr:g}', MISSED: 'missed', NO_BOX: 'no object'}
    patches = [Patch(color=COLOURS[outcome], label=name) for outcome, name in names.items()]
    figure.legend(handles=[*patches, Patch(color=ALARM_COLOUR, label='false alarms (height: how many)')], ncols=5,
                  loc='upper left', bbox_to_anchor=(0, 1 - 0.35 / height), frameon=False, fontsize=10)
    top = height - _TOP
    for strip, inches in zip(strips, heights, strict=True):
        top -= _BETWEEN + inches
        axes = figure.add_axes((_LEFT / _WIDTH, (top + 0.3) / height, 1 - (_LEFT + _RIGHT) / _WIDTH, inches / height))
        _draw_strip(axes, strip)
    return figure


def _outcomes(evaluation: COCOeval, score_thr: float) -> tuple[dict[int, int], dict[int, int]]:
    """Outcome by annotation id, boxes that count; number of false alarms by image id."""
    outcomes, alarms = {}, defaultdict(int)
    for entry in filter(None, evaluation.evalImgs):
        scores, matches = np.array(entry['dtScores']), entry['dtMatches'][0]
        surely_found = set(matches[scores >= score_thr].tolist())
        for box, match, ignored in zip(entry['gtIds'], entry['gtMatches'][0], entry['gtIgnore'], strict=True):
            if not ignored:
                outcomes[box] = FOUND if box in surely_found else BELOW if match else MISSED
        false = (matches == 0) & ~entry['dtIgnore'][0].astype(bool) & (scores >= score_thr)
        alarms[entry['image_id']] += int(false.sum())
    return outcomes, alarms


def _strip(name: str, truth: COCO, images: list[dict], outcomes: dict[int, int], alarms: dict[int, int]) -> Strip:
    images = sorted(images, key=lambda image: image.get('frame_id') or 0)
    # Stills have no time: their places in the file stand in for it.
    frame_ids = [place if image.get('video_id') is None else image['frame_id'] for place, image in enumerate(images)]
    rows: dict[tuple, dict[int, int]] = defaultdict(dict)
    for column, image in enumerate(images):
        nameless = 0
        for box in truth.imgToAnns.get(image['id'], ()):
            if box['id'] in outcomes:
                nameless += not box.get('instance_id')
                track = box['category_id'], box.get('instance_id') or nameless
                rows[track][column] = max(outcomes[box['id']], rows[track].get(column, NO_BOX))
    table = np.full((len(rows), len(images)), NO_BOX)
    for row, cells in enumerate(rows.values()):
        table[row, list(cells)] = list(cells.values())
    tracks = [f'{truth.cats[category]["name"]} #{track}' for category, track in rows]
    return Strip(name, np.array(frame_ids), tracks, table, np.array([alarms[image['id']] for image in images]))


def _draw_strip(axes: Axes, strip: Strip) -> None:
    table, alarms, edges = _columns(strip)
    rows = len(strip.tracks)
    if rows:
        axes.imshow(table, cmap=ListedColormap(COLOURS), vmin=NO_FRAME, vmax=MISSED, interpolation='nearest',
                    aspect='auto', extent=(edges[0], edges[-1], rows, 0))
    most = max(1, int(alarms.max()))
    axes.stairs(rows + 2 - 1.7 * alarms / most, edges, baseline=rows + 2, fill=True, color=ALARM_COLOUR)
    axes.hlines(range(1, rows), edges[0], edges[-1], color='white', linewidth=1.5)
    axes.set(xlim=(edges[0], edges[-1]), ylim=(rows + 2, 0), yticks=[*(k + 0.5 for k in range(rows)), rows + 1.2])
    axes.set_yticklabels([*(name[-24:] for name in strip.tracks), f'false alarms, 0 to {most}'], fontsize=8)
    axes.tick_params(axis='x', labelsize=8, pad=2)
    axes.tick_params(axis='y', length=0)
    boxes = strip.count(FOUND) + strip.count(BELOW) + strip.count(MISSED)
    axes.set_title(f'{strip.name}:  of {boxes:,} boxes {strip.count(MISSED):,} missed, {strip.count(BELOW):,} below '
                   f'the threshold;  {int(strip.false_alarms.sum()):,} false alarms', loc='left', fontsize=9.5, pad=4)


def _columns(strip: Strip) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcomes ``(R, C)``, false alarms ``(C,)`` and the borders ``(C + 1,)`` in frame ids of columns as wide as
    the usual step; where there are too many, neighbours share one, which shows the worst of them."""
    first, steps = strip.frame_ids[0], np.diff(strip.frame_ids)
    step = max(1, int(steps.min())) if len(steps) else 1
    places = (strip.frame_ids - first) // step
    together = -(-(int(places[-1]) + 1) // _MOST_COLUMNS)
    places, number = places // together, int(places[-1]) // together + 1
    table, alarms = np.full((len(strip.tracks), number), NO_FRAME), np.zeros(number, int)
    for column, outcomes, count in zip(places, strip.outcomes.T, strip.false_alarms, strict=True):
        table[:, column] = np.maximum(table[:, column], outcomes)
        alarms[column] = max(alarms[column], count)
    return table, alarms, first - step / 2 + step * together * np.arange(number + 1)
