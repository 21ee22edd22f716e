"""Online Faster R-CNN on Swin-T and ImageNet VID, with the temporal patch shift; faster_rcnn_swin-t_vid.py in 2D."""
_base_ = './tsm_faster_rcnn_swin-t_vid.py'
model = dict(backbone=dict(type='TPSSwinTransformer'), neck=dict(shift_levels=()))
