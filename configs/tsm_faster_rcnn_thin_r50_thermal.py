"""Small online detector on thermal video, on a ResNet-50 of half the width, trained on caffe's images (BGR, 0 to 255).

tsm_faster_rcnn_mobilenetv2_thermal.py says how to give pretrained weights.
"""
_base_ = './tsm_faster_rcnn_mobilenetv2_thermal.py'
model = dict(
    data_preprocessor=dict(mean=[104.0, 117.0, 123.0], std=[1.0, 1.0, 1.0], bgr_to_rgb=False),
    backbone=dict(
        _delete_=True, type='TSMResNet', depth=50, stem_channels=64, base_channels=32, style='caffe', norm_eval=True),
    neck=dict(in_channels=[128, 256, 512, 1024]))
