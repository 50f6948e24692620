"""Stream frameworks that emotag is compared with, each as a program that `StreamCompetitor` starts."""
