"""Online video detector on ImageNet VID: Faster R-CNN R50-FPN with the shift in backbone and neck."""
_base_ = ['./_base_/tsm_faster_rcnn_r50_fpn.py', './_base_/imagenet_vid.py', './_base_/schedule_vid.py']
model = dict(roi_head=dict(bbox_head=dict(num_classes=30)))
