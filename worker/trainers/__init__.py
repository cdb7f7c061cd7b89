"""Where a slot's training processes come from: a spare that waits for its request, or a new one."""
