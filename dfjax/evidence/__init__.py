"""What a file says of its own origin, shown beside the model's verdict and never part of it.

`gather.read` is what others use. Content credentials are signed and can be checked; everything else
anybody can write.
"""
