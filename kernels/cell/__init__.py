"""The search cell of NAS-Bench-201: all nodes and all candidates of its edges in one operator."""
