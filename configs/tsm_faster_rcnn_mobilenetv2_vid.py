"""Online Faster R-CNN on MobileNetV2 and ImageNet VID, with the shift at the paper's ten sites and in the neck."""
_base_ = ['./_base_/tsm_faster_rcnn_r50_fpn.py', './_base_/imagenet_vid.py', './_base_/schedule_vid.py']
model = dict(
    backbone=dict(
        _delete_=True, type='TSMMobileNetV2', out_indices=(1, 2, 4, 6), norm_eval=True,
        init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://mmdet/mobilenet_v2')),
    neck=dict(in_channels=[24, 32, 96, 320]),
    roi_head=dict(bbox_head=dict(num_classes=30)))
