"""An example becomes tokens, labels and the emotion at each token."""
