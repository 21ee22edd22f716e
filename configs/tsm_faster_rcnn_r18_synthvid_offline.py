"""Small offline detector on synthetic video: sites read past and future frames. Baseline: faster_rcnn_r18_synthvid."""
_base_ = './tsm_faster_rcnn_r18_synthvid.py'
model = dict(backbone=dict(direction='both'), neck=dict(direction='both'))
