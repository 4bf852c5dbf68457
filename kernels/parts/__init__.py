"""The first part of an image's channels and the others, apart, together, and shuffled."""
