"""Temporal operators with weights, by the name that the key ``operator`` of a backbone takes. Import only torch.

Each is an :class:`~tsm_det.sites.Operator` made for a number of channels. At initialisation its output is its input, so
the network equals mmdet's. Weights are plain parameters: mmdet's ``init_cfg`` initialises every layer that it finds.
"""

from tsm_det.models.operators.gated_memory import GatedMemory
from tsm_det.models.operators.motion_excitation import MotionExcitation
from tsm_det.models.operators.temporal_attention import TemporalAttention
from tsm_det.models.operators.temporal_calibration import TemporalCalibration
from tsm_det.models.operators.temporal_convolution import TemporalConvolution

OPERATORS = {
    'conv': TemporalConvolution,
    'tea': MotionExcitation,
    'tada': TemporalCalibration,
    'attention': TemporalAttention,
    'gate': GatedMemory,
}
