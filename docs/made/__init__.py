"""What of docs/ is made from the code.  Each module offers ``SECTIONS``: the name of a section, and what fills it."""
