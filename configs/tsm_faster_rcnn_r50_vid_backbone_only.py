"""Ablation: sites in the backbone only."""
_base_ = './tsm_faster_rcnn_r50_vid.py'
model = dict(neck=dict(shift_levels=()))
