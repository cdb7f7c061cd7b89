"""A dataset file's bytes become examples, with a finding for each thing that is wrong in them."""
