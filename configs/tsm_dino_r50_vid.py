"""Online DINO R50 on ImageNet VID: mmdet's config, TSM in three types, and clips in place of images.

An epoch has each key frame once, so 7 epochs are those of the field's protocol.
"""
_base_ = 'mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py'
custom_imports = dict(imports=['tsm_det'], allow_failed_imports=False)
video_data = 'imagenet_vid'
model = dict(
    type='TSMDINO',
    backbone=dict(type='TSMResNet'),
    neck=dict(type='TSMChannelMapper'),
    bbox_head=dict(num_classes=30))
train_cfg = dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=7, val_interval=7)
param_scheduler = dict(
    _delete_=True, type='CosineAnnealingLR', T_max=7, eta_min_ratio=0.05, by_epoch=True, convert_to_iter_based=True)
