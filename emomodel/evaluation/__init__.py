"""What was learnt: held-out losses, reference answers, the self-test."""
