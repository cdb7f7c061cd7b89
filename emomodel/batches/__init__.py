"""Samples become batches of tensors: collating, packing, order, balance."""
