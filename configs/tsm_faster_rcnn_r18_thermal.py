"""Small online detector on thermal video of drones, birds, airplanes and helicopters, from random weights.

Chosen on held-out training scenes: a step sees sixteen clips of windows around targets, about half of them pasted from
other clips; so many clips give batch norm its statistics. One box for all classes, since frames alone hardly tell them.
"""
_base_ = ['./_base_/tsm_faster_rcnn_r18_small.py', './_base_/thermal.py', './_base_/schedule_small.py']
norm_cfg = dict(_delete_=True, type='BN', requires_grad=True)
model = dict(
    data_preprocessor=dict(type='TargetPastingPreprocessor', prob=0.1),
    backbone=dict(norm_cfg=norm_cfg, norm_eval=False),
    neck=dict(norm_cfg=norm_cfg),
    roi_head=dict(bbox_head=dict(reg_class_agnostic=True)),
    train_cfg=dict(rcnn=dict(sampler=dict(pos_fraction=0.25))),
    test_cfg=dict(rcnn=dict(nms=dict(iou_threshold=0.3))))
train_cfg = dict(max_iters=800, val_interval=800)
param_scheduler = dict(total_steps=800)
