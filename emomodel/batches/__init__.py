"""From samples to batches of tensors: collator, packing, order, balance."""
