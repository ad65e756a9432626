"""The rendered objects benchmark: 3-D model library, renderer, scenes, and the plan of what is rendered."""
