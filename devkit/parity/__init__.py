"""One image, data and requests in several places, and what differs there: ``devkit parity``.

What is there in each place becomes facts; comparing them is a pure function, and what is to be
expected is a table (docs/adr/0020).
"""
