"""What goes in and out of a training process: its request, its progress lines, its control messages."""
