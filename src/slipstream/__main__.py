"""`python -m slipstream` is the command `slipstream`."""

from slipstream.cli.main import main

# Worker processes import this module again, and must not start a server of their own.
if __name__ == "__main__":
    main()
