"""What a training takes, before it begins: memory, steps, the base model's shape."""
