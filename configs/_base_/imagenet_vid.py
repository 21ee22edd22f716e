"""ImageNet VID: clips of 8 frames to train on, every frame of every video to test on."""
data_root = 'data/ILSVRC/'
classes = (
    'airplane', 'antelope', 'bear', 'bicycle', 'bird', 'bus', 'car', 'cattle', 'dog', 'domestic_cat', 'elephant',
    'fox', 'giant_panda', 'hamster', 'horse', 'lion', 'lizard', 'monkey', 'motorcycle', 'rabbit', 'red_panda',
    'sheep', 'snake', 'squirrel', 'tiger', 'train', 'turtle', 'watercraft', 'whale', 'zebra')
hint = ('it is made from ImageNet VID as data/README.md says; without that dataset, '
        'python tools/train.py configs/tsm_faster_rcnn_r18_synthvid.py trains on video that it makes itself')
dataset = dict(type='CocoVIDDataset', data_root=data_root, metainfo=dict(classes=classes), hint=hint)
train_pipeline = [
    dict(type='ConsecutiveFrames', num_frames=8),
    dict(
        type='TransformBroadcaster',
        share_random_params=True,
        transforms=[
            dict(type='LoadFrame'),
            dict(type='LoadTrackAnnotations'),
            dict(type='Resize', scale=(1000, 600), keep_ratio=True),
            dict(type='RandomFlip', prob=0.5),
        ]),
    dict(type='PackTrackInputs'),
]
test_pipeline = [
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='LoadFrame'),
            dict(type='Resize', scale=(1000, 600), keep_ratio=True),
            dict(type='LoadTrackAnnotations'),
        ]),
    dict(type='PackTrackInputs', meta_keys=('frame_in_file',)),
]
train_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='TrackImgSampler'),
    dataset=dict(
        ann_file='annotations/imagenet_vid_train.json',
        data_prefix=dict(img_path='Data/VID/train/'),
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
        data_prefix=dict(img_path='Data/VID/val/'),
        pipeline=test_pipeline,
        test_mode=True,
        **dataset))
test_dataloader = val_dataloader
val_evaluator = dict(type='VIDMetric', ann_file=data_root + 'annotations/imagenet_vid_val.json')
test_evaluator = val_evaluator
