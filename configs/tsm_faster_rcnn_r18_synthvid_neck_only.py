"""Ablation: sites in the neck only."""
_base_ = './tsm_faster_rcnn_r18_synthvid.py'
model = dict(backbone=dict(shift_stages=()))
