"""Encoders that several architectures share, one module each, named as torchvision names them.

Such a module defines `ENCODER`, which makes one of the size that ImageNet's weights have.
"""
