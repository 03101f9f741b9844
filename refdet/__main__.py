"""`python -m refdet` is the command `refdet`."""

from refdet.cli.main import main

if __name__ == "__main__":
    main()
