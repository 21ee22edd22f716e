"""A gated memory of good frames in the backbone, in place of the shift in backbone and neck.

The published weights learned from clips of eight frames: train_dataloader.dataset.pipeline.0.num_frames=8.
"""
_base_ = './tsm_faster_rcnn_r18_synthvid.py'
model = dict(backbone=dict(operator='gate'), neck=dict(shift_levels=()))
