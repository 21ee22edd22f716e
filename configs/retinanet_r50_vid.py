"""Per-frame 2D baseline of tsm_retinanet_r50_vid.py."""
_base_ = './tsm_retinanet_r50_vid.py'
model = dict(backbone=dict(shift_stages=()), neck=dict(shift_levels=()))
