"""The command `train.py`: Hydra's job, its messages and a sweep's table."""
