"""Synthetic video that makes itself (data/synthvid): moving textured objects, 4 classes, hard stretches."""
_base_ = './clip_pipelines.py'
data_root = 'data/synthvid/'
dataset = dict(type='SyntheticVIDDataset', data_root=data_root, metainfo=dict(classes=None))
train_pipeline = _base_.train_pipeline
train_pipeline[1].transforms += [
    dict(type='Resize', scale=(128, 128), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
]
test_pipeline = _base_.test_pipeline
test_pipeline[0].transforms.append(dict(type='Resize', scale=(128, 128), keep_ratio=True))
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='KeyFrameSampler'),
    dataset=dict(ann_file='train.json', pipeline=train_pipeline, **dataset))
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='TrackImgSampler'),
    dataset=dict(ann_file='val.json', pipeline=test_pipeline, test_mode=True, **dataset))
test_dataloader = val_dataloader
val_evaluator = dict(
    type='VIDMetric',
    ann_file=data_root + 'val.json',
    subsets=dict(clean=dict(degraded=False), degraded=dict(degraded=True)))
test_evaluator = val_evaluator
# Clips a step that the schedule's learning rate is meant for.
auto_scale_lr = dict(enable=False, base_batch_size=4)
