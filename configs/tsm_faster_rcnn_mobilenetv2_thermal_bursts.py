"""The detector of tsm_faster_rcnn_mobilenetv2_thermal.py, in training and tests on video with bursts of noise."""
_base_ = './tsm_faster_rcnn_mobilenetv2_thermal.py'
bursts = dict(type='Bursts', transforms=[dict(type='SensorNoise', sigma=60)], length=4, gap=4)
test_bursts = dict(seed=0, **bursts)
train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[1].transforms.insert(2, bursts)
test_pipeline[0].transforms.insert(2, test_bursts)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
val_evaluator = test_evaluator = dict(bursts=test_bursts)
