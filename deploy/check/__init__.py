"""Checks of `deploy/` and of your overlays, without a cluster: python -m deploy.check, or make deploy-check."""
