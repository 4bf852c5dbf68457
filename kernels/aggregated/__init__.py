"""Convolutions of several sizes and dilations, weighted and summed, as one convolution."""
