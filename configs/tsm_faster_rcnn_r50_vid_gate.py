"""A gated memory of good frames in the backbone, in place of the shift in backbone and neck.

It gained where single frames are bad, as in noise. In clean video, motion blur and defocus no gain was seen
(docs/results.md).
"""
_base_ = './tsm_faster_rcnn_r50_vid.py'
model = dict(backbone=dict(operator='gate'), neck=dict(shift_levels=()))
