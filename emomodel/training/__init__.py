"""A training run: its plan, loop, optimizer, acceleration, checkpoints and output."""
