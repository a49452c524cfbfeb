"""The segmentation networks, one module each, named as `floodloom models` lists them.

Such a module defines `ARCHITECTURE`: what makes the network, and the paper that it follows.
"""
