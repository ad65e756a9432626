"""Intervals for tables in which several samples share an object, and corrections for many tests.

Everything here is NumPy in, arrays or named tuples out, and deterministic by seed.
"""
