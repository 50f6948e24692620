"""The model in 8-bit integers on a CPU, by a small library in C.

`forward.c` is the model. A path is its compilation for some processors.
"""
