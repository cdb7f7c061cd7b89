"""The training run: plan, loop, optimizer, acceleration, checkpoints, output."""
