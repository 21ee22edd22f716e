"""Small online detector on synthetic video, from random weights in minutes on two CPU cores."""
_base_ = ['./_base_/tsm_faster_rcnn_r18_small.py', './_base_/synthvid.py', './_base_/schedule_small.py']
