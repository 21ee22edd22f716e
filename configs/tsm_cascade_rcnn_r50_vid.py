"""Online Cascade R-CNN R50-FPN on ImageNet VID, with the shift in backbone and neck."""
_base_ = [
    'mmdet::_base_/models/cascade-rcnn_r50_fpn.py', './_base_/imagenet_vid.py', './_base_/schedule_vid.py',
    './_base_/runtime.py']
heads = _base_.model.roi_head.bbox_head
for head in heads:
    head.num_classes = 30
model = dict(
    type='TSMCascadeRCNN',
    # Stage 0 has shift sites: frozen, it could not adapt to what they bring.
    backbone=dict(type='TSMResNet', frozen_stages=0),
    neck=dict(type='TSMFPN'),
    roi_head=dict(bbox_head=heads))
