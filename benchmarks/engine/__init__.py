"""The engine, compared with competitors and with the matrix-multiply roofline."""
