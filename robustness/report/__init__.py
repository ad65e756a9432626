"""The report: tables in, one PDF, one card per model and an HTML page out.

``robustness.report.build.write_report`` is the one call; nothing heavy is imported before it.
"""
