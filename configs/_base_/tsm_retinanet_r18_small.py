"""A small single-stage detector that learns from random weights: RetinaNet on half-width ResNet-18, group norm."""
_base_ = ['mmdet::_base_/models/retinanet_r50_fpn.py', './runtime.py']
norm_cfg = dict(type='GN', num_groups=8, requires_grad=True)
model = dict(
    type='TSMRetinaNet',
    backbone=dict(
        type='TSMResNet', depth=18, base_channels=32, frozen_stages=-1, zero_init_residual=False, init_cfg=None,
        norm_cfg=dict(_delete_=True, **norm_cfg)),
    neck=dict(
        type='TSMFPN', in_channels=[32, 64, 128, 256], out_channels=64, add_extra_convs=False, num_outs=3,
        norm_cfg=norm_cfg),
    bbox_head=dict(
        num_classes=4, in_channels=64, feat_channels=64, stacked_convs=2, norm_cfg=norm_cfg,
        anchor_generator=dict(strides=[8, 16, 32])))
