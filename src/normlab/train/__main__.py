"""`python -m normlab.train norm=groupnorm`: the same job as `python train.py norm=groupnorm`."""

from normlab.train import main

if __name__ == "__main__":
    main()
