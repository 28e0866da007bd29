"""What makes a stored crop worse, drawn first and then done to any number of crops alike.

A function `draw_...` takes all that is random from its `Dice`, and returns an `Operation`.
"""
