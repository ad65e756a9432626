"""Data: image sets on disk, the 3-D model library, its renderer and the rendered object benchmark, digits."""
