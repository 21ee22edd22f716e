"""mmdet's Faster R-CNN with the shift in backbone and neck."""
_base_ = ['mmdet::_base_/models/faster-rcnn_r50_fpn.py', './runtime.py']
model = dict(
    type='TSMFasterRCNN',
    data_preprocessor=dict(type='TrackDataPreprocessor'),
    # Stage 0 has shift sites: frozen, it could not adapt to what they bring.
    backbone=dict(type='TSMResNet', frozen_stages=0),
    neck=dict(type='TSMFPN'))
