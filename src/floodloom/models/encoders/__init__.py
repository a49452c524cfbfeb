"""Encoders that several architectures share, named as torchvision names them."""
