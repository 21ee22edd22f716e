"""Offline detector on ImageNet VID: sites read past and future frames. Baseline: faster_rcnn_r50_vid."""
_base_ = './tsm_faster_rcnn_r50_vid.py'
model = dict(backbone=dict(direction='both'), neck=dict(direction='both'))
