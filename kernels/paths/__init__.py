"""One or two sampled candidates of a DARTS edge, without the others."""
