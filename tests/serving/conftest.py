"""A detector with a memory but without a network."""

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from tsm_det.shift import ShiftState
from tsm_det.stream_bank import StreamBank


class StandInDetector:
    """Detects one object as wide as the stream's number of frames so far, and counts its frames."""

    classes = ('ball',)

    def __init__(self) -> None:
        self.bank, self.frames = StreamBank(), []

    def detect_batch(self, images, stream_ids, frame_ids):
        sizes = [image.shape[:2] for image in images]
        past, reasons = self.bank.recall(stream_ids, frame_ids, sizes)
        seen = torch.ones(1, 1, 1, 1) + (past.backbone[0] if past else 0)
        self.bank.hold(stream_ids, frame_ids, sizes, ShiftState((seen,), ()))
        self.frames.append(images[0])
        instances = InstanceData(bboxes=torch.tensor([[0, 0, seen.item(), 9]]), scores=torch.tensor([0.5]),
                                 labels=torch.tensor([0]))
        return [DetDataSample(metainfo={'reset': reasons[0]}, pred_instances=instances)]


@pytest.fixture
def detector():
    return StandInDetector()


@pytest.fixture
def image():
    return np.full((48, 64, 3), (200, 100, 50), np.uint8)
