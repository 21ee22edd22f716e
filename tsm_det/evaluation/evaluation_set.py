"""The frames and ground truth of a test, and the detections that fit them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from tsm_det.cocovid.motion import number_tracks, video_key
from tsm_det.cocovid.read import category_ids, read_coco_vid
from tsm_det.config import dataset_config, evaluators_of
from tsm_det.errors import InputError
from tsm_det.evaluation.score_averaging import average_scores
from tsm_det.evaluation.tables import Detections, GroundTruth, detection_table, ground_truth_table
from tsm_det.plain_pickle import load_plain_pickle


@dataclass
class EvaluationSet:
    """A CocoVID file, reduced to the evaluated classes.

    ``images`` are sorted by id, ``videos`` are by id, ``classes`` are in the order of labels. ``annotations`` are
    sorted by id; row i of ``ground_truth`` is annotation i.
    """

    ann_file: str
    images: list[dict]
    videos: dict[int, dict]
    classes: tuple[str, ...]
    annotations: list[dict]
    ground_truth: GroundTruth

    def tracks(self) -> tuple[np.ndarray, np.ndarray]:
        """The track and the frame id of each true box, see :func:`~tsm_det.cocovid.motion.number_tracks`."""
        return number_tracks([self.images[frame] for frame in self.ground_truth.frames], self.annotations)

    def detections(self, results: Sequence[tuple], source: str | os.PathLike) -> Detections:
        """Arrange the detections of all frames, as :func:`~tsm_det.evaluation.tables.detection_table` does.

        Raises InputError, which names the ``source``, when a frame is missing, unknown or there twice, or a label has
        no class.
        """
        shared = {image['id'] for image in self.images} & {img_id for img_id, *_ in results}
        if not len(results) == len(shared) == len(self.images):
            raise InputError(
                f'{source} has {len(results)} frames, of which {len(shared)} are among the {len(self.images)} of '
                f'{self.ann_file}: test all frames of this file once, with the same config')
        detections = detection_table(self.images, results)
        if (detections.labels >= len(self.classes)).any():
            raise InputError(f'{source} has label {detections.labels.max()} but the config has {len(self.classes)} '
                             'classes: use the config of the test')
        return detections

    def read_detections(self, path: str | os.PathLike, average: int | None = None) -> Detections:
        """Read a file of ``tools/test.py --out``; ``average`` replaces class scores by means over that many frames.

        Raises InputError when the file is missing, damaged, or of other frames or classes.
        """
        names = {image['id']: image.get('file_name', '') for image in self.images}

        def img_id(frame: dict) -> int | None:  # other files use the same ids for frames of other names
            name = names.get(frame['img_id'], '')
            return frame['img_id'] if frame.get('img_path', name).endswith(name) else None

        frames = read_results(path)
        if average:
            times = {image['id']: (str(video_key(image)), image.get('frame_id')) for image in self.images}
            frames = average_scores(sorted(frames, key=lambda frame: times.get(frame['img_id'], ('',))),
                                    len(self.classes), average)
        return self.detections([
            (img_id(frame), *(np.asarray(frame['pred_instances'][key]) for key in ('bboxes', 'scores', 'labels')))
            for frame in frames], path)


def read_evaluation_set(ann_file: str, classes: Sequence[str] | None = None,
                        count_key_frame: bool = False) -> EvaluationSet:
    """Read a CocoVID file with the classes in the order of labels, None: those of the file.

    Raises InputError when the file is missing or incomplete, or lacks a class.
    """
    content = read_coco_vid(ann_file)
    ids = category_ids(content['categories'], classes, ann_file)
    cat_ids = list(ids.values())
    images = sorted(content['images'], key=lambda image: image['id'])
    annotations = sorted([annotation for annotation in content['annotations'] if annotation['category_id'] in cat_ids],
                         key=lambda annotation: annotation['id'])
    return EvaluationSet(str(ann_file), images, {video['id']: video for video in content['videos']}, tuple(ids),
                         annotations, ground_truth_table(images, annotations, cat_ids, count_key_frame))


def evaluation_set_of(config: Config) -> EvaluationSet:
    """Read the file that the config's ``test_evaluator`` names, with the classes of its test dataset.

    Raises InputError as :func:`read_evaluation_set` does, or when the config names no such file.
    """
    evaluator = ground_truth_evaluator(config)
    return read_evaluation_set(evaluator['ann_file'], tested_classes(config), bool(evaluator.get('count_key_frame')))


def tested_classes(config: Config) -> tuple[str, ...]:
    """The classes of a config's test in the order of labels; raise InputError as :func:`evaluation_set_of` does."""
    init_default_scope(config.get('default_scope', 'mmdet'))
    dataset = DATASETS.build({**dataset_config(config), 'lazy_init': True})
    ann_file = ground_truth_evaluator(config)['ann_file']
    return tuple(category_ids(read_coco_vid(ann_file)['categories'], dataset.metainfo.get('classes'), ann_file))


def ground_truth_evaluator(config: Config) -> dict:
    """The config's first test evaluator that has an ``ann_file``; raise InputError when there is none."""
    for evaluator in evaluators_of(config):
        if evaluator.get('ann_file'):
            return evaluator
    raise InputError('the config has no test_evaluator with ann_file, which names the ground truth: add VIDMetric')


def read_results(path: str | os.PathLike) -> list[dict]:
    """Read the pickled detections of a test: a dict per frame with ``img_id`` and ``pred_instances``.

    A pickle may run anything, so only constructors of tensors, arrays and plain values are allowed. Raises InputError
    when the file is missing, damaged, or asks for another constructor.
    """
    what = 'results are the .pkl file that tools/test.py --out writes'
    if not Path(path).is_file():
        raise InputError(f'the results {path} are missing: {what}')
    try:
        with open(path, 'rb') as file:
            frames = load_plain_pickle(file)
        if frames and all({'bboxes', 'scores', 'labels'} <= set(frame['pred_instances']) and 'img_id' in frame
                          for frame in frames):
            return frames
    except Exception as error:  # a damaged pickle raises nearly anything
        problem = ' '.join(f'{type(error).__name__}: {error}'.split())
        raise InputError(f'{path} cannot be read ({problem}): {what}') from error
    raise InputError(f'{path} has no frames with detections: {what}')
