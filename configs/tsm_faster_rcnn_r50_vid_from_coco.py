"""Fine-tune from a COCO Faster R-CNN of mmdet (data/README.md).

Layers of another size (the classifier) start from random weights. Any 2D checkpoint of the same depth works:
--cfg-options load_from=PATH
"""
_base_ = './tsm_faster_rcnn_r50_vid.py'
model = dict(backbone=dict(init_cfg=None))
load_from = 'data/pretrained/faster_rcnn_r50_fpn_1x_coco_20200130-047c8118.pth'
optim_wrapper = dict(optimizer=dict(lr=0.002))
