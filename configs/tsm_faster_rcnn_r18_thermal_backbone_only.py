"""Ablation: sites in the backbone only."""
_base_ = './tsm_faster_rcnn_r18_thermal.py'
model = dict(neck=dict(shift_levels=()))
