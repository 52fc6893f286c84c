"""The command ``mzsr``, also ``python -m mzsr_lib.cli``."""

import sys


def main() -> int:
    """Load the program and run it; return the exit code. To load it takes a second, in which it may be interrupted."""
    try:
        from mzsr_lib.cli import main as program

        return program.main()
    except KeyboardInterrupt:
        sys.stderr.write("mzsr: Interrupted.\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
