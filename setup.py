"""Packaging. The OpenMMLab stack is an extra: its two distributions overwrite each other's files."""

from pathlib import Path

from setuptools import find_packages, setup

namespace: dict = {}
exec(Path('tsm_det/version.py').read_text(), namespace)

# Bounds of what docs/install.md says was run: above, the next version that may break programs.
onnx = ['onnx>=1.23,<2', 'onnxscript>=0.7.2,<0.8']
extras = {
    'decord': ['decord'],
    'demo': ['gradio>=6,<7', 'starlette<2'],
    'docs': ['furo', 'myst-nb', 'simpy>=4.1,<5', 'sphinx'],
    'onnx': [*onnx, 'onnxruntime>=1.32,<2'],
    'openvino': [*onnx, 'nncf>=3.4,<4', 'openvino>=2026.4,<2027'],
    'ray': ['prometheus-client>=0.26,<1', 'ray[data]>=2.60,<3'],
    'supervision': ['supervision>=0.31,<0.32'],
    'track': ['lap>=0.5.13,<0.6'],
}
# Folders beside the package that an install has as packages: configs, weights, and the tools behind `tsm-det`. The
# tools are not inside tsm_det, whose import takes seconds, so that help and completion are fast.
folders = {'tsm_det.configs': 'configs', 'tsm_det.configs._base_': 'configs/_base_',
           'tsm_det.checkpoints': 'data/checkpoints', 'tsm_det_tools': 'tools'}

setup(
    name='tsm_det',
    version=namespace['__version__'],
    description='Online video object detection with the Temporal Shift Module, as an mmdetection plugin',
    long_description=Path('README.md').read_text(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    keywords='video object detection, temporal shift module, mmdetection, streaming, tracking',
    project_urls={'Paper': 'https://arxiv.org/abs/1811.08383',
                  'mmdetection': 'https://github.com/open-mmlab/mmdetection'},
    classifiers=[
        'Development Status :: 4 - Beta', 'Environment :: Console', 'Intended Audience :: Developers',
        'Intended Audience :: Science/Research', 'Operating System :: POSIX :: Linux',
        *(f'Programming Language :: Python :: 3.{minor}' for minor in (10, 11, 12)),
        'Topic :: Multimedia :: Video', 'Topic :: Scientific/Engineering :: Image Recognition', 'Typing :: Typed'],
    python_requires='>=3.10,<3.13',
    packages=[*find_packages(include=['tsm_det', 'tsm_det.*']), *folders],
    package_dir=folders,
    package_data={'tsm_det': ['py.typed'], 'tsm_det.checkpoints': ['*.pth', '*.yml', 'LICENSE']},
    entry_points={'console_scripts': ['tsm-det = tsm_det_tools.cli:main']},
    install_requires=['argcomplete>=3.4,<4', 'av>=17,<19', 'fsspec>=2024.2', 'matplotlib>=3.10,<4', 'numpy>=2.0,<3',
                      'pillow>=10.3,<13', 'pycocotools>=2.0.8,<3', 'scipy>=1.13,<2', 'tqdm>=4.66,<5'],
    extras_require={
        'onedl': ['onedl-mmengine==0.10.12', 'onedl-mmcv==2.3.6', 'onedl-mmdetection==3.5.1', 'opencv-python<5'],
        'openmmlab': ['mmengine==0.11.0rc3', 'mmcv==2.1.0', 'mmdet==3.3.0', 'opencv-python<5'],
        **extras,
        'dev': ['aiohttp', 'hypothesis', 'mypy', 'pytest', 'pytest-xdist', 'ruff', 'websockets',
                *(package for name in extras if name != 'decord' for package in extras[name])],
    },
)
