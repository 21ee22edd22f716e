"""Convert a backbone to start a detector from: TSM for action recognition, or torchvision's MobileNetV2."""

from argparse import Namespace

from command_line import run
from tool_options import add_trust, make_parser


def parse_args() -> Namespace:
    parser = make_parser('convert_weights.py TSM_kinetics_RGB_resnet50_shift8_blockres.pth --out backbone.pth', __doc__)
    parser.add_argument('checkpoint', help="of the authors' TSM or mmaction2's ResNetTSM, with the bi-directional "
                        "shift, or of torchvision's mobilenet_v2")
    parser.add_argument('--out', required=True, help='file for model.backbone.init_cfg, type Pretrained')
    parser.add_argument('--direction', default='both', help="of the detector: 'both' (default) keeps the order of "
                        "channels; 'past' puts the channels of the past first, as the online shift of a ResNet needs")
    add_trust(parser)
    return parser.parse_args()


def main(args: Namespace) -> None:
    from tsm_det.models.foreign_weights import convert_weights

    left_out = convert_weights(args.checkpoint, args.out, args.direction, args.trust_checkpoint)
    print(f'{args.out}; left out: {", ".join(left_out) or "nothing"}')


if __name__ == '__main__':
    run(parse_args, main)
