"""Per-frame 2D baseline of tps_faster_rcnn_swin_synthvid.py."""
_base_ = './tps_faster_rcnn_swin_synthvid.py'
model = dict(backbone=dict(shift_stages=()))
