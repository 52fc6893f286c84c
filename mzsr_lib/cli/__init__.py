"""The command ``mzsr``: what can be asked for, and one sentence for whatever goes wrong."""
