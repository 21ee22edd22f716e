"""Per-frame 2D baseline of tsm_retinanet_r18_synthvid.py."""
_base_ = './tsm_retinanet_r18_synthvid.py'
model = dict(backbone=dict(shift_stages=()), neck=dict(shift_levels=()))
