"""Test sets and results as files."""

import json

import pytest
import torch
from mmengine import dump
from mmengine.config import Config


@pytest.fixture
def written(tmp_path):
    """Writes a CocoVID file's content and detections; gives a config that tests on it, and the results' path.

    ``results`` are (image id, x1 y1 x2 y2 boxes, scores, labels) of each frame, as lists.
    """
    def written(content, results, classes, name='found', **evaluator):
        truth, found = tmp_path / 'truth.json', tmp_path / f'{name}.pkl'
        truth.write_text(json.dumps(content))
        dump([dict(img_id=image, pred_instances=dict(
            bboxes=torch.tensor(boxes, dtype=torch.float64).reshape(-1, 4),
            scores=torch.tensor(scores, dtype=torch.float64), labels=torch.tensor(labels, dtype=torch.long)))
            for image, boxes, scores, labels in results], str(found))
        dataset = dict(type='CocoVIDDataset', ann_file=str(truth), metainfo=dict(classes=tuple(classes)),
                       data_prefix=dict(img_path=str(tmp_path)), test_mode=True, pipeline=[])
        return Config(dict(
            default_scope='mmdet', test_dataloader=dict(dataset=dataset),
            test_evaluator=dict(type='VIDMetric', ann_file=str(truth), **evaluator))), found
    return written
