"""Other networks, and weights as files that say where they come from."""
