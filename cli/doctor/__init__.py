"""`emotune doctor`: checks an installation from the machine that it runs on."""
