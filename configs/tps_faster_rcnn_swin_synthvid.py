"""Small online detector on synthetic video: a tiny Swin with the temporal patch shift, from random weights."""
_base_ = ['./_base_/tsm_faster_rcnn_r18_small.py', './_base_/synthvid.py', './_base_/schedule_small.py']
model = dict(
    backbone=dict(
        _delete_=True, type='TPSSwinTransformer', embed_dims=32, depths=[2, 2, 2, 2], num_heads=[2, 4, 8, 16],
        window_size=4, drop_path_rate=0.0, init_cfg=None),
    neck=dict(shift_levels=()))
