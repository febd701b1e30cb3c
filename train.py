"""Train one network, or a sweep of them: python train.py norm=groupnorm data=cifar10 seed=1"""

import hydra

from normlab.train.launch import launch


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(cfg):
    from normlab.train.job import run_job

    run_job(cfg)


if __name__ == "__main__":
    launch(main)
