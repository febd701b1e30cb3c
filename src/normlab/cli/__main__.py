"""`python -m normlab.cli`: the same as `normlab`."""

from normlab.cli import main

if __name__ == "__main__":
    main()
