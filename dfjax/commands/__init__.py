"""What `dfjax` can do, one subcommand per file.

Each declares its options in `add_to` and imports what it needs when it runs: --help is quick.
"""
