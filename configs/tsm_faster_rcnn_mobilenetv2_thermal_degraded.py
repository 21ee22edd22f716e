"""The detector of tsm_faster_rcnn_mobilenetv2_thermal_bursts.py, trained on bursts of every kind of degradation.

A clip has one kind at one of three levels, in bursts of two, four or eight frames; a clip in six loses frames too.
The test has bursts of the strongest noise.
"""
_base_ = './tsm_faster_rcnn_mobilenetv2_thermal_bursts.py'
kinds = [
    *(dict(type='SensorNoise', sigma=sigma) for sigma in (30, 60, 120)),
    *(dict(type='LowLight', gain=gain) for gain in (0.2, 0.1, 0.05)),
    *(dict(type='LowBitrate', qp=qp) for qp in (30, 38, 46)),
    *(dict(type='Defocus', sigma=sigma) for sigma in (1, 2, 4)),
    *(dict(type='MotionBlur', length=length) for length in (5, 10, 20))]
lengths = (2, 4, 8)
lost = [dict(transforms=[dict(type='FrozenFrames')], length=n, gap=n) for n in lengths]
degraded = [dict(transforms=[kind], length=n, gap=n) for kind in kinds for n in lengths]
train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[1].transforms[2] = dict(type='RandomBursts', bursts=degraded)
train_pipeline[1].transforms.insert(0, dict(type='RandomBursts', bursts=lost, prob=1 / 6))
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
test_bursts = dict(_base_.test_bursts, transforms=[dict(type='SensorNoise', sigma=120)])
test_pipeline[0].transforms[2] = test_bursts
val_dataloader = test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
val_evaluator = test_evaluator = dict(bursts=test_bursts)
