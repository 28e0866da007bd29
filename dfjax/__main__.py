"""`python -m dfjax` is the command `dfjax`."""

import sys

from dfjax import cli

if __name__ == "__main__":
    sys.exit(cli.main())
