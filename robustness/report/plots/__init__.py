"""Statistical figures of the report, drawn by seaborn on a bare matplotlib Figure and saved as SVG."""
