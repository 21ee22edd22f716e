"""Thermal drone-detection video: 4 classes, targets of some 14 px, frames inside mp4 files.

Learns on training scenes, validates on held-out training scenes, tests on the val split; data/README.md
says how the three files are made. The videos lie in data_root, or where TSM_DET_THERMAL points.
"""
_base_ = './clip_pipelines.py'
data_root = '{{$TSM_DET_THERMAL:data/thermal/videos}}/'
dataset = dict(
    type='CocoVIDDataset',
    metainfo=dict(classes=('AIRPLANE', 'BIRD', 'DRONE', 'HELICOPTER')),
    hint='make it with tools/convert_dataset.py csv-videos as data/README.md says')
train_pipeline = _base_.train_pipeline
train_pipeline[1].transforms += [
    dict(type='RandomResize', scale=(320, 256), ratio_range=(0.64, 1.6), keep_ratio=True),
    dict(type='TargetCrop', size=(128, 160)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomBlur', prob=0.3, sigma=(0.3, 1.2)),
    dict(type='PhotoMetricDistortion'),
]
test_pipeline = _base_.test_pipeline
test_pipeline[0].transforms.append(dict(type='Resize', scale=(320, 256), keep_ratio=True))
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='KeyFrameSampler'),
    dataset=dict(
        ann_file='data/thermal/fit.json', data_prefix=dict(img_path=data_root + 'train/'),
        pipeline=train_pipeline, **dataset))
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='TrackImgSampler'),
    dataset=dict(
        ann_file='data/thermal/held_out.json', data_prefix=dict(img_path=data_root + 'train/'),
        pipeline=test_pipeline, test_mode=True, **dataset))
test_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='TrackImgSampler'),
    dataset=dict(
        ann_file='data/thermal/val.json', data_prefix=dict(img_path=data_root + 'val/'),
        pipeline=test_pipeline, test_mode=True, **dataset))
val_evaluator = dict(type='VIDMetric', ann_file='data/thermal/held_out.json')
test_evaluator = dict(type='VIDMetric', ann_file='data/thermal/val.json')
# Clips a step that the schedule's learning rate is meant for.
auto_scale_lr = dict(enable=False, base_batch_size=16)
