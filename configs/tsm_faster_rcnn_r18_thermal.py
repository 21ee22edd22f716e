"""Small online detector on thermal video of drones, birds, airplanes and helicopters, from random weights."""
_base_ = ['./_base_/tsm_faster_rcnn_r18_small.py', './_base_/thermal.py', './_base_/schedule_small.py']
