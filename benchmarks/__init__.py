"""Speed of emotag, as ratios against competitors and measured rooflines of the same run. See README.md."""
