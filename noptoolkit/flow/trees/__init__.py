"""Messages with several members: trees that replicate and reduce, their loads, and their best packing."""
