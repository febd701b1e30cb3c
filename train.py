"""Train one network, or a sweep of them: python train.py norm=groupnorm data=cifar10 seed=1"""

from normlab.train import main

if __name__ == "__main__":
    main()
