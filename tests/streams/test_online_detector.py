"""One call per frame, many streams."""

import numpy as np
import pytest
import torch

from tsm_det import OnlineDetector, config_path
from tsm_det.errors import InputError
from tsm_det.streams.frame_preparation import image_pipeline


def images(n, size=(128, 128), seed=0):
    return list(np.random.default_rng(seed).integers(0, 256, (n, *size, 3), dtype=np.uint8))


def boxes(samples):
    return [sample.pred_instances.bboxes for sample in samples]


def test_frames_one_by_one_equal_the_clip(detector):
    frames = images(4)
    streamed = [detector(image) for image in frames]
    prepared = [detector.pipeline({'img': [image], 'img_id': [0], 'frame_id': [k], 'video_id': ['x'],
                                   'video_length': [1], 'ori_video_length': [1]}) for k, image in enumerate(frames)]
    data = detector.model.data_preprocessor(
        {'inputs': [torch.cat([one['inputs'] for one in prepared])],
         'data_samples': [prepared[0]['data_samples']]})
    with torch.no_grad():
        whole, _ = detector.model.detect(data['inputs'], [one['data_samples'][0] for one in prepared])
    for one, two in zip(boxes(streamed), boxes(whole), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-3)
    assert [sample.metainfo['reset'] for sample in streamed] == ['new', None, None, None]


def test_streams_of_two_sizes_in_one_batch_equal_each_alone(detector):
    one, two = images(3, (128, 128), 1), images(3, (96, 128), 2)
    together = [detector.detect_batch([a, b], ['one', 'two']) for a, b in zip(one, two, strict=True)]
    detector.reset()
    for i, (name, frames) in enumerate((('one', one), ('two', two))):
        for t, image in enumerate(frames):
            [alone] = detector.detect_batch([image], [f'{name} alone'])
            torch.testing.assert_close(together[t][i].pred_instances.bboxes, alone.pred_instances.bboxes,
                                       rtol=0, atol=1e-3)


@pytest.mark.parametrize(('ids', 'reasons'), [
    ((), ['manual'] * 3), ((None,), ['manual', None, None]), (('a', 7), [None, 'manual', 'manual'])])
def test_reset_without_an_id_means_all_streams_and_none_is_the_default_stream(detector, ids, reasons):
    detector(images(1)[0])
    detector.detect_batch(images(2), ['a', 7])
    detector.reset(*ids)
    assert [sample.metainfo['reset'] for sample in detector.detect_batch(images(3), [None, 'a', 7])] == reasons


def test_with_max_gap_0_each_frame_equals_the_frame_alone(make_detector):
    streaming = make_detector(max_gap=0)
    for k, image in enumerate(images(4)):
        sample, alone = streaming(image), make_detector()(image)
        assert sample.metainfo['reset'] == ('gap' if k else 'new')
        for key in ('bboxes', 'scores', 'labels'):
            assert torch.equal(sample.pred_instances[key], alone.pred_instances[key])


def test_a_stream_that_is_reset_starts_over_and_the_other_continues(detector):
    frames = images(3)
    first = detector.detect_batch([frames[2]] * 2, ['fresh', 'other'])
    detector.reset('fresh')
    again = detector.detect_batch([frames[2]] * 2, ['fresh', 'other'])
    assert [sample.metainfo['reset'] for sample in again] == ['manual', None]
    torch.testing.assert_close(boxes(again)[0], boxes(first)[0], rtol=0, atol=1e-3)


def test_a_gap_in_the_callers_frame_ids_starts_over(detector):
    reasons = [detector.detect_batch([image], ['s'], [frame_id])[0].metainfo['reset']
               for image, frame_id in zip(images(4), (0, 2, 5, 5), strict=True)]
    assert reasons == ['new', None, 'gap', 'seek']


def test_boxes_are_in_pixels_of_the_frame_that_came(detector):
    image = images(1)[0]
    small, large = detector(image), detector.detect_batch([np.repeat(np.repeat(image, 2, 0), 2, 1)], ['large'])[0]
    assert large.ori_shape == (256, 256)
    torch.testing.assert_close(large.scale_factor, (0.5, 0.5))
    assert boxes([small])[0].max() <= 128 < boxes([large])[0].max()


