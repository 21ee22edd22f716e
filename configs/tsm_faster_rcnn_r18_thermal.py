"""Small online detector on thermal video of drones, birds, airplanes and helicopters, from random weights.

Chosen on held-out training scenes: no statistics in the backbone (``norm_eval`` keeps batch norm at its first, 0 and
1), since a target is what is brighter than the sky; and one box for all classes, since single frames hardly tell them.
"""
_base_ = ['./_base_/tsm_faster_rcnn_r18_small.py', './_base_/thermal.py', './_base_/schedule_small.py']
norm_cfg = dict(_delete_=True, type='BN', requires_grad=True)
model = dict(
    backbone=dict(norm_cfg=norm_cfg, norm_eval=True),
    neck=dict(norm_cfg=norm_cfg),
    roi_head=dict(bbox_head=dict(reg_class_agnostic=True)))
train_cfg = dict(max_iters=1100, val_interval=1100)
param_scheduler = dict(total_steps=1100)
