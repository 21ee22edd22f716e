"""Ablation: sites in the neck only."""
_base_ = './tsm_faster_rcnn_r50_vid.py'
model = dict(backbone=dict(shift_stages=()))
