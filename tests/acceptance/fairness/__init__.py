"""Records of one partition next to the backlog of another."""
