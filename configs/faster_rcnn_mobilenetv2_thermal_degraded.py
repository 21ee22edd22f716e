"""Per-frame 2D baseline of tsm_faster_rcnn_mobilenetv2_thermal_degraded.py."""
_base_ = './tsm_faster_rcnn_mobilenetv2_thermal_degraded.py'
model = dict(backbone=dict(shift_stages=()), neck=dict(shift_levels=()))
