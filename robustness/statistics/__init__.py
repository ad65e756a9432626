"""Intervals, tests and agreement for tables in which several samples share an object.

Everything here is NumPy in, named tuples out, and deterministic by seed.
"""
