"""Samples become batches of tensors: the collator, packing, the order of the batches, and balance."""
