"""`python -m normlab.train norm=groupnorm`: the same job as `python train.py norm=groupnorm`."""

import hydra

from normlab.records.places import CONF
from normlab.train.launch import launch


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def main(cfg):
    from normlab.train.job import run_job

    run_job(cfg)


if __name__ == "__main__":
    launch(main)
