"""What is kept of one meta-training run: its curve, and a picture at each checkpoint; and an explorer of both."""

UPDATES = (0, 1, 10)  # of the pictures that are kept
TABLE, TRUTH = "run.csv", "truth.png"


def picture_name(step: int, updates: int) -> str:
    """Return the name of the picture at a checkpoint (outer updates) after so many inner updates."""
    return f"outer-{step:04d}-inner-{updates:02d}.png"
