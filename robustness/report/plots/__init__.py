"""Figures of the report, one module a kind; each draws on a bare matplotlib Figure and saves SVG."""
