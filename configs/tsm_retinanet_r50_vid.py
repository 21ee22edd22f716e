"""Online RetinaNet R50-FPN on ImageNet VID, with the shift in backbone and neck."""
_base_ = [
    'mmdet::_base_/models/retinanet_r50_fpn.py', './_base_/imagenet_vid.py', './_base_/schedule_vid.py',
    './_base_/runtime.py']
model = dict(
    type='TSMRetinaNet',
    # Stage 0 has shift sites: frozen, it could not adapt to what they bring.
    backbone=dict(type='TSMResNet', frozen_stages=0),
    neck=dict(type='TSMFPN'),
    bbox_head=dict(num_classes=30))
