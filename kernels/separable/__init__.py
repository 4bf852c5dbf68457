"""Several separable convolutions of one input, with the statistics of their outputs."""
