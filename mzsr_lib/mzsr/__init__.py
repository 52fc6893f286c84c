"""The method: the network and its input, tasks, the inner loop, the meta-gradient, and their settings."""
