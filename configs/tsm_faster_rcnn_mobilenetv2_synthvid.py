"""Small online detector on MobileNetV2 and synthetic video, from random weights in minutes on two CPU cores."""
_base_ = ['./_base_/tsm_faster_rcnn_r18_small.py', './_base_/synthvid.py', './_base_/schedule_small.py']
model = dict(
    backbone=dict(
        _delete_=True, type='TSMMobileNetV2', out_indices=(1, 2, 4, 6),
        norm_cfg=dict(type='GN', num_groups=8), init_cfg=None),
    neck=dict(in_channels=[24, 32, 96, 320]))
