"""How a run is run: the loop, its checkpoints, the two stages, presets and recipes."""
