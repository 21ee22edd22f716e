"""Per-frame 2D baseline of tsm_dino_r50_vid.py."""
_base_ = './tsm_dino_r50_vid.py'
model = dict(backbone=dict(shift_stages=()), neck=dict(shift_levels=()))
