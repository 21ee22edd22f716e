"""Detections of a test run, matched to the truth by pycocotools."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator, Sequence

import numpy as np
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import init_default_scope
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tsm_det.cocovid.truth_file import read_truth
from tsm_det.config import dataset_config, evaluators_of
from tsm_det.errors import InputError
from tsm_det.evaluation.results_file import read_results


def match_results(config: Config, results: str | os.PathLike) -> COCOeval:
    """Match the detections of all test frames at IoU 0.5, class by class, the surest first, as VIDMetric does.

    Args:
        config: from :func:`tsm_det.config.load_config`; its test dataset and ``test_evaluator`` name classes and truth.
        results: what ``tools/test.py --out`` wrote.

    Returns:
        The evaluation with ``evalImgs`` and ``eval`` filled in, over all areas and at most 100 detections a frame;
        ``cocoGt`` is the truth; ``params.catIds`` and all that is by category are in the order of category ids.

    Raises:
        InputError: a file is missing, is no such file, or is of other frames.
    """
    frames = read_results(results)
    init_default_scope(config.get('default_scope', 'mmdet'))
    ann_file = evaluator_with_truth(config)['ann_file']
    truth = _truth(ann_file)
    shared = {frame['img_id'] for frame in frames if _is_of(frame, truth)}
    if not len(frames) == len(shared) == len(truth.imgs):
        raise InputError(f'{results} has {len(frames)} frames, of which {len(shared)} are among the {len(truth.imgs)} '
                         f'of {ann_file}: give results of the same config and data')
    cat_ids = category_ids(dataset_config(config), truth.dataset['categories'], ann_file)
    print_log(f'matching {len(frames)} frames (some seconds a thousand)', 'current')
    evaluation = COCOeval(truth, _detections(frames, truth, cat_ids, results), 'bbox')
    evaluation.params.catIds, evaluation.params.imgIds = cat_ids, sorted(truth.imgs)
    evaluation.params.iouThrs = np.array([0.5])
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ['all']
    evaluation.params.maxDets = [100]
    with silence():
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Swallow what pycocotools prints."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def evaluator_with_truth(config: Config) -> dict:
    """The config's test evaluator that names the annotation file.

    Raises:
        InputError: there is none.
    """
    for evaluator in evaluators_of(config):
        if evaluator.get('ann_file'):
            return evaluator
    raise InputError('the config has no test_evaluator with ann_file but the truth is read from it: add VIDMetric')


def category_ids(dataset: dict, categories: Sequence[dict], ann_file: str) -> list[int]:
    """Categories in the order of the labels that the dataset gives out.

    Args:
        dataset: its config.
        categories: those of the annotation file.
        ann_file: for the message.

    Raises:
        InputError: the dataset has a class that is none of them.
    """
    ids = {category['name']: category['id'] for category in categories}
    classes = DATASETS.build({**dataset, 'lazy_init': True}).metainfo.get('classes') or tuple(ids)
    unknown = [name for name in classes if name not in ids]
    if unknown:
        raise InputError(f'{ann_file} has no category {", ".join(unknown)}, only {", ".join(ids)}: '
                         'set metainfo.classes to names of the file')
    return [ids[name] for name in classes]


def _truth(path: str) -> COCO:
    truth = COCO()
    truth.dataset = read_truth(path)
    for number, box in enumerate(truth.dataset['annotations'], 1):
        # pycocotools takes the id 0 for none, and needs what CocoVID files may leave out.
        box.update(id=number, iscrowd=box.get('iscrowd', 0), area=box.get('area', box['bbox'][2] * box['bbox'][3]))
    with silence():
        truth.createIndex()
    return truth


def _is_of(frame: dict, truth: COCO) -> bool:
    """Whether the frame is in the file: under its id, which other files use too, and its name where that is known."""
    image = truth.imgs.get(frame['img_id'])
    return image is not None and frame.get('img_path', image['file_name']).endswith(image['file_name'])


def _detections(frames: Sequence[dict], truth: COCO, cat_ids: Sequence[int], source: str | os.PathLike) -> COCO:
    annotations = []
    for frame in frames:
        found = {key: np.asarray(frame['pred_instances'][key]).tolist() for key in ('bboxes', 'scores', 'labels')}
        for (left, top, right, bottom), score, label in zip(*found.values(), strict=True):
            if label >= len(cat_ids):
                raise InputError(f'{source} has label {label} but the config has {len(cat_ids)} classes: '
                                 'give results of the same config')
            width, height = right - left, bottom - top
            annotations.append({
                'id': len(annotations) + 1, 'image_id': frame['img_id'], 'category_id': cat_ids[label], 'score': score,
                'bbox': [left, top, width, height], 'area': width * height, 'iscrowd': 0})
    detections = COCO()
    detections.dataset = {'images': truth.dataset['images'], 'categories': truth.dataset['categories'],
                          'annotations': annotations}
    with silence():
        detections.createIndex()
    return detections
