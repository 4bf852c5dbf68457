"""Weighted sum of normalized branches: statistics and sum in one pass each way."""
