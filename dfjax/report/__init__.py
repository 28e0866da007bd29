"""The results of an evaluation for readers: a page, and tables for papers; and the card of a model.

Everything is made from report.json alone: the model and the data need not be at hand.
"""
