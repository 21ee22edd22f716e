"""Per-frame 2D baseline of tsm_cascade_rcnn_r50_vid.py."""
_base_ = './tsm_cascade_rcnn_r50_vid.py'
model = dict(backbone=dict(shift_stages=()), neck=dict(shift_levels=()))
