"""From an example to tokens, labels and the emotion at each token."""
