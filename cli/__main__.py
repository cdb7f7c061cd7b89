"""`python -m cli` is the `emotune` command."""

from cli.main import main

main()
