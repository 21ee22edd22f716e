"""Ground truth and results small enough to check by hand."""

import json

import numpy as np
import pytest
import torch
from mmengine import dump
from mmengine.config import Config

from tsm_det.evaluation.coco_ap import matched_ranges
from tsm_det.evaluation.evaluation_set import evaluation_set_of

WIDTH, HEIGHT = 64, 48


def match(config, results):
    """The test set and its matches at IoU 0.5 in all ranges, by suffix."""
    data = evaluation_set_of(config)
    return data, dict(matched_ranges(data.ground_truth, data.read_detections(results), len(data.classes), (0.5,)))


@pytest.fixture
def scene(tmp_path):
    """Writes ground truth and results; gives a config and the path of the results.

    ``tracks`` is a dict of video name to a dict of (track id, class) to a dict of frame id to box (x, y, w, h);
    ``detections`` a list of (video name, frame id, box, class, score).
    """
    def scene(tracks, detections=(), frame_ids=range(6), classes=('cat', 'dog'), with_ids=True):
        images, annotations = [], []
        videos = [dict(id=number, name=name) for number, name in enumerate(tracks, 1)]
        for video in videos:
            for frame_id in frame_ids:
                images.append(dict(id=len(images) + 5, file_name=f'{video["name"]}/{frame_id:03d}.png', width=WIDTH,
                                   height=HEIGHT, video_id=video['id'], frame_id=frame_id))
                for (track, name), boxes in tracks[video['name']].items():
                    if frame_id in boxes:
                        box = boxes[frame_id]
                        annotations.append(dict(
                            id=len(annotations) + 1, image_id=images[-1]['id'], video_id=video['id'], bbox=list(box),
                            category_id=9 - classes.index(name), area=box[2] * box[3], iscrowd=0,
                            **(dict(instance_id=track) if with_ids else {})))
        categories = [dict(id=9 - label, name=name) for label, name in enumerate(classes)]
        truth = tmp_path / 'truth.json'
        truth.write_text(json.dumps(
            dict(videos=videos, images=images, annotations=annotations, categories=categories)))
        dump([_frame(image, videos, detections, classes) for image in images], str(tmp_path / 'results.pkl'))
        dataset = dict(type='CocoVIDDataset', ann_file=str(truth), metainfo=dict(classes=classes),
                       data_prefix=dict(img_path=str(tmp_path)), test_mode=True, pipeline=[])
        return Config(dict(
            default_scope='mmdet', test_dataloader=dict(dataset=dataset),
            test_evaluator=dict(type='VIDMetric', ann_file=str(truth)))), tmp_path / 'results.pkl'
    return scene


def _frame(image, videos, detections, classes):
    chosen = [(box, name, score) for video, frame_id, box, name, score in detections
              if (video, frame_id) == (videos[image['video_id'] - 1]['name'], image['frame_id'])]
    boxes = torch.tensor([[x, y, x + w, y + h] for (x, y, w, h), _, _ in chosen], dtype=torch.float).reshape(-1, 4)
    instances = dict(bboxes=boxes, scores=torch.tensor([score for _, _, score in chosen]),
                     labels=torch.tensor([classes.index(name) for _, name, _ in chosen]).long())
    return dict(img_id=image['id'], img_path=f'a/folder/{image["file_name"]}', frame_id=image['frame_id'],
                scale_factor=(1.0, 1.0), ori_shape=np.array([48, 64]), pred_instances=instances)
