"""`normlab dashboard`: the same panels in TensorBoard and as a Weights & Biases workspace."""
