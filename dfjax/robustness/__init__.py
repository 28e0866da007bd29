"""How much of a model's AUC is left when its pictures get worse, as the world makes them."""
