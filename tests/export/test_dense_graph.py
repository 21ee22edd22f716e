"""The graphs of single-stage detectors in eager mode, and what the export refuses."""

import pytest
import torch
from torch.testing import assert_close

from tests.models.test_detectors import build
from tests.tiny import frame_sample
from tsm_det.errors import InputError
from tsm_det.graphs.program import build_graph, check_detector
from tsm_det.shift import tensors_of

DENSE = ['RetinaNet', 'FCOS', 'ATSS', 'RTMDet']
HEIGHT, WIDTH = 52, 64  # padded to 64x64


@pytest.mark.parametrize('limits', [{}, dict(nms_pre=7, max_per_img=5), dict(score_thr=0.5, min_bbox_size=20)],
                         ids=['all', 'few', 'large'])
@pytest.mark.parametrize('name', DENSE)
@torch.no_grad()
def test_the_graph_equals_the_model_over_a_stream(name, limits):
    model = build(name)
    model.bbox_head.test_cfg.update(limits)
    check_detector(model)
    graph, sample = build_graph(model, (HEIGHT, WIDTH)), frame_sample()
    sample.set_metainfo({'img_shape': (HEIGHT, WIDTH), 'ori_shape': (HEIGHT, WIDTH)})
    past, pasts, numbers = None, tensors_of(graph.fresh), []
    for image in torch.randint(0, 256, (3, 1, HEIGHT, WIDTH, 3), generator=torch.Generator().manual_seed(0)):
        image = image.to(torch.uint8)
        clip = model.data_preprocessor({'inputs': [image.permute(0, 3, 1, 2)], 'data_samples': None})['inputs']
        [expected], past = model.detect(clip, [sample], past)
        boxes, scores, labels, *pasts = graph(image, *pasts)
        instances = expected.pred_instances
        assert_close((boxes, scores, labels), (instances.bboxes, instances.scores, instances.labels), atol=1e-4,
                     rtol=1e-4)
        assert_close(pasts, tensors_of(past))
        numbers.append(len(boxes))
    assert limits.get('score_thr') or min(numbers) > 0


@pytest.mark.parametrize('name', ['GFL', 'YOLOX', 'CascadeRCNN', 'DETR'])
def test_other_detectors_are_refused_with_one_sentence(name):
    with pytest.raises(InputError, match=f'{name}.* ONNX export'):
        check_detector(build(name))
