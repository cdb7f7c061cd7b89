"""What the API reports of its requests."""
