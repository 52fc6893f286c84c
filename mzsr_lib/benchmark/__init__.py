"""Measuring: data sets, the paper's numbers, the self-check, rows, intervals and tables."""
