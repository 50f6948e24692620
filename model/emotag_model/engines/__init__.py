"""The engines that run a model, and the choice between them."""
