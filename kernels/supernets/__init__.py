"""Supernets of the cell-based search spaces, each fused and in plain torch."""