@pytest.mark.parametrize(('image', 'message'), [
    (np.zeros((8, 8), np.uint8), r'uint8 \(8, 8\) .*COLOR_GRAY2BGR'),
    (np.zeros((8, 8, 1), np.uint8), r'uint8 \(8, 8, 1\) .*COLOR_GRAY2BGR'),
    (np.zeros((8, 8, 3), np.uint16), r'uint16 \(8, 8, 3\)'),
    (np.zeros((8, 8, 3), np.float32), r'float32 \(8, 8, 3\)'),
    (np.zeros((8, 8, 4), np.uint8), r'uint8 \(8, 8, 4\) .*COLOR_BGRA2BGR'),
    (np.zeros((0, 8, 3), np.uint8), r'uint8 \(0, 8, 3\)'),
    (np.zeros((2, 8, 8, 3), np.uint8), r'uint8 \(2, 8, 8, 3\)'),
    (None, 'NoneType'),
])
def test_an_image_of_another_kind_is_refused(detector, image, message):
    with pytest.raises(ValueError, match=message):
        detector(image)


def test_an_image_too_narrow_to_resize_is_refused_with_its_size(detector):
    with pytest.raises(InputError, match='2x2000 px'):
        detector(np.zeros((2, 2000, 3), np.uint8))


def test_a_repeated_id_is_refused_before_any_change(detector):
    with pytest.raises(ValueError, match='a stream id stands twice'):
        detector.detect_batch(images(2), ['a', 'a'])
    assert len(detector.bank) == 0


def test_classes_come_from_the_checkpoint_then_the_config(tmp_path):
    options = {'model.backbone.init_cfg': None}
    config = config_path('tsm_faster_rcnn_r18_thermal')
    fresh = OnlineDetector.from_config(config, cfg_options=options)
    assert fresh.classes == ('AIRPLANE', 'BIRD', 'DRONE', 'HELICOPTER')
    torch.save({'state_dict': fresh.model.state_dict(), 'meta': {'dataset_meta': {'classes': tuple('abcd')}}},
               tmp_path / 'weights.pth')
    assert OnlineDetector.from_config(config, str(tmp_path / 'weights.pth')).classes == tuple('abcd')


def test_a_pipeline_for_images_is_refused():
    with pytest.raises(InputError, match='TransformBroadcaster'):
        image_pipeline([dict(type='LoadImageFromFile'), dict(type='PackDetInputs')])


def test_streams_of_other_sizes_in_a_batch_do_not_evict_each_other(detector):
    """At full capacity a stream outside the batch is evicted."""
    detector.bank.capacity = 2
    large, small = images(1)[0], images(1, (96, 128))[0]
    detector.detect_batch([small, small], ['a', 'b'])
    samples = detector.detect_batch([large, small], ['c', 'a'])
    assert [sample.metainfo['reset'] for sample in samples] == ['new', None]
    assert sorted(detector.bank.stream_ids()) == ['a', 'c']


def test_more_streams_than_capacity_are_refused_whatever_their_sizes(detector):
    detector.bank.capacity = 1
    with pytest.raises(ValueError, match='2 streams .* 1'):
        detector.detect_batch([images(1)[0], images(1, (96, 128))[0]], ['a', 'b'])


def test_a_stream_id_may_be_any_object(detector):
    camera = object()
    assert [detector.detect_batch([image], [camera])[0].metainfo['reset'] for image in images(3)] == ['new', None, None]


def state_types(detector):
    return {tensor.dtype for stream in detector.bank.held() for part in stream.state for tensor in part}


def test_the_state_follows_the_type_that_the_model_computes_in(detector):
    frames = images(4)
    detector(frames[0])
    assert state_types(detector) == {torch.float32}
    with torch.autocast('cpu', torch.bfloat16):
        assert detector(frames[1]).metainfo['reset'] is None
    assert torch.bfloat16 in state_types(detector)
    assert detector(frames[2]).metainfo['reset'] is None
    assert state_types(detector) == {torch.float32}


def test_streams_held_in_several_types_continue_in_one_batch(detector):
    frames = images(3)
    detector.detect_batch([frames[0]], ['exact'])
    with torch.autocast('cpu', torch.bfloat16):
        detector.detect_batch([frames[0]], ['coarse'])
    for ids in (['exact', 'coarse'], ['coarse', 'exact']):
        samples = detector.detect_batch(frames[1:], ids)
        assert [sample.metainfo['reset'] for sample in samples] == [None, None]
    assert state_types(detector) == {torch.float32}


@pytest.mark.skipif(not torch.cuda.is_available(), reason='moves a model to a GPU, which is not here')
def test_the_state_follows_the_model_to_another_device(detector):
    frames = images(3)
    detector.detect_batch(frames[:2], ['a', 'b'])
    detector.model.cuda()
    samples = detector.detect_batch(frames[1:2], ['a']) + detector.detect_batch(frames[:2], ['b', 'a'])
    assert [sample.metainfo['reset'] for sample in samples] == [None] * 3
