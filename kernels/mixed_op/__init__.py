"""The mixed operation of a DARTS edge: all candidates of an edge, weighted and summed."""
