"""The generated parts of docs/.  Each module has ``SECTIONS``: the names of sections, and functions to fill them."""
