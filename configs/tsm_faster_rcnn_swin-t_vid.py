"""Online Faster R-CNN on Swin-T and ImageNet VID, with the shift in front of each attention and in the neck."""
_base_ = ['./_base_/tsm_faster_rcnn_r50_fpn.py', './_base_/imagenet_vid.py', './_base_/schedule_vid.py']
pretrained = 'https://github.com/SwinTransformer/storage/releases/download/v1.0.0/swin_tiny_patch4_window7_224.pth'
model = dict(
    backbone=dict(
        _delete_=True, type='TSMSwinTransformer', embed_dims=96, depths=[2, 2, 6, 2], num_heads=[3, 6, 12, 24],
        window_size=7, drop_path_rate=0.2, convert_weights=True,
        init_cfg=dict(type='Pretrained', checkpoint=pretrained)),
    neck=dict(in_channels=[96, 192, 384, 768]),
    roi_head=dict(bbox_head=dict(num_classes=30)))
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=0.0001, weight_decay=0.05))
