"""R101 for ImageNet VID: every second block has a site (18 of 33), as in the paper."""
_base_ = './tsm_faster_rcnn_r50_vid.py'
model = dict(
    backbone=dict(depth=101, init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet101')))
