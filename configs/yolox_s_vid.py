"""Per-frame 2D baseline of tsm_yolox_s_vid.py."""
_base_ = './tsm_yolox_s_vid.py'
model = dict(backbone=dict(shift_stages=()), neck=dict(shift_levels=()))
