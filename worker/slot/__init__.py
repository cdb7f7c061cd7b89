"""The slot that this worker holds: its GPU, its lock, its readiness, its process group."""
