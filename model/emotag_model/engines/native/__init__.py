"""The model in 8-bit integers on a CPU, by a small library in C: `forward.c` is the model, and a path is its compilation
for some processors.
"""
