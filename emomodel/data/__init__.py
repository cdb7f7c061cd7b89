"""From a dataset file's bytes to examples, with a finding for each thing that is wrong in them."""
