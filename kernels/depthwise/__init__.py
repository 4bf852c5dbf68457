"""Depthwise 2-d convolution: one filter per channel, stride 1 or 2, same padding."""
