"""A gated memory of good frames in the backbone, in place of the shift in backbone and neck."""
_base_ = './tsm_faster_rcnn_r18_synthvid.py'
model = dict(backbone=dict(operator='gate'), neck=dict(shift_levels=()))
