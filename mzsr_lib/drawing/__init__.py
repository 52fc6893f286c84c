"""Figures out of pictures, rows and logs, in one look."""
