"""Per-frame 2D baseline of tsm_rtmdet_tiny_synthvid.py."""
_base_ = './tsm_rtmdet_tiny_synthvid.py'
model = dict(backbone=dict(shift_stages=()), neck=dict(shift_levels=()))
