"""ImageNet VID and the stills of DET: clips of 8 around key frames to train on, all frames of all videos to test on."""
_base_ = './clip_pipelines.py'
data_root = 'data/ILSVRC/'
dataset = dict(
    type='ImageNetVIDDataset',
    data_root=data_root,
    data_prefix=dict(img_path='Data/'),
    hint='tools/convert_dataset.py imagenet-vid and imagenet-det make it from ImageNet as data/README.md says; without '
    'that, python tools/train.py configs/tsm_faster_rcnn_r18_synthvid.py trains on video that it makes itself')
train_pipeline = _base_.train_pipeline
train_pipeline[0].num_frames = 8
train_pipeline[1].transforms += [
    # Together objects become 0.7 to 1.8 times as large; the field's protocol has the flip alone.
    dict(type='RandomCrop', crop_size=(0.6, 0.6), crop_type='relative_range', allow_negative_crop=True),
    dict(type='RandomResize', scale=(1000, 600), ratio_range=(0.7, 1.1), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomBlur', prob=0.2, sigma=(0.5, 3.0)),
    dict(type='PhotoMetricDistortion'),
]
test_pipeline = _base_.test_pipeline
test_pipeline[0].transforms.append(dict(type='Resize', scale=(1000, 600), keep_ratio=True))
train_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='KeyFrameSampler'),
    dataset=dict(
        ann_file='annotations/imagenet_vid_train.json',
        stills='annotations/imagenet_det_30classes.json',
        pipeline=train_pipeline,
        **dataset))
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='TrackImgSampler'),
    dataset=dict(
        ann_file='annotations/imagenet_vid_val.json',
        pipeline=test_pipeline,
        test_mode=True,
        **dataset))
test_dataloader = val_dataloader
val_evaluator = dict(type='VIDMetric', ann_file=data_root + 'annotations/imagenet_vid_val.json')
test_evaluator = val_evaluator
